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

    /// Replaces an entry, in one piece.
    fn replace(&mut self, index: usize, entry: Self::Entry);

    /// Makes an entry's memory visible to an IOMMU that does not snoop the processors' caches.
    fn write_back(&mut self, index: usize);

    /// Makes the IOMMU forget what it keeps of a block's entries; returns when it has.
    fn invalidate(&mut self, block: Block);
}

/// A table with the knowledge of which entries are in use. Whoever holds this holds the table's lock.
pub struct Remap<'a, const WORDS: usize, T> {
    slots: &'a mut Slots<WORDS>,
    table: T,
}

impl<'a, const WORDS: usize, T: Table> Remap<'a, WORDS, T> {
    /// Puts both together.
    #[inline]
    pub fn new(slots: &'a mut Slots<WORDS>, table: T) -> Self {
        Self { slots, table }
    }

    /// Takes a block for `count` entries into use; none of them is present. `None` where none is left, or `count` is not 1
    /// to 32.
    #[inline(always)]
    pub fn allocate(&mut self, count: usize) -> Option<Block> {
        self.slots.allocate(count)
    }

    /// Reads an entry.
    #[inline]
    pub fn entry(&mut self, index: usize) -> T::Entry {
        self.table.entry(index)
    }

    /// Sets an entry that is in use.
    // Names of generic functions grow beyond what Xen's symbol table takes.
    #[inline(always)]
    pub fn set(&mut self, index: usize, entry: T::New) {
        let entry = entry.into();
        let old = self.table.entry(index);
        if old == entry {
            return;
        }
        self.table.replace(index, entry);
        self.table.write_back(index);
        if T::CACHES_ABSENT || old != T::Entry::default() {
            self.table.invalidate(Block::one(index));
        }
    }

    /// Gives a block back. Returns whether all of it was in use; otherwise nothing changes.
    #[inline(always)]
    pub fn release(&mut self, block: Block) -> bool {
        if !self.slots.holds(block) {
            return false;
        }
        for index in block.entries() {
            self.table.replace(index, T::Entry::default());
            self.table.write_back(index);
        }
        self.table.invalidate(block);
        self.slots.release(block)
    }

    /// Returns whether an entry is in use, so that the table has one of that number.
    #[inline(always)]
    pub fn holds(&self, index: usize) -> bool {
        self.slots.holds(Block::one(index))
    }
}
