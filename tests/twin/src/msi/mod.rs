//! `arch/x86/msi.c`: MSI and MSI-X of devices.

mod api;
mod bench;
mod beside;
mod call;
mod change;
mod choices;
mod compare;
mod config;
mod controls;
mod cpus;
mod descs;
mod devices;
mod enable;
mod fakes;
mod functions;
mod generate;
mod guard;
mod irqs;
mod map;
mod model;
mod onlooker;
mod op;
mod perform;
mod pirqs;
mod platform;
mod registers;
mod says;
mod sequence;
mod spec;
mod undo;
mod waiting;
mod world;

use crate::side::Side;
use crate::subject::Subject;

/// The subject.
pub(crate) struct Msi;

impl Subject for Msi {
    const NAME: &'static str = "msi";

    type Api = api::Api;
    type Spec = spec::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn inner(op: &Self::Op) -> Option<&dyn std::fmt::Debug> {
        match op {
            op::Op::Irq { call, .. } => Some(call),
            op::Op::Race { act, .. } => Some(act),
            op::Op::Overlap { opening, .. } => Some(opening),
            op::Op::Beside { other, .. } => Some(other),
            op::Op::World(change) => Some(change),
            _ => None,
        }
    }

    fn meets(op: &Self::Op, side: &mut Side, world: &Self::World) -> Vec<&'static str> {
        world.met_by(side, op)
    }

    fn may_part(model: &Self::Model) -> Option<&'static str> {
        model.may_part()
    }

    fn compare(
        model: Option<&Self::Model>,
        c: (&mut Side, &Self::World),
        rust: (&mut Side, &Self::World),
    ) -> Result<(), String> {
        compare::compare(model, c, rust)
    }

    fn end() -> Vec<Self::Op> {
        (0..generate::MOST_DEVICES)
            .map(|device| op::Op::Cleanup {
                device,
                dying: false,
            })
            .collect()
    }
}
