//! The vectors whose EOIs by a guest may end a machine's interrupt: those of virtual MSIs that
//! stand for an interrupt that cannot be masked.
//!
//! 1. Who binds such an interrupt inserts its vector, with the domain's event lock held, before the
//!    interrupt can come ([`Vectors::insert`]).
//! 2. A guest's EOI asks first, without a lock ([`Vectors::contains`]). Where the vector is not in,
//!    there is nothing to end.
//! 3. Who unbinds one, or gives it another vector, removes the old one when no interrupt comes with
//!    it any more, unless another binding has it ([`Vectors::remove`]).
//!
//! A guest that ends what it was sent finds the vector: that it was sent is behind step 1. A guest
//! that ends what it was not sent finds the vector or not, and ends nothing either way.

#[cfg(not(test))]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicU64;

/// A set of vectors, which one changes at a time. Zero bytes are the empty one.
#[derive(Debug)]
#[repr(transparent)]
pub struct Vectors([AtomicU64; 4]);

impl Vectors {
    /// The empty set.
    #[cfg(not(test))]
    pub const fn empty() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }

    /// The word that a vector is in, and its bit there.
    #[inline]
    fn place(&self, vector: u8) -> (&AtomicU64, u64) {
        (&self.0[usize::from(vector >> 6)], 1 << (vector & 63))
    }

    /// Returns whether a vector is in.
    ///
    /// Context: any.
    #[inline]
    pub fn contains(&self, vector: u8) -> bool {
        let (word, bit) = self.place(vector);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// Inserts a vector.
    ///
    /// Context: the domain's event lock is held for writing.
    pub fn insert(&self, vector: u8) {
        let (word, bit) = self.place(vector);
        word.fetch_or(bit, Ordering::Relaxed);
    }

    /// Removes a vector, unless it is one of the others that are bound.
    ///
    /// Context: as for [`Self::insert`].
    pub fn remove(&self, vector: u8, others: impl IntoIterator<Item = u8>) {
        if others.into_iter().all(|other| other != vector) {
            let (word, bit) = self.place(vector);
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::atomic::AtomicBool;
    use loom::sync::{Arc, Mutex};
    use loom::thread;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    fn empty() -> Vectors {
        Vectors([0; 4].map(AtomicU64::new))
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Bind(u8),
        Unbind(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let vector = prop_oneof![0u8..4, 62u8..66, any::<u8>()];
        let step = prop_oneof![
            vector.clone().prop_map(Step::Bind),
            vector.prop_map(Step::Unbind)
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        /// Several bindings may have one vector.
        #[test]
        fn those_are_in_that_a_binding_has(steps in steps()) {
            loom::model(move || {
                let vectors = empty();
                let mut bound = BTreeMap::<u8, usize>::new();
                for step in &steps {
                    match *step {
                        Step::Bind(vector) => {
                            vectors.insert(vector);
                            *bound.entry(vector).or_default() += 1;
                        }
                        Step::Unbind(vector) => {
                            let Some(count) = bound.get_mut(&vector) else { continue };
                            *count -= 1;
                            if *count == 0 {
                                bound.remove(&vector);
                            }
                            vectors.remove(vector, bound.keys().copied());
                        }
                    }
                }
                for vector in 0..=u8::MAX {
                    assert_eq!(vectors.contains(vector), bound.contains_key(&vector));
                }
            });
        }
    }

    /// One of two bindings of a vector goes, or one comes, while the interrupt of the other is sent
    /// and ended; `early` says that a vector is inserted before its interrupt comes.
    fn ended_while_bound(early: bool) {
        const VECTOR: u8 = 0x41;
        let vectors = Arc::new(empty());
        let event_lock = Arc::new(Mutex::new(1));
        let sent = Arc::new(AtomicBool::new(false));
        vectors.insert(VECTOR);
        let unbinds = {
            let (vectors, event_lock) = (vectors.clone(), event_lock.clone());
            thread::spawn(move || {
                let mut bound = event_lock.lock().expect("nothing panics");
                *bound -= 1;
                vectors.remove(VECTOR, (0..*bound).map(|_| VECTOR));
            })
        };
        let guest = {
            let (vectors, sent) = (vectors.clone(), sent.clone());
            thread::spawn(move || {
                if sent.load(Ordering::Acquire) {
                    assert!(vectors.contains(VECTOR), "not ended");
                }
            })
        };
        let bind = |bound: &mut i32| {
            *bound += 1;
            if early {
                vectors.insert(VECTOR);
            }
            sent.store(true, Ordering::Release);
            if !early {
                vectors.insert(VECTOR);
            }
        };
        bind(&mut event_lock.lock().expect("nothing panics"));
        unbinds.join().expect("no CPU fails");
        guest.join().expect("no CPU fails");
        assert!(vectors.contains(VECTOR));
    }

    #[test]
    fn what_was_sent_is_ended() {
        loom::model(|| ended_while_bound(true));
    }

    #[test]
    #[should_panic(expected = "not ended")]
    fn a_vector_is_in_before_its_interrupt_comes() {
        loom::model(|| ended_while_bound(false));
    }
}
