//! Which entries of an interrupt remapping table are in use.
//!
//! An aligned block of 1 to 32 entries is found, and given back, in constant time at any fill: entries are kept in groups of
//! 32, and for each size of block two levels of bits say where a group still has one. The lowest block is taken, so that
//! a table that is hardly used is used at its beginning alone.
//!
//! The owner has a lock; nothing here is shared.

use core::ops::Range;

/// Entries of a group, and of the largest block: an MSI has at most 32 messages (PCI 3.0, section 6.8.1.3).
pub const GROUP: usize = u32::BITS as usize;

/// Sizes of blocks: 1, 2, 4, 8, 16, 32.
const SIZES: usize = GROUP.ilog2() as usize + 1;

/// The places in a group where a block of each size may begin.
const STARTS: [u32; SIZES] = [
    0xffff_ffff,
    0x5555_5555,
    0x1111_1111,
    0x0101_0101,
    0x0001_0001,
    0x0000_0001,
];

/// The state of a table of `WORDS` times 64 groups; zeroed memory is a table of which nothing is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots<const WORDS: usize> {
    /// The entries in use.
    used: [[u32; 64]; WORDS],
    /// For each group, of how many sizes it has no block: of the largest ones.
    lost: [[u8; 64]; WORDS],
    /// For each size, the groups that have no block of it.
    full: [[u64; WORDS]; SIZES],
    /// For each size, the words of `full` in which every bit is set.
    none: [u64; SIZES],
    /// The group of which some entries are never handed out, counted from 1, and these; of none if zero.
    partial: (u32, u32),
}

/// A block of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    first: usize,
    /// Logarithm of how many there are.
    log2: usize,
}

impl Block {
    /// The block that an entry begins which holds `count` messages. `None` where there are none or more than 32, or no
    /// block of that size begins there.
    pub fn of(first: usize, count: usize) -> Option<Self> {
        let log2 = size(count)?;
        first
            .is_multiple_of(1 << log2)
            .then_some(Self { first, log2 })
    }

    /// A single entry.
    #[inline]
    pub const fn one(index: usize) -> Self {
        Self {
            first: index,
            log2: 0,
        }
    }

    /// The numbers of its entries.
    pub fn entries(self) -> Range<usize> {
        self.first..self.first + self.count()
    }

    /// The number of its first entry.
    pub const fn first(self) -> usize {
        self.first
    }

    /// The logarithm of how many entries it has.
    #[inline]
    pub const fn log2(self) -> usize {
        self.log2
    }

    /// How many entries it has: a power of two.
    pub const fn count(self) -> usize {
        1 << self.log2
    }

    /// Its group: the word of groups, and the place in there.
    const fn place(self) -> (usize, usize) {
        (self.first / GROUP / 64, self.first / GROUP % 64)
    }

    /// Its entries in their group.
    const fn mask(self) -> u32 {
        (u32::MAX >> (GROUP - self.count())) << (self.first % GROUP)
    }
}

/// The logarithm of the smallest block for that many entries.
fn size(count: usize) -> Option<usize> {
    (1..=GROUP)
        .contains(&count)
        .then(|| count.next_power_of_two().ilog2() as usize)
}

impl<const WORDS: usize> Slots<WORDS> {
    /// How many entries the table has.
    pub const ENTRIES: usize = WORDS * 64 * GROUP;

    /// A table of which nothing is in use.
    pub const fn new() -> Self {
        const {
            assert!(
                0 < WORDS && WORDS <= 64,
                "two levels of bits reach no further"
            )
        };
        Self {
            used: [[0; 64]; WORDS],
            lost: [[0; 64]; WORDS],
            full: [[0; WORDS]; SIZES],
            none: [0; SIZES],
            partial: (0, 0),
        }
    }

    /// Never hands out the entries from this number on, none of which is in use. For a table that is smaller.
    pub fn limit(&mut self, entries: usize) {
        let entries = entries.min(Self::ENTRIES);
        let (whole, kept) = (entries / GROUP, entries % GROUP);
        if kept != 0 {
            self.partial = (whole as u32 + 1, u32::MAX << kept);
        }
        for number in whole..Self::ENTRIES / GROUP {
            let place = (number / 64, number % 64);
            let left = if number == whole {
                sizes(u32::MAX << kept)
            } else {
                0
            };
            self.note(place, left);
        }
    }

