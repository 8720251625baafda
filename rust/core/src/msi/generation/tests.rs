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
        Self(AtomicU64::new(u64::from(number) << 32))
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    End,
    Changed,
    Learn,
}

fn step() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![Step::Begin, Step::End, Step::Changed, Step::Learn])
}

/// What the steps so far come to.
#[derive(Default)]
struct Reference {
    /// How many changes are under way.
    under_way: usize,
    /// The number that was kept, and whether nothing has changed since.
    kept: Option<(u32, bool)>,
}

impl Reference {
    fn follow(&mut self, generation: &Generation, step: Step) {
        match step {
            Step::Begin => {
                generation.begin();
                self.under_way += 1;
                self.forget();
            }
            Step::End if self.under_way == 0 => {}
            Step::End => {
                generation.end();
                self.under_way -= 1;
            }
            Step::Changed => {
                generation.changed();
                self.forget();
            }
            Step::Learn => {
                let seen = generation.current();
                assert_eq!(seen.is_some(), self.under_way == 0);
                self.kept = seen.map(|seen| (seen.number(), true)).or(self.kept);
            }
        }
        assert!(!generation.is(0));
        if let Some((number, holds)) = self.kept {
            assert_ne!(number, 0);
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
        first in prop_oneof![Just(1), u32::MAX - 20..],
        steps in prop::collection::vec(step(), 0..40),
    ) {
        check(first, steps);
    }
}
