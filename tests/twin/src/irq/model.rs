//! What C answers or leaves behind where Rust does not.

use super::op::Op;
use super::spec::{Mask, Spec};
use super::world::World;
use crate::answer::Answer;
use crate::subject::Verdict;
use crate::trace::Entry;

/// The rules need no more than the worlds.
pub(crate) struct Model;

impl Model {
    pub(super) fn new(_spec: &Spec) -> Self {
        Self
    }

    /// Decides whether the effects of a step agree.
    pub(super) fn same_effects(&self, _op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        c == rust
    }

    /// Decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        _op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        if let Err(trap) = &c.outcome {
            return Err(format!("C ends by {trap:?}"));
        }
        if let Err(trap) = &rust.outcome {
            return Err(format!("Rust ends by {trap:?}"));
        }
        // 1. An IRQ that returns to its old place has its vector again on those CPUs that had not
        //    cleaned up, and does not return if there is none; with C, on all of them, where
        //    others may have the vector meanwhile.
        if world.returned {
            return Ok(Verdict::Alone);
        }
        if c != rust {
            return Err("the answers differ".to_owned());
        }
        // 2. Of an IRQ that is destroyed while CPUs have yet to clean up, C keeps the old place,
        //    and another IRQ of that number gets it.
        // 3. C counts a CPU that has cleaned up when it goes offline, too.
        // 4. C may send what is pending on a CPU that goes offline to another that is offline; Rust
        //    sends it to one that is not, or nowhere.
        if world.left_to_clean_up || world.counted_again || world.platform.lost {
            return Ok(Verdict::Alone);
        }
        Ok(Verdict::Continue)
    }

    /// Whether the CPUs of an old place agree: C keeps those in it that have cleaned up, as long as
    /// others have not.
    pub(super) fn same_old_cpus(
        c: &Mask,
        rust: &Mask,
        has_cleaned: impl Fn(usize) -> bool,
    ) -> bool {
        (0..c.len() * 64).all(|cpu| {
            let [c, rust] = [c, rust].map(|mask| super::spec::has(mask, cpu));
            c == rust || c && has_cleaned(cpu)
        })
    }
}
