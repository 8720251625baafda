//! `arch/x86/irq.c`: vectors of IRQs, their moves from one CPU to another, and their delivery to
//! Xen's handlers and guests.
//!
//! The second side is the rest of the C file with the Rust. Several CPUs take turns: each has its
//! per-CPU variables ([`cpus`]) and its local APIC ([`platform`]), and any may make the next call.
//!
//! Most cases are of worlds in which IRQs are set up and interrupts arrive
//! ([`spec::Arrivals`]): what happens there is an [`act::Act`], and at the places where the code
//! under test has IRQs on and holds no lock ([`act::When`]) another CPU or another interrupt goes
//! on. At the end of each such case guests unbind and timers run out, and no vector may be left in
//! service.

mod act;
mod bench;
mod calls;
mod choices;
mod compare;
mod controllers;
mod cpus;
mod deliver;
mod delivery;
mod fakes;
mod generate;
mod generate_arrivals;
mod generate_pirqs;
mod guest;
mod guests;
mod handled;
mod kinds;
mod messages;
mod model;
mod nested;
mod op;
mod perform;
mod pirqs;
mod platform;
mod spec;
mod thunks;
mod timers;
mod world;

use crate::loader::Image;
use crate::side::Side;
use crate::subject::Subject;

/// Whether the delivery of interrupts is C's.
fn is_c(image: &Image) -> bool {
    let exporter = image.exporter("do_IRQ");
    exporter.is_some_and(|object| {
        let name = object.file_name().unwrap_or_default();
        name != "built_in.o"
    })
}

/// The subject.
pub(crate) struct Irq;

impl Subject for Irq {
    const NAME: &'static str = "irq";

    type Api = perform::Api;
    type Spec = spec::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn inner(op: &Self::Op) -> Option<&dyn std::fmt::Debug> {
        match op {
            op::Op::Deliver { act, .. } => Some(act),
            _ => None,
        }
    }

    fn meets(op: &Self::Op, _: &mut Side, _: &Self::World) -> Vec<&'static str> {
        let nested = matches!(op, op::Op::Deliver { meanwhile, .. } if !meanwhile.is_empty());
        nested.then_some("others inside it").into_iter().collect()
    }

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

    fn note(rust: &Image) -> Option<&'static str> {
        is_c(rust).then_some("delivery, guests and EOIs are C on both sides: not in Rust yet")
    }

    fn end() -> Vec<Self::Op> {
        vec![op::Op::Deliver {
            act: act::Act::Finish,
            meanwhile: Vec::new(),
        }]
    }
}
