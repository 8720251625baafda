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

use anyhow::Result;

use crate::answer::Answer;
use crate::loader::Image;
use crate::side::Side;
use crate::subject::{Subject, Verdict};
use crate::trace::Entry;

/// The subject.
pub(crate) struct Vtd;

impl Subject for Vtd {
    const NAME: &'static str = "vtd";

    type Api = api::Api;
    type Spec = spec::Spec;
    type Part = firmware::Firmware;

    crate::subject::files!();

    fn api(image: &Image) -> Result<Self::Api> {
        api::Api::new(image)
    }

    fn model(spec: &Self::Spec) -> Self::Model {
        model::Model::new(spec)
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

    fn same_effects(model: &Self::Model, op: &Self::Op, c: &[Entry], rust: &[Entry]) -> bool {
        model.same_effects(op, c, rust)
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
