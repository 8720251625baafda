//! Which entries of an interrupt remapping table are in use.
//!
//! There is a bit for each entry, in words of 64, and above those a bit for each word that says
//! whether all of it is in use. Blocks have 1, 2, 4 … 32 entries and are aligned to their size, so
//! that one lies in a single word. The lowest free block is allocated.
//!
//! The owner has a lock; nothing here is shared.

use core::ops::Range;

/// Entries of the largest block: an MSI has at most 32 messages (PCI 3.0, section 6.8.1.3).
const LARGEST: usize = 32;

/// Entries of a word.
const WORD: usize = u64::BITS as usize;

/// For each size of block, where in a word one may begin.
const STARTS: [u64; 6] = [
    u64::MAX,
    0x5555_5555_5555_5555,
    0x1111_1111_1111_1111,
    0x0101_0101_0101_0101,
    0x0001_0001_0001_0001,
    0x0000_0001_0000_0001,
];

/// The state of a table of up to `GROUPS` times 4096 entries. Zeroed memory is a table without any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots<const GROUPS: usize> {
    /// How many entries may be used.
    entries: usize,
    /// The entries in use.
    used: [[u64; WORD]; GROUPS],
    /// For each group, the words of `used` in which every bit is set.
    full: [u64; GROUPS],
}

/// A block of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    first: usize,
    /// Logarithm of how many there are.
    log2: usize,
}

impl Block {
    /// The block that begins at `first` and holds `count` messages. `None` where there are none or
    /// more than 32, or no block of that size begins there.
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

    /// The group and the word that it lies in.
    const fn place(self) -> (usize, usize) {
        (self.first / WORD / WORD, self.first / WORD % WORD)
    }

    /// Its entries in their word.
    const fn mask(self) -> u64 {
        (u64::MAX >> (WORD - self.count())) << (self.first % WORD)
    }
}

/// The logarithm of the smallest block for that many entries.
fn size(count: usize) -> Option<usize> {
    (1..=LARGEST)
        .contains(&count)
        .then(|| count.next_power_of_two().ilog2() as usize)
}

impl<const GROUPS: usize> Slots<GROUPS> {
    /// How many entries a table may have.
    pub const MOST: usize = GROUPS * WORD * WORD;

    /// A table of that many entries, of which nothing is in use.
    pub const fn new(entries: usize) -> Self {
        Self {
            entries,
            used: [[0; WORD]; GROUPS],
            full: [0; GROUPS],
        }
    }

    /// Sets how many entries may be used: no others are allocated from now on.
    pub fn limit(&mut self, entries: usize) {
        self.entries = entries;
    }

    /// Allocates the lowest block for `count` entries. `None` where none is left, or `count` is not
    /// 1 to 32.
    pub fn allocate(&mut self, count: usize) -> Option<Block> {
        let log2 = size(count)?;
        for (group, (words, full)) in self.used.iter_mut().zip(&mut self.full).enumerate() {
            let mut open = !*full;
            while open != 0 {
                let word = open.trailing_zeros() as usize;
                let used = words.get_mut(word)?;
                let starts = starts(*used, log2);
                if starts != 0 {
                    let place = starts.trailing_zeros() as usize;
                    let first = (group * WORD + word) * WORD + place;
                    let block = Block { first, log2 };
                    if block.entries().end > self.entries {
                        return None;
                    }
                    *used |= block.mask();
                    *full |= u64::from(*used == u64::MAX) << word;
                    return Some(block);
                }
                open &= open - 1;
            }
        }
        None
    }

    /// Returns whether all entries of a block are in use.
    pub fn holds(&self, block: Block) -> bool {
        let (group, word) = block.place();
        let words = self.used.get(group);
        words
            .and_then(|words| words.get(word))
            .is_some_and(|used| used & block.mask() == block.mask())
    }

