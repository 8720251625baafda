//! One CPU step by step; several in all interleavings, with all values that a weakly ordered memory
//! may answer.

pub(super) mod ordered;

use super::*;
use loom::sync::Arc;
use loom::thread;
use proptest::prelude::*;
use std::vec::Vec;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u32),
    Learn(u32),
    Lose,
    Settle(Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u32>().prop_map(Step::Write),
        any::<u32>().prop_map(Step::Learn),
        Just(Step::Lose),
        any::<Option<u32>>().prop_map(Step::Settle),
    ]
}

fn carry_out(word: &Word, step: Step) {
    match step {
        Step::Write(value) => word.write(value),
        Step::Learn(value) => word.learn(value),
        Step::Lose => word.lose(),
        Step::Settle(value) => word.settle(value),
    }
}

/// What a word must hold after some steps, told from the last of them that counts.
fn expected(steps: &[Step]) -> Option<u32> {
    let last = steps
        .iter()
        .rposition(|step| !matches!(step, Step::Learn(_)));
    match last.map(|at| (at, steps[at])) {
        Some((_, Step::Write(value))) => Some(value),
        Some((at, Step::Settle(written))) => {
            expected(&steps[..at]).filter(|value| Some(*value) == written)
        }
        Some((_, Step::Lose)) => None,
        _ => steps.iter().find_map(|step| match step {
            Step::Learn(value) => Some(*value),
            _ => None,
        }),
    }
}

proptest! {
    #[test]
    fn a_word_is_the_last_write_or_the_first_answer(
        steps in prop::collection::vec(step(), 0..12),
    ) {
        loom::model(move || {
            let word = Word::default();
            steps.iter().for_each(|step| carry_out(&word, *step));
            assert_eq!(word.get(), expected(&steps));
        });
    }

    #[test]
    fn a_word_that_was_settled_is_written_or_lost(value: u32, other: u32, learned: u32) {
        loom::model(move || {
            let word = Word::default();
            word.write(value);
            word.settle(Some(value));
            assert_eq!(word.get(), Some(value));
            word.settle(Some(other).filter(|other| *other != value));
            word.learn(learned);
            assert_eq!(word.get(), None);
        });
    }

    #[test]
    fn the_words_of_an_entry_are_apart(address: u64, data: u32) {
        loom::model(move || {
            let entry = Entry::default();
            entry.write_address(address);
            assert_eq!(entry.data(), None);
            entry.write_data(data);
            assert_eq!(entry.address(), Some(address));
            assert_eq!(entry.data(), Some(data));
            let words: Vec<_> = (0..3).map(|i| entry.word(i).and_then(Word::get)).collect();
            let halves = [address as u32, (address >> 32) as u32];
            assert_eq!(words, [Some(halves[0]), Some(halves[1]), Some(data)]);
            assert!(entry.word(3).is_none());
        });
    }

    #[test]
    fn half_an_address_is_none(low: bool, value: u32) {
        loom::model(move || {
            let entry = Entry::default();
            entry.word(usize::from(!low)).expect("a word of the address").write(value);
            assert_eq!(entry.address(), None);
        });
    }
}

#[test]
fn modification_is_told_once() {
    loom::model(|| {
        let entry = Entry::default();
        assert!(!entry.take_modified());
        entry.change(|_| ());
        entry.change(|_| ());
        assert!(entry.take_modified());
        assert!(!entry.take_modified());
    });
}

#[test]
fn an_entry_has_the_irq_that_was_bound_last() {
    loom::model(|| {
        let entry = Entry::default();
        assert_eq!(entry.irq(), None);
        entry.set_irq(Some(77));
        assert_eq!(entry.irq(), Some(77));
        entry.set_irq(None);
        assert_eq!(entry.irq(), None);
    });
}

/// The answer to one vCPU's read comes while another vCPU writes.
#[test]
fn an_answer_never_takes_the_place_of_a_write() {
    for (step, left) in [(Step::Write(1), Some(1)), (Step::Lose, None)] {
        loom::model(move || {
            let word = Arc::new(Word::default());
            let reader = word.clone();
            let reader = thread::spawn(move || reader.learn(2));
            carry_out(&word, step);
            reader.join().expect("it does not panic");
            assert_eq!(word.get(), left);
        });
    }
}

/// Two answers come at once, one of them before the table was set up as it is now: either may stay,
/// and is not replaced.
#[test]
fn the_first_of_two_answers_stays() {
    loom::model(|| {
        let word = Arc::new(Word::default());
        let other = word.clone();
        let other = thread::spawn(move || {
            other.learn(1);
            other.get()
        });
        word.learn(2);
        let seen = word.get();
        assert!(seen.is_some());
        assert_eq!(other.join().expect("it does not panic"), seen);
        assert_eq!(word.get(), seen);
    });
}

/// One vCPU changes the message while another unmasks the entry, whose last change is noted still.
/// The unmask that waits for the device model has seen the change, or the next one will wait.
#[test]
fn a_change_is_noted_until_an_unmask_that_finds_it() {
    loom::model(|| {
        let entry = Arc::new(Entry::default());
        entry.change(|entry| entry.write_data(1));
        let other = entry.clone();
        let other = thread::spawn(move || other.take_modified().then(|| other.data()));
        entry.change(|entry| entry.write_data(2));
        let found = other.join().expect("it does not panic");
        assert!(entry.take_modified() || found == Some(Some(2)));
    });
}

/// One vCPU finds an IRQ that has just been bound: it finds its MSI, too, which was set up before.
#[test]
fn an_irq_that_is_found_is_set_up() {
    loom::model(|| {
        let entry = Arc::new((Entry::default(), ordered::AtomicU32::new(0)));
        let other = entry.clone();
        let other = thread::spawn(move || {
            let (entry, msi) = &*other;
            msi.store(1, Ordering::Relaxed);
            entry.set_irq(Some(77));
        });
        let (entry, msi) = &*entry;
        assert!(entry.irq().is_none() || msi.load(Ordering::Relaxed) == 1);
        other.join().expect("it does not panic");
    });
}
