//! The protocol on one CPU, step by step; on several, in all interleavings, in `several`.

mod several;

use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

impl Generation {
    /// A generation with this number; nothing is under way.
    fn at(number: u32) -> Self {
        Self(AtomicU32::new(number))
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Announce,
    Settle,
    Changed,
    Learn,
}

fn step() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![
        Step::Announce,
        Step::Settle,
        Step::Changed,
        Step::Learn,
    ])
}

/// What the steps so far come to.
#[derive(Default)]
struct Reference {
    /// How many changes have been announced that the wait under way does not cover; none where
    /// no wait is under way.
    announced: Option<usize>,
    /// The number that was kept, and whether nothing has changed since.
    kept: Option<(u32, bool)>,
}

impl Reference {
    fn follow(&mut self, generation: &Generation, step: Step) {
        match step {
            Step::Announce => {
                assert_eq!(generation.changing(), self.announced.is_none());
                self.announced = Some(self.announced.map_or(0, |others| others + 1));
                self.forget();
            }
            // Only who waits may call it.
            Step::Settle => {
                if let Some(others) = self.announced {
                    assert_eq!(generation.settled(), others > 0);
                    self.announced = (others > 0).then_some(0);
                }
            }
            Step::Changed => {
                generation.changed();
                self.forget();
            }
            Step::Learn => {
                let seen = generation.current();
                assert_eq!(seen.is_some(), self.announced.is_none());
                self.kept = seen.map(|seen| (seen.number(), true)).or(self.kept);
            }
        }
        assert!(!generation.is(0));
        if let Some((number, holds)) = self.kept {
            assert_eq!(generation.is(number), holds, "{number} after {step:?}");
        }
    }

    fn forget(&mut self) {
        self.kept = self.kept.map(|(number, _)| (number, false));
    }
}

/// Checks some steps that begin in a generation.
fn check(first: u32, steps: Vec<Step>) {
    let steps = Arc::new(steps);
    loom::model(move || {
        let (generation, mut reference) = (Generation::at(first), Reference::default());
        for &step in steps.iter() {
            reference.follow(&generation, step);
        }
    });
}

proptest! {
    #[test]
    fn what_is_kept_holds_until_the_next_change(
        first in prop_oneof![Just(NEXT), (u32::MAX - 40..).prop_map(|n| n & !(CHANGING | AGAIN))],
        steps in prop::collection::vec(step(), 0..40),
    ) {
        check(first, steps);
    }

    #[test]
    fn the_next_generation_has_another_number_and_no_flags(now: u32) {
        let number = next(now);
        prop_assert_ne!(number, 0);
        prop_assert_eq!(number & (CHANGING | AGAIN), 0);
        prop_assert_ne!(number, now & !(CHANGING | AGAIN));
    }
}

#[test]
fn the_numbers_begin_anew_without_0() {
    assert_eq!(next(u32::MAX), NEXT);
    assert_eq!(next(!(CHANGING | AGAIN)), NEXT);
    assert_eq!(next(NEXT), 2 * NEXT);
}