    /// Frees a block. Returns whether all of it was in use; otherwise nothing changes.
    pub fn release(&mut self, block: Block) -> bool {
        if !self.holds(block) {
            return false;
        }
        let (group, word) = block.place();
        let (Some(words), Some(full)) = (self.used.get_mut(group), self.full.get_mut(group)) else {
            return false;
        };
        if let Some(used) = words.get_mut(word) {
            *used &= !block.mask();
            *full &= !(1 << word);
        }
        true
    }
}

/// Where in a word a free block begins.
fn starts(used: u64, log2: usize) -> u64 {
    // After each step a bit says whether anything is in use of twice as many entries from there on.
    let taken = (0..log2).fold(used, |taken, step| taken | taken >> (1u32 << step));
    STARTS.get(log2).map_or(0, |starts| starts & !taken)
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
            3 => (1..=LARGEST).prop_map(Step::Allocate),
            2 => any::<usize>().prop_map(Step::Release),
            1 => (0..2 * Slots::<1>::MOST, 0..40usize)
                .prop_map(|(first, count)| Step::Forge(first, count)),
        ]
    }

    proptest! {
        #[test]
        fn the_lowest_free_block_is_found(
            steps in prop::collection::vec(step(), 0..400),
            entries in prop_oneof![Just(Slots::<1>::MOST), 0..3 * WORD, 0..=Slots::<1>::MOST],
        ) {
            let mut slots = Slots::<1>::new(entries);
            let mut model = Model(std::vec![false; entries]);
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
                                held.retain(|held| {
                                    held.mask() & block.mask() == 0 || held.place() != block.place()
                                });
                                // Parts of larger blocks stay in use; no step releases them.
                            }
                            None => prop_assert_eq!(&slots, &before),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_entry_can_be_allocated_and_freed() {
        assert_eq!(Slots::<16>::MOST, 65_536);
        let mut slots = Slots::<16>::new(65_536);
        for entry in 0..65_536 {
            assert_eq!(slots.allocate(1).map(Block::first), Some(entry));
        }
        assert_eq!(slots.allocate(1), None);
        assert_eq!(slots.allocate(32), None);
        for entry in (0..65_536).rev() {
            assert!(slots.release(Block::of(entry, 1).unwrap()));
        }
        assert_eq!(slots, Slots::new(65_536));
    }

    #[test]
    fn a_block_has_1_to_32_entries_and_is_aligned() {
        let mut slots = Slots::<1>::new(Slots::<1>::MOST);
        assert_eq!(slots.allocate(0), None);
        assert_eq!(slots.allocate(33), None);
        assert_eq!(Block::of(4, 0), None);
        assert_eq!(Block::of(4, 5), None);
        assert_eq!(Block::of(8, 5).map(Block::count), Some(8));
        assert_eq!(Block::of(0, 33), None);
        assert!(!slots.release(Block::of(Slots::<1>::MOST, 1).unwrap()));
    }

    #[test]
    fn a_block_is_in_use_when_all_of_its_entries_are() {
        let mut slots = Slots::<1>::new(Slots::<1>::MOST);
        let entry = slots.allocate(1).unwrap();
        let pair = Block::of(0, 2).unwrap();
        assert!(slots.holds(entry));
        assert!(!slots.holds(pair));
        assert!(!slots.release(pair));
        assert!(slots.holds(entry));
        assert_eq!(slots.allocate(1).map(Block::first), Some(1));
        assert!(slots.holds(pair));
        assert!(slots.release(pair));
        assert!(!slots.holds(entry));
    }

    #[test]
    fn zeroed_memory_is_a_table_without_entries() {
        let mut slots = Slots::<1>::new(0);
        assert_eq!(slots.allocate(1), None);
        slots.limit(48);
        assert_eq!(slots.allocate(32).map(Block::first), Some(0));
        assert_eq!(slots.allocate(32), None);
        assert_eq!(slots.allocate(16).map(Block::first), Some(32));
        assert_eq!(slots.allocate(1), None);
    }
}
