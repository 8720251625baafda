//! `drivers/passthrough/vtd/intremap.c`: interrupt remapping of VT-d.

mod api;
mod bench;
mod compare;
pub(crate) mod fakes;
mod fill;
mod firmware;
pub(crate) mod generate;
mod indices;
mod model;
mod op;
pub(crate) mod perform;
pub(crate) mod spec;
mod undo;
pub(crate) mod world;

use crate::side::Side;
use crate::subject::Subject;

/// The subject.
pub(crate) struct Vtd;

impl Subject for Vtd {
    const NAME: &'static str = "vtd";

    type Api = api::Api;
    type Spec = spec::Spec;
    type Part = firmware::Firmware;

    crate::subject::files!();

    fn meets(op: &Self::Op, _: &mut Side, world: &Self::World) -> Vec<&'static str> {
        let mut met = Vec::new();
        if !world.ready {
            met.push("remapping that is off");
        }
        if let op::Op::Update { message, .. } = op
            && message.posted.is_some()
        {
            met.push("an interrupt that is posted");
        }
        met
    }

    fn compare(
        model: Option<&Self::Model>,
        c: (&mut Side, &Self::World),
        rust: (&mut Side, &Self::World),
    ) -> Result<(), String> {
        compare::compare(model, c, rust)
    }

    fn end() -> Vec<Self::Op> {
        // What remapping allocates it keeps.
        Vec::new()
    }
}
