//! Numbers that several CPUs allocate and free without a lock.
//!
//! 1. A number is allocated by one exchange of its word, so that no two CPUs get the same.
//! 2. What was done with a number before it was freed comes before what is done with it after it is
//!    allocated again: the one is a release, the other an acquire.

#[cfg(not(test))]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicU64;

/// Which numbers from 0 on are allocated: 64 for each word, a bit for each.
#[derive(Debug)]
pub struct Numbers<const WORDS: usize>([AtomicU64; WORDS]);

impl<const WORDS: usize> Numbers<WORDS> {
    /// None is allocated.
    #[cfg(not(test))]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// Allocates the lowest number that is free; `None` where none is.
    pub fn allocate(&self) -> Option<u32> {
        for (index, word) in self.0.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != u64::MAX {
                let free = bits.trailing_ones();
                match word.compare_exchange(
                    bits,
                    bits | 1 << free,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(index as u32 * 64 + free),
                    Err(other) => bits = other,
                }
            }
        }
        None
    }

    /// Frees a number; one that there is not is ignored.
    pub fn free(&self, number: u32) {
        if let Some(word) = self.0.get(number as usize / 64) {
            word.fetch_and(!(1 << (number % 64)), Ordering::Release);
        }
    }
}

#[cfg(not(test))]
impl<const WORDS: usize> Default for Numbers<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;
    use std::vec::Vec;

    /// Two words that hold these bits.
    fn numbers(words: [u64; 2]) -> Numbers<2> {
        Numbers(words.map(AtomicU64::new))
    }

    #[test]
    fn the_lowest_free_number_is_allocated() {
        loom::model(|| {
            let numbers = numbers([!(1 << 63), !0b11]);
            let allocated: Vec<_> = (0..4).map(|_| numbers.allocate()).collect();
            assert_eq!(allocated, [Some(63), Some(64), Some(65), None]);
            numbers.free(64);
            numbers.free(7);
            numbers.free(128);
            let allocated: Vec<_> = (0..3).map(|_| numbers.allocate()).collect();
            assert_eq!(allocated, [Some(7), Some(64), None]);
        });
    }

    #[test]
    fn two_cpus_get_different_numbers() {
        for (words, mut expected) in [
            ([!0b11, !0], [Some(0), Some(1)]),
            ([!(1 << 63), !1], [Some(63), Some(64)]),
            ([!0, !1], [Some(64), None]),
        ] {
            expected.sort_unstable();
            loom::model(move || {
                let all = Arc::new(numbers(words));
                let other = all.clone();
                let other = thread::spawn(move || other.allocate());
                let own = all.allocate();
                let mut both = [own, other.join().expect("it does not panic")];
                both.sort_unstable();
                assert_eq!(both, expected);
                assert_eq!(all.allocate(), None);
            });
        }
    }

    #[test]
    fn a_number_that_is_freed_meanwhile_does_not_free_another() {
        loom::model(|| {
            let all = Arc::new(numbers([!0b10, !0]));
            let other = all.clone();
            let other = thread::spawn(move || other.free(0));
            let own = all.allocate();
            other.join().expect("it does not panic");
            let rest = all.allocate();
            let mut both = [own, rest];
            both.sort_unstable();
            assert_eq!(both, [Some(0), Some(1)]);
            assert_eq!(all.allocate(), None);
        });
    }

    #[test]
    fn what_was_done_with_a_number_is_over_when_it_is_allocated_again() {
        loom::model(|| {
            let all = Arc::new((numbers([!0, !0]), AtomicUsize::new(1)));
            let other = all.clone();
            let other = thread::spawn(move || {
                let (numbers, users) = &*other;
                users.store(0, Ordering::Relaxed);
                numbers.free(3);
            });
            let (numbers, users) = &*all;
            if numbers.allocate() == Some(3) {
                assert_eq!(users.load(Ordering::Relaxed), 0);
            }
            other.join().expect("it does not panic");
        });
    }
}
