//! `arch/x86/hvm/vmsi.c`: the MSI-X table, delivery, and the arch half of vPCI.

mod bench;
mod fakes;
mod generate;
mod model;
mod op;
mod perform;
mod world;

use crate::answer::Answer;
use crate::bench::Meter;
use crate::loader::{Image, Import};
use crate::rng::Rng;
use crate::side::{Script, Side};
use crate::subject::{Case, Subject, Verdict};
use crate::trace::Entry;
use anyhow::Result;

/// The subject.
pub(crate) struct Vmsi;

impl Subject for Vmsi {
    const NAME: &'static str = "vmsi";

    type Api = perform::Api;
    type Spec = world::Spec;
    type World = world::World;
    type Op = op::Op;
    type Model = model::Model;

    fn import(name: &str) -> Option<Import> {
        fakes::import(name)
    }

    fn api(image: &Image) -> Result<Self::Api> {
        perform::Api::new(image)
    }

    fn generate(rng: &mut Rng) -> Case<Self> {
        generate::case(rng)
    }

    fn build(side: &mut Side, spec: &Self::Spec) -> Self::World {
        world::World::build(side, spec)
    }

    fn perform(
        side: &mut Side,
        api: &Self::Api,
        world: &mut Self::World,
        op: &Self::Op,
        script: Script,
    ) -> Option<Answer> {
        perform::perform(side, api, world, op, script)
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
        model.judge(world, op, c, rust).map(|()| Verdict::Continue)
    }

    fn same_effects(_model: &Self::Model, op: &Self::Op, c: &[Entry], rust: &[Entry]) -> bool {
        model::same_effects(op, c, rust)
    }

    fn end() -> Vec<Self::Op> {
        vec![
            op::Op::Cleanup { domain: 0 },
            op::Op::Cleanup { domain: 1 },
            op::Op::GracePeriod,
        ]
    }

    fn bench(side: &mut Side, api: &Self::Api, meter: &mut Meter) {
        bench::rows(side, api, meter);
    }
}
