//! Chains of links that readers follow without a lock.
//!
//! One writer at a time changes a chain, under a lock. Readers are in RCU sections: they follow the
//! links with [`Ordering::Acquire`], and a link that is taken out is freed a grace period later.
//!
//! 1. A link leads on before it can be found, and what it is part of is written by then: a reader
//!    that finds it reaches all that was in the chain before.
//! 2. A link that is taken out leads on as before: a reader that is at it reaches the rest.

#[cfg(not(test))]
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicPtr;

/// Puts `link`, which has `next` in it and is in no chain, in front of a chain.
///
/// Context: the lock of the chain's writers is held.
pub fn insert<T>(head: &AtomicPtr<T>, link: *mut T, next: &AtomicPtr<T>) {
    next.store(head.load(Ordering::Relaxed), Ordering::Relaxed);
    head.store(link, Ordering::Release);
}

/// Takes `link`, which has `next` in it, out of a chain; `chain` is its head, and then the next of
/// each of its links.
///
/// Context: the lock of the chain's writers is held.
pub fn remove<'a, T: 'a>(
    mut chain: impl Iterator<Item = &'a AtomicPtr<T>>,
    link: *mut T,
    next: &AtomicPtr<T>,
) {
    if let Some(slot) = chain.find(|slot| slot.load(Ordering::Relaxed) == link) {
        slot.store(next.load(Ordering::Relaxed), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr;
    use std::vec;
    use std::vec::Vec;

    const LINKS: usize = 3;

    /// Some links, told apart by numbers that stand for their addresses.
    struct World {
        head: AtomicPtr<()>,
        next: [AtomicPtr<()>; LINKS],
        /// What a link is part of.
        content: [AtomicUsize; LINKS],
    }

    /// The address of the link with a number; null is none.
    fn address(number: usize) -> *mut () {
        ptr::without_provenance_mut(number + 1)
    }

    impl World {
        /// The chain 0, 1, and so on, of so many links.
        fn new(links: usize) -> Self {
            let lead = |to| {
                AtomicPtr::new(if to < links {
                    address(to)
                } else {
                    ptr::null_mut()
                })
            };
            Self {
                head: lead(0),
                next: [1, 2, 3].map(lead),
                content: [0, 1, 2].map(|number| AtomicUsize::new((number < links).into())),
            }
        }

        fn next_of(&self, link: *mut ()) -> Option<&AtomicPtr<()>> {
            self.next.get(link.addr().checked_sub(1)?)
        }

        /// The head, and the next of each link.
        fn slots(&self) -> impl Iterator<Item = &AtomicPtr<()>> {
            std::iter::successors(Some(&self.head), |slot| {
                self.next_of(slot.load(Ordering::Relaxed))
            })
        }

        /// The numbers of the links, as a reader finds them.
        fn walk(&self) -> Vec<usize> {
            let links = std::iter::successors(Some(self.head.load(Ordering::Acquire)), |link| {
                Some(self.next_of(*link)?.load(Ordering::Acquire))
            });
            let found = links.map_while(|link| link.addr().checked_sub(1));
            found
                .inspect(|number| {
                    let written = self.content[*number].load(Ordering::Relaxed);
                    assert_eq!(written, 1, "a link is found before it is written");
                })
                .collect()
        }

        fn write(&self, number: usize) {
            self.content[number].store(1, Ordering::Relaxed);
        }
    }

    /// Has a reader walk along a chain of so many links while a writer changes it; all that it can
    /// find.
    fn found(links: usize, change: fn(&World)) -> Vec<Vec<usize>> {
        let all = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let result = all.clone();
        loom::model(move || {
            let world = Arc::new(World::new(links));
            let reader = world.clone();
            let reader = thread::spawn(move || reader.walk());
            change(&world);
            let walk = reader.join().expect("the reader panicked");
            all.lock().expect("it was not held").push(walk);
        });
        let mut all = std::mem::take(&mut *result.lock().expect("it was not held"));
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn a_reader_finds_all_that_stays_while_a_link_comes() {
        let come = found(2, |world| {
            world.write(2);
            insert(&world.head, address(2), &world.next[2]);
        });
        assert_eq!(come, [vec![0, 1], vec![2, 0, 1]]);
    }

    #[test]
    fn a_reader_finds_all_that_stays_while_a_link_goes() {
        for (number, rest) in [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])] {
            let go: fn(&World) = match number {
                0 => |world| remove(world.slots(), address(0), &world.next[0]),
                1 => |world| remove(world.slots(), address(1), &world.next[1]),
                _ => |world| remove(world.slots(), address(2), &world.next[2]),
            };
            let gone = found(3, go);
            assert!(gone.contains(&rest.to_vec()), "{number}: {gone:?}");
            assert!(gone.contains(&vec![0, 1, 2]), "{number}: {gone:?}");
            assert_eq!(gone.len(), 2, "{number}: {gone:?}");
        }
    }

    #[test]
    fn a_link_that_is_in_no_chain_changes_none() {
        let same = found(2, |world| {
            remove(world.slots(), address(2), &world.next[2]);
        });
        assert_eq!(same, [[0, 1]]);
    }

    #[test]
    fn publication_is_a_release() {
        let relaxed = || {
            found(2, |world| {
                world.write(2);
                world.next[2].store(address(0), Ordering::Relaxed);
                world.head.store(address(2), Ordering::Relaxed);
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(relaxed)).is_err());
    }
}
