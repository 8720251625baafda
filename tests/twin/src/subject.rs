//! What a replaced file brings along to be driven as a twin.

use std::any::Any;
use std::fmt::Debug;

use anyhow::Result;

use crate::allocator::Frames;
use crate::answer::Answer;
use crate::loader::{Image, Import};
use crate::meter::Meter;
use crate::rng::Rng;
use crate::side::{Script, Side};
use crate::trace::Entry;

/// One replaced file.
pub(crate) trait Subject: Sized {
    /// The name that `--file` takes.
    const NAME: &'static str;

    /// Addresses of the exported functions.
    type Api;
    /// How a world is to be built; the same for both sides.
    type Spec: Clone + Debug;
    /// A built world: pointers into the arena of its side.
    type World;
    /// One call, or one step of the world around it.
    type Op: Clone + Debug;
    /// What the fakes of this file find and change while a call runs, beside what all have.
    type Part: Any + Default;
    /// What the driver knows by itself of what Rust answers where C does not.
    type Model;

    /// Finds what stands for a symbol that only this file imports.
    fn import(name: &str) -> Option<Import>;
    /// Finds the exported functions.
    fn api(image: &Image) -> Result<Self::Api>;
    /// Makes up a case.
    fn generate(rng: &mut Rng) -> Case<Self>;
    /// The words by which `cargo xtask twin` is asked for such a second side.
    fn asked_by(_rust: &Image) -> &'static str {
        ""
    }
    /// Has a world be one for what the second side is made of.
    fn fit(_spec: &mut Self::Spec, _rust: &Image) {}
    /// Builds a world in the empty arena of a side.
    fn build(side: &mut Side, spec: &Self::Spec) -> Self::World;
    /// Carries out a step; none when the state of the world does not allow it, which must be so on
    /// both sides.
    fn perform(
        side: &mut Side,
        api: &Self::Api,
        world: &mut Self::World,
        op: &Self::Op,
        script: Script,
    ) -> Option<Answer>;
    /// What a step is made of, where its own name does not say enough.
    fn inner(_op: &Self::Op) -> Option<&dyn Debug> {
        None
    }
    /// What a step meets that is rare: how often it does is counted.
    fn meets(_op: &Self::Op, _side: &mut Side, _world: &Self::World) -> Vec<&'static str> {
        Vec::new()
    }
    /// Starts the driver's own knowledge.
    fn model(spec: &Self::Spec) -> Self::Model;
    /// Decides whether two answers agree; anything that is not explicitly allowed to differ must be
    /// equal.
    fn judge(
        model: &mut Self::Model,
        world: &Self::World,
        op: &Self::Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String>;
    /// Decides whether the effects of a step agree.
    fn same_effects(model: &mut Self::Model, op: &Self::Op, c: &[Entry], rust: &[Entry]) -> bool;
    /// Whether C may go on with freed memory after a step: two sides of C do not compare then.
    fn leaves_c_behind(_op: &Self::Op) -> bool {
        false
    }
    /// Whether the sides may go apart from here on, because what they read does not hold together,
    /// and by which rule. Then Rust goes on alone, and has to survive.
    fn may_part(_model: &Self::Model) -> Option<&'static str> {
        None
    }
    /// Changes C's world where a rule says what is right there and C leaves something else, after
    /// the answers and the effects of a step agreed. Then the worlds are compared, and the case
    /// goes on.
    fn put_right(_model: &mut Self::Model, _c: &mut Self::World) {}
    /// Compares what lies outside the arenas, or is kept private there because it need not be equal
    /// word by word. Without a model nothing may differ.
    fn compare(
        _model: Option<&Self::Model>,
        _c: (&mut Side, &Self::World),
        _rust: (&mut Side, &Self::World),
    ) -> Result<(), String> {
        Ok(())
    }
    /// What a reader of the result has to know of the second side.
    fn note(_rust: &Image) -> Option<&'static str> {
        None
    }
    /// The steps after which nothing may be allocated.
    fn end() -> Vec<Self::Op>;
    /// Carries out the rows of the benchmark on one side.
    fn bench(side: &mut Side, api: &Self::Api, meter: &mut Meter);
    /// Carries out the rows that count Xen's allocator as well.
    fn bench_allocating(
        _side: &mut Side,
        _api: &Self::Api,
        _meter: &mut Meter,
        _frames: &Frames,
    ) -> Result<()> {
        Ok(())
    }
}

/// The part of a [`Subject`] that stands in files which each subject has.
macro_rules! files {
    () => {
        type World = world::World;
        type Op = op::Op;
        type Model = model::Model;

        fn import(name: &str) -> Option<$crate::loader::Import> {
            fakes::import(name)
        }

        fn generate(rng: &mut $crate::rng::Rng) -> $crate::subject::Case<Self> {
            generate::case(rng)
        }

        fn build(side: &mut $crate::side::Side, spec: &Self::Spec) -> Self::World {
            world::World::build(side, spec)
        }

        fn perform(
            side: &mut $crate::side::Side,
            api: &Self::Api,
            world: &mut Self::World,
            op: &Self::Op,
            script: $crate::side::Script,
        ) -> Option<$crate::answer::Answer> {
            perform::perform(side, api, world, op, script)
        }

        fn bench(side: &mut $crate::side::Side, api: &Self::Api, meter: &mut $crate::meter::Meter) {
            bench::rows(side, api, meter);
        }

        fn api(image: &$crate::loader::Image) -> anyhow::Result<Self::Api> {
            Self::Api::new(image)
        }

        fn model(spec: &Self::Spec) -> Self::Model {
            model::Model::new(spec)
        }

        fn judge(
            model: &mut Self::Model,
            world: &Self::World,
            op: &Self::Op,
            c: &$crate::answer::Answer,
            rust: &$crate::answer::Answer,
        ) -> Result<$crate::subject::Verdict, String> {
            model.judge(world, op, c, rust)
        }

        fn same_effects(
            model: &mut Self::Model,
            op: &Self::Op,
            c: &[$crate::trace::Entry],
            rust: &[$crate::trace::Entry],
        ) -> bool {
            model.same_effects(op, c, rust)
        }
    };
}

pub(crate) use files;

/// What follows from answers that agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The case goes on.
    Continue,
    /// The sides may part here, and nothing that comes after would compare.
    End,
    /// As before, but Rust goes on alone, and has to survive. The rule is inside; the step is not
    /// compared, because the sides did different things.
    Alone(&'static str),
    /// The same, but the step is compared as any other: C goes wrong later.
    AloneAfter(&'static str),
}

/// A world and what is done to it.
pub(crate) struct Case<S: Subject> {
    /// The world.
    pub(crate) spec: S::Spec,
    /// The steps, each with what Xen's functions answer meanwhile.
    pub(crate) steps: Vec<(S::Op, Script)>,
}

// Not derived, because that would ask the same of the subject itself.
impl<S: Subject> Clone for Case<S> {
    fn clone(&self) -> Self {
        Self {
            spec: self.spec.clone(),
            steps: self.steps.clone(),
        }
    }
}
