//! Which entries of a table are in use on either side, and which of them stand for each other.
//!
//! C looks for the first run of free entries that is long enough, and takes as many from its last
//! one on: of a block, it has looked at the first alone. Rust takes the lowest aligned block. So
//! the numbers differ once there are blocks, and each side is held to its own rule.

use std::collections::HashMap;

use crate::machine::table::{ENTRIES, ENTRIES_OF_PAGE};

/// A side, as an index of pairs.
pub(super) const C: usize = 0;
pub(super) const RUST: usize = 1;

/// Entries in use on one side.
struct Used(Vec<u64>);

impl Used {
    fn new() -> Self {
        Self(vec![0; ENTRIES / 64])
    }

    fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 != 0
    }

    fn set(&mut self, index: usize, used: bool) {
        let word = &mut self.0[index / 64];
        *word = *word & !(1 << (index % 64)) | u64::from(used) << (index % 64);
    }

    /// The last entry of the first run of free entries that is long enough.
    fn first_run(&self, count: usize) -> Option<usize> {
        let mut start = 0;
        let mut index = 0;
        while index < ENTRIES {
            if index % 64 == 0 && self.0[index / 64] == u64::MAX {
                index += 64;
                start = index;
            } else if self.has(index) {
                index += 1;
                start = index;
            } else {
                index += 1;
                if index - start == count {
                    return Some(index - 1);
                }
            }
        }
        None
    }

    /// The lowest aligned block of free entries; blocks do not cross words.
    fn lowest_block(&self, count: usize, limit: usize) -> Option<usize> {
        let mask = u64::MAX >> (64 - count);
        let free = |word: u64, place: &usize| word >> place & mask == 0;
        let found = self.0.iter().enumerate().find_map(|(number, word)| {
            let mut places = (0..64).step_by(count);
            if *word == u64::MAX {
                return None;
            }
            Some(number * 64 + places.find(|place| free(*word, place))?)
        });
        found.filter(|first| first + count <= limit)
    }
}

/// The entries of one table.
pub(super) struct Indices {
    used: [Used; 2],
    /// The entry of Rust for each of C that an owner has, and the other way round.
    other: [HashMap<usize, usize>; 2],
    /// Entries that were given back in this step: commands still name them.
    gone: HashMap<usize, usize>,
    /// Entries without a sender have the same number on both sides.
    filled: usize,
    /// The pages in which all are so, and stay so.
    filled_pages: Vec<bool>,
    /// How many entries Rust may use.
    limit: usize,
}

/// Who has entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Sender(usize),
    Pin(usize, usize),
}

impl Indices {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self {
            used: [Used::new(), Used::new()],
            other: [HashMap::new(), HashMap::new()],
            gone: HashMap::new(),
            filled: 0,
            filled_pages: Vec::new(),
            limit: limit.unwrap_or(ENTRIES),
        }
    }

    /// A new step begins.
    pub(super) fn start(&mut self) {
        self.gone.clear();
    }

    /// Which block for `count` entries each side takes next, if it has one.
    pub(super) fn next(&self, count: usize) -> [Option<usize>; 2] {
        [
            self.used[C].first_run(count),
            self.used[RUST].lowest_block(count, self.limit),
        ]
    }

    /// Whether what C would take is in use already, or beyond the table's end.
    pub(super) fn is_taken(&self, first: usize, count: usize) -> bool {
        (first..first + count).any(|index| index >= ENTRIES || self.used[C].has(index))
    }

    /// Both sides took a block.
    pub(super) fn take(&mut self, [c, rust]: [usize; 2], count: usize) {
        for number in 0..count {
            self.used[C].set(c + number, true);
            self.used[RUST].set(rust + number, true);
            self.other[C].insert(c + number, rust + number);
            self.other[RUST].insert(rust + number, c + number);
        }
    }

    /// Both sides gave a block back.
    pub(super) fn give_back(&mut self, [c, rust]: [usize; 2], count: usize) {
        for number in 0..count {
            self.used[C].set(c + number, false);
            self.used[RUST].set(rust + number, false);
            self.other[C].remove(&(c + number));
            self.other[RUST].remove(&(rust + number));
            self.gone.insert(c + number, rust + number);
        }
    }

    /// The first entries are in use on both sides, but for some.
    pub(super) fn fill(&mut self, count: usize, holes: &[usize]) {
        self.filled = count;
        self.filled_pages = vec![true; count / ENTRIES_OF_PAGE];
        for hole in holes {
            if let Some(filled) = self.filled_pages.get_mut(hole / ENTRIES_OF_PAGE) {
                *filled = false;
            }
        }
        for index in 0..count {
            let used = !holes.contains(&index);
            self.used.iter_mut().for_each(|side| side.set(index, used));
        }
    }

    /// Whether a page has the same entries on both sides, none of which is anybody's.
    pub(super) fn is_filled(&self, page: usize) -> bool {
        self.filled_pages.get(page).copied().unwrap_or_default()
    }

    /// The entry of the other side that stands for one, as long as it is in use.
    pub(super) fn other(&self, side: usize, index: usize) -> Option<usize> {
        match self.other[side].get(&index) {
            Some(other) => Some(*other),
            None => (index < self.filled && self.used[side].has(index)).then_some(index),
        }
    }

    /// The entry of Rust that stands for one of C, during the step.
    pub(super) fn during(&self, index: usize) -> Option<usize> {
        self.gone
            .get(&index)
            .copied()
            .or_else(|| self.other(C, index))
    }
}
