//! How a remapping table changes while devices send through it.
//!
//! An IOMMU reads entries whenever a message arrives, and keeps what it read. So an entry is replaced in one piece, what the
//! IOMMU keeps of the old one is invalidated before anybody relies on the new one, and an entry that was given up is nobody
//! else's before no message can use it any more. An entry that would not change is left alone: an invalidation costs more
//! than all the rest.

use super::slots::{Block, Slots};

/// A table in memory, and the IOMMU that reads it.
pub trait Table {
    /// An entry, as it stands in memory; the default one is not present.
    type Entry: Copy + Default + PartialEq;

    /// What an entry may be set to.
    type New: Into<Self::Entry>;

    /// Whether the IOMMU may keep that an entry was not present (VT-d, section 6.1: caching mode).
    const CACHES_ABSENT: bool;

    /// Reads an entry.
    fn entry(&mut self, index: usize) -> Self::Entry;

    /// Replaces an entry that was read before, in one piece.
    fn replace(&mut self, index: usize, old: Self::Entry, new: Self::Entry);

    /// Makes an entry's memory visible to an IOMMU that does not snoop the processors' caches.
    fn write_back(&mut self, index: usize);

    /// Makes the IOMMU forget what it keeps of a block's entries; returns when it has.
    fn invalidate(&mut self, block: Block);
}

/// Sets an entry that is in use. The table's lock is held.
// Names of generic functions grow beyond what Xen's symbol table takes, so these are a part of their callers.
#[inline(always)]
pub fn set<T: Table>(table: &mut T, index: usize, entry: T::New) {
    let new = entry.into();
    let old = table.entry(index);
    if old == new {
        return;
    }
    table.replace(index, old, new);
    table.write_back(index);
    if T::CACHES_ABSENT || old != T::Entry::default() {
        table.invalidate(Block::one(index));
    }
}

/// Gives a block back. Returns whether all of it was in use; otherwise nothing changes. The table's lock is held.
#[inline(always)]
pub fn release<const WORDS: usize, T: Table>(
    slots: &mut Slots<WORDS>,
    table: &mut T,
    block: Block,
) -> bool {
    if !slots.holds(block) {
        return false;
    }
    for index in block.entries() {
        let old = table.entry(index);
        table.replace(index, old, T::Entry::default());
        table.write_back(index);
    }
    table.invalidate(block);
    slots.release(block)
}
