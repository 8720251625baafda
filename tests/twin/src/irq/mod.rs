//! `arch/x86/irq.c`: vectors of IRQs, and their moves from one CPU to another.
//!
//! The second side is the rest of the C file with the Rust. Several CPUs take turns: each has its
//! per-CPU variables ([`cpus`]) and its local APIC ([`platform`]), and any may make the next call.

mod bench;
mod compare;
mod cpus;
mod fakes;
mod generate;
mod handled;
mod model;
mod op;
mod perform;
mod platform;
mod spec;
mod thunks;
mod world;

use crate::side::Side;
use crate::subject::Subject;

/// The subject.
pub(crate) struct Irq;

impl Subject for Irq {
    const NAME: &'static str = "irq";

    type Api = perform::Api;
    type Spec = spec::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn put_right(model: &mut Self::Model, c: &mut Self::World) {
        model.put_right(c);
    }

    fn compare(
        _model: Option<&Self::Model>,
        c: (&mut Side, &Self::World),
        rust: (&mut Side, &Self::World),
    ) -> Result<(), String> {
        compare::compare(c, rust)
    }

    fn end() -> Vec<Self::Op> {
        // These functions allocate nothing.
        Vec::new()
    }
}
