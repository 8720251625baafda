//! How a remapping table changes while devices send through it.
//!
//! An IOMMU reads entries whenever a message arrives, and caches what it read. The steps:
//!
//! 1. Under the table's lock an entry is replaced in one piece and written back ([`set`],
//!    [`clear`]). An entry that would not change is left alone: an invalidation costs more than all
//!    the rest.
//! 2. What the IOMMU caches of the old entry is invalidated ([`Stale::invalidate`]). That needs no
//!    lock: an IOMMU that does not answer then blocks only the CPU that waits for it.
//! 3. Entries that were cleared are free once their invalidation completed, and not before
//!    ([`Cleared::free`], under the lock again): until then their next owner's messages could use
//!    the old entry, and the old owner's the new one.
//!
//! The results of each step are what the next one takes, so that none can be left out.

use super::slots::{Block, Slots};

/// A table in memory, as software uses it.
pub trait Table {
    /// An entry, as it stands in memory; the default one is not present.
    type Entry: Copy + Default + PartialEq;

    /// What an entry may be set to.
    type New: Into<Self::Entry>;

    /// Whether the IOMMU may cache that an entry was not present (VT-d, section 6.1: caching mode).
    const CACHES_ABSENT: bool;

    /// Reads an entry.
    fn entry(&mut self, index: usize) -> Self::Entry;

    /// Replaces an entry that was read before, in one piece.
    fn replace(&mut self, index: usize, old: Self::Entry, new: Self::Entry);

    /// Makes an entry's memory visible to an IOMMU that does not snoop the processors' caches.
    fn write_back(&mut self, index: usize);
}

/// Entries that changed, and that the IOMMU may still use as they were before.
#[must_use = "the IOMMU may use the old entries until they are invalidated"]
#[derive(Debug, PartialEq, Eq)]
pub struct Stale(Option<Block>);

impl Stale {
    /// Has `invalidate` invalidate the entries, if there are any; it returns when that has
    /// completed.
    #[inline(always)]
    pub fn invalidate(self, invalidate: impl FnOnce(Block)) {
        if let Some(block) = self.0 {
            invalidate(block);
        }
    }
}

/// A block whose entries were cleared, that is still in use, and whose entries the IOMMU may cache.
#[must_use = "the block stays in use until it is invalidated and freed"]
#[derive(Debug, PartialEq, Eq)]
pub struct Cleared(Block);

/// A block that is still in use, though no message can use its entries any more.
#[must_use = "the block stays in use until it is freed"]
#[derive(Debug, PartialEq, Eq)]
pub struct Unused(Block);

impl Cleared {
    /// Has `invalidate` invalidate the entries; it returns when that has completed.
    #[inline(always)]
    pub fn invalidate(self, invalidate: impl FnOnce(Block)) -> Unused {
        invalidate(self.0);
        Unused(self.0)
    }
}

impl Unused {
    /// Frees the block. The table's lock is held.
    #[inline(always)]
    pub fn free<const GROUPS: usize>(self, slots: &mut Slots<GROUPS>) {
        slots.release(self.0);
    }
}

/// Sets an entry that is in use. The table's lock is held.
// Names of generic functions grow beyond what Xen's symbol table takes, so these are a part of
// their callers.
#[inline(always)]
pub fn set<T: Table>(table: &mut T, index: usize, entry: T::New) -> Stale {
    let old = table.entry(index);
    change(table, index, old, entry)
}

/// Sets an entry that is in use, and that was read while the table's lock was held as now.
#[inline(always)]
pub fn change<T: Table>(table: &mut T, index: usize, old: T::Entry, entry: T::New) -> Stale {
    let new = entry.into();
    if old == new {
        return Stale(None);
    }
    table.replace(index, old, new);
    table.write_back(index);
    let cached = T::CACHES_ABSENT || old != T::Entry::default();
    Stale(cached.then(|| Block::one(index)))
}

/// Clears the entries of a block, which stays in use. `None` where not all of it was in use;
/// nothing changes then. The table's lock is held.
#[inline(always)]
pub fn clear<const GROUPS: usize, T: Table>(
    slots: &Slots<GROUPS>,
    table: &mut T,
    block: Block,
) -> Option<Cleared> {
    if !slots.holds(block) {
        return None;
    }
    for index in block.entries() {
        let old = table.entry(index);
        table.replace(index, old, T::Entry::default());
        table.write_back(index);
    }
    Some(Cleared(block))
}
