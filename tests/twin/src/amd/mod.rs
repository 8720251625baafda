//! `drivers/passthrough/amd/iommu_intr.c`: interrupt remapping of AMD-Vi.

mod api;
mod bench;
mod beside;
mod compare;
mod fakes;
mod generate;
mod messages;
mod model;
mod op;
mod perform;
mod plan;
mod planning;
mod platform;
mod spec;
mod tables;
mod world;

use crate::side::Side;
use crate::subject::Subject;

/// The subject.
pub(crate) struct Amd;

impl Subject for Amd {
    const NAME: &'static str = "amd";

    type Api = api::Api;
    type Spec = spec::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn meets(_: &Self::Op, _: &mut Side, world: &Self::World) -> Vec<&'static str> {
        let mut met = Vec::new();
        if !world.spec.per_device {
            met.push("one table for all");
        }
        if world.spec.iommus.iter().any(|iommu| !iommu.enabled) {
            met.push("an IOMMU that is off");
        }
        met
    }

    fn compare(
        _model: Option<&Self::Model>,
        c: (&mut Side, &Self::World),
        rust: (&mut Side, &Self::World),
    ) -> Result<(), String> {
        compare::compare(c, rust)
    }

    fn end() -> Vec<Self::Op> {
        vec![op::Op::FreeAll]
    }
}
