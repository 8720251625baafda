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

use anyhow::Result;

use crate::answer::Answer;
use crate::loader::Image;
use crate::side::Side;
use crate::subject::{Subject, Verdict};
use crate::trace::Entry;

/// The subject.
pub(crate) struct Amd;

impl Subject for Amd {
    const NAME: &'static str = "amd";

    type Api = api::Api;
    type Spec = spec::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn api(image: &Image) -> Result<Self::Api> {
        api::Api::new(image)
    }

    fn model(_spec: &Self::Spec) -> Self::Model {
        model::Model::default()
    }

    fn judge(
        model: &mut Self::Model,
        world: &Self::World,
        _op: &Self::Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        model.judge(world, c, rust)
    }

    fn same_effects(model: &Self::Model, op: &Self::Op, c: &[Entry], rust: &[Entry]) -> bool {
        model.same_effects(op, c, rust)
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
