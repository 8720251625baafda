//! `arch/x86/irq.c`: vectors of IRQs, and their moves from one CPU to another.
//!
//! The second side is the rest of the C file with the Rust. Several CPUs take turns: each has its
//! per-CPU variables ([`cpus`]) and its local APIC ([`platform`]), and any may make the next call.

mod bench;
mod compare;
mod cpus;
mod fakes;
mod generate;
mod model;
mod op;
mod perform;
mod platform;
mod spec;
mod thunks;
mod world;

use anyhow::Result;

use crate::answer::Answer;
use crate::loader::Image;
use crate::side::Side;
use crate::subject::{Subject, Verdict};
use crate::trace::Entry;

/// The subject.
pub(crate) struct Irq;

impl Subject for Irq {
    const NAME: &'static str = "irq";

    type Api = perform::Api;
    type Spec = spec::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn api(image: &Image) -> Result<Self::Api> {
        perform::Api::new(image)
    }

    fn model(_spec: &Self::Spec) -> Self::Model {
        model::Model
    }

    fn judge(
        model: &mut Self::Model,
        world: &Self::World,
        op: &Self::Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        model.judge(world, op, c, rust)
    }

    fn same_effects(_model: &Self::Model, _op: &Self::Op, c: &[Entry], rust: &[Entry]) -> bool {
        c == rust
    }

    fn compare(
        model: Option<&Self::Model>,
        c: (&mut Side, &Self::World),
        rust: (&mut Side, &Self::World),
    ) -> Result<(), String> {
        compare::compare(model, c, rust)
    }

    fn end() -> Vec<Self::Op> {
        // These functions allocate nothing.
        Vec::new()
    }
}
