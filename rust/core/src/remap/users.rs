//! Whether a remapping table has no more than one user, without a look each time.
//!
//! Whose messages go through a table is what the IOMMU's device table says, and other code writes
//! that. What is cached of a changed entry must be invalidated for each user. The steps:
//!
//! 1. Who is about to point an entry of the device table to a remapping table counts that
//!    ([`Pointers::count`]).
//! 2. Who has changed an entry of a remapping table compares the count with what it was when the
//!    table was last seen to have one user ([`Alone::holds`]). If they are equal, it still has.
//! 3. Else the users are looked for, and the count is read *before* that ([`Alone::look`]): a
//!    pointer that is counted meanwhile may be overlooked, and so it is looked for again next time.
//!
//! Changing an entry is a full barrier, and so is counting. A user whose pointer is counted after
//! the comparison finds the changed entry.

use core::sync::atomic::{AtomicU64, Ordering};

/// How often an entry of a device table was pointed to a remapping table, counted from 1.
#[derive(Debug)]
pub struct Pointers(AtomicU64);

impl Pointers {
    /// None yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// Counts one that is about to be written.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Default for Pointers {
    fn default() -> Self {
        Self::new()
    }
}

/// What the count was when a table was last seen to have no more than one user; zero for never.
/// Used under the table's lock.
#[derive(Debug, Default)]
pub struct Alone(u64);

impl Alone {
    /// Whether the table has no more than one user, as far as that is known. The entry was changed
    /// before.
    #[inline(always)]
    pub fn holds(&self, pointers: &Pointers) -> bool {
        self.0 == pointers.now()
    }

    /// Has `look` look for the users, and notes that there is no more than one, where it says so.
    #[inline(always)]
    pub fn look(&mut self, pointers: &Pointers, look: impl FnOnce() -> bool) {
        let now = pointers.now();
        if look() {
            self.0 = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_looked_at_again_after_a_new_pointer() {
        let (pointers, mut alone) = (Pointers::new(), Alone::default());
        assert!(!alone.holds(&pointers), "it was never looked at");
        alone.look(&pointers, || false);
        assert!(!alone.holds(&pointers), "it has several users");
        alone.look(&pointers, || true);
        assert!(alone.holds(&pointers));
        pointers.count();
        assert!(!alone.holds(&pointers), "it may have another user");
        alone.look(&pointers, || true);
        assert!(alone.holds(&pointers));
    }

    #[test]
    fn a_pointer_that_comes_during_the_look_is_looked_for_again() {
        let (pointers, mut alone) = (Pointers::new(), Alone::default());
        alone.look(&pointers, || {
            // Another CPU; its pointer is written after the place where this one has looked.
            pointers.count();
            true
        });
        assert!(!alone.holds(&pointers));
    }
}