    /// Takes the lowest block for `count` entries into use. `None` where none is left, or `count` is not 1 to 32.
    pub fn allocate(&mut self, count: usize) -> Option<Block> {
        let log2 = size(count)?;
        let word = (!self.none.get(log2)?).trailing_zeros() as usize;
        // Beyond the last word there is nothing: its bit is never set.
        let groups = *self.full.get(log2)?.get(word)?;
        let group = (!groups).trailing_zeros() as usize;
        let used = *self.used.get(word)?.get(group)?;
        let taken = used | self.withheld((word, group));
        let place = blocks(taken, log2).trailing_zeros() as usize;
        let block = Block {
            first: (word * 64 + group) * GROUP + place,
            log2,
        };
        self.toggle(block, taken | block.mask());
        Some(block)
    }

    /// Returns whether all entries of a block are in use.
    pub fn holds(&self, block: Block) -> bool {
        self.group(block)
            .is_some_and(|used| used & block.mask() == block.mask())
    }

    /// Gives a block back. Returns whether all of it was in use; otherwise nothing changes.
    pub fn release(&mut self, block: Block) -> bool {
        let Some(used) = self.group(block).filter(|_| self.holds(block)) else {
            return false;
        };
        let taken = used | self.withheld(block.place());
        self.toggle(block, taken & !block.mask());
        true
    }

    /// What is in use of the group that a block is in. `None` beyond the table's end.
    fn group(&self, block: Block) -> Option<u32> {
        let (word, group) = block.place();
        self.used.get(word)?.get(group).copied()
    }

    /// The entries of a group that are never handed out, while others of it are.
    fn withheld(&self, (word, group): (usize, usize)) -> u32 {
        let (number, entries) = self.partial;
        if number as usize == word * 64 + group + 1 {
            entries
        } else {
            0
        }
    }

    /// Takes a block into use, or gives it back; says what of its group cannot be had after that.
    fn toggle(&mut self, block: Block, taken: u32) {
        let (word, group) = block.place();
        let groups = self.used.get_mut(word);
        if let Some(used) = groups.and_then(|groups| groups.get_mut(group)) {
            *used ^= block.mask();
        }
        self.note((word, group), sizes(taken));
    }

    /// Notes how many sizes of block a group has left.
    fn note(&mut self, (word, group): (usize, usize), after: usize) {
        let lost = self.lost.get_mut(word);
        let Some(lost) = lost.and_then(|groups| groups.get_mut(group)) else {
            return;
        };
        let before = SIZES - usize::from(*lost);
        *lost = (SIZES - after) as u8;
        // Of most sizes there still is a block, or none.
        for log2 in before.min(after)..before.max(after) {
            let (Some(full), Some(none)) = (self.full.get_mut(log2), self.none.get_mut(log2))
            else {
                return;
            };
            let Some(full) = full.get_mut(word) else {
                return;
            };
            put(full, group, after < before);
            put(none, word, *full == u64::MAX);
        }
    }
}

impl<const WORDS: usize> Default for Slots<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where in a group a free block begins.
fn blocks(used: u32, log2: usize) -> u32 {
    // After each step a bit says whether anything is in use of twice as many entries from there on.
    let taken = (0..log2).fold(used, |taken, step| taken | taken >> (1u32 << step));
    STARTS.get(log2).map_or(0, |starts| starts & !taken)
}

/// How many sizes of block a group has left, from the smallest on: where there is a block, there are smaller ones.
#[inline]
fn sizes(used: u32) -> usize {
    let mut free = !used;
    let mut sizes = usize::from(free != 0);
    for log2 in 1..SIZES {
        // A bit stays where a block of this size begins.
        free &= free >> (1u32 << (log2 - 1)) & STARTS.get(log2).copied().unwrap_or(0);
        sizes += usize::from(free != 0);
    }
    sizes
}

fn put(word: &mut u64, bit: usize, value: bool) {
    *word = *word & !(1 << bit) | u64::from(value) << bit;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// What is expected, told from a list of all entries.
    #[derive(Default)]
    struct Model(Vec<bool>);

    impl Model {
        fn allocate(&mut self, count: usize) -> Option<usize> {
            let size = count.next_power_of_two();
            let first = (0..self.0.len()).step_by(size).find(|&first| {
                let block = self.0.get(first..first + size);
                block.is_some_and(|block| block.iter().all(|used| !used))
            })?;
            self.0[first..first + size].fill(true);
            Some(first)
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Allocate(usize),
        /// The n-th of the blocks that are in use.
        Release(usize),
        /// A block that may not be in use, or only in part.
        Forge(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1..=GROUP).prop_map(Step::Allocate),
            2 => any::<usize>().prop_map(Step::Release),
            1 => (0..2 * Slots::<1>::ENTRIES, 0..40usize).prop_map(|(first, count)| Step::Forge(first, count)),
        ]
    }

    proptest! {
        #[test]
        fn the_lowest_free_block_is_found(
            steps in prop::collection::vec(step(), 0..400),
            entries in prop_oneof![Just(usize::MAX), 0..2 * GROUP, 0..=Slots::<1>::ENTRIES],
        ) {
            let mut slots = Slots::<1>::new();
            slots.limit(entries);
            let mut model = Model(std::vec![false; Slots::<1>::ENTRIES.min(entries)]);
            let mut held = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate(count) => {
                        let block = slots.allocate(count);
                        prop_assert_eq!(block.map(Block::first), model.allocate(count));
                        if let Some(block) = block {
                            prop_assert!(block.count() >= count && block.count() < 2 * count);
                            held.push(block);
                        }
                    }
                    Step::Release(number) if !held.is_empty() => {
                        let block = held.swap_remove(number % held.len());
                        prop_assert!(slots.release(block));
                        model.0[block.first()..][..block.count()].fill(false);
                    }
                    Step::Release(_) => {}
                    Step::Forge(first, count) => {
                        let Some(block) = Block::of(first, count) else {
                            continue;
                        };
                        let entries = model.0.get_mut(first..first + block.count());
                        let in_use = entries.filter(|entries| entries.iter().all(|used| *used));
                        let before = slots.clone();
                        prop_assert_eq!(slots.release(block), in_use.is_some());
                        match in_use {
                            Some(entries) => {
                                entries.fill(false);
                                held.retain(|held| held.mask() & block.mask() == 0 || held.first() / GROUP != first / GROUP);
                                // Parts of larger blocks stay in use, owned by nobody here.
                            }
                            None => prop_assert_eq!(&slots, &before),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sizes_are_counted_as_blocks_are_found() {
        let mut used = 0x9e37_79b9u32;
        for step in 0..100_000u32 {
            used =
                used.rotate_left(step % 31).wrapping_mul(0x85eb_ca6b) & !used.rotate_left(7) ^ step;
            for used in [used, used | used << 16, used & used << 3, 0, u32::MAX] {
                let found = (0..SIZES).filter(|&log2| blocks(used, log2) != 0).count();
                assert_eq!(sizes(used), found, "{used:#x}");
                assert!((found..SIZES).all(|log2| blocks(used, log2) == 0));
            }
        }
    }

    #[test]
    fn every_entry_can_be_used_and_given_back() {
        let mut slots = Slots::<32>::new();
        assert_eq!(Slots::<32>::ENTRIES, 65_536);
        for entry in 0..65_536 {
            assert_eq!(slots.allocate(1).map(Block::first), Some(entry));
        }
        assert_eq!(slots.allocate(1), None);
        assert_eq!(slots.allocate(32), None);
        for entry in (0..65_536).rev() {
            assert!(slots.release(Block::of(entry, 1).unwrap()));
        }
        assert_eq!(slots, Slots::new());
    }

    #[test]
    fn a_block_has_1_to_32_entries_and_is_aligned() {
        let mut slots = Slots::<1>::new();
        assert_eq!(slots.allocate(0), None);
        assert_eq!(slots.allocate(33), None);
        assert_eq!(Block::of(4, 0), None);
        assert_eq!(Block::of(4, 5), None);
        assert_eq!(Block::of(8, 5).map(Block::count), Some(8));
        assert_eq!(Block::of(0, 33), None);
        assert!(!slots.release(Block::of(Slots::<1>::ENTRIES, 1).unwrap()));
    }
}
