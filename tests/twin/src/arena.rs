//! The memory of one world: every object that C can see, at the same offset on both sides.
//!
//! The two worlds are built by the same steps, so a pointer of one side is its base plus an offset
//! that is the other side's as well. That makes the whole state comparable without a list of
//! fields: two words agree when they are equal, or when they are the same offset from their bases.

use std::collections::HashSet;
use std::iter::StepBy;
use std::ops::Range;

use anyhow::Result;

use crate::memory::Mapping;

/// Words that are compared at once.
const CHUNK: usize = 64;

/// Bump-allocated zeroed objects.
pub(crate) struct Arena {
    map: Mapping,
    used: usize,
    len: usize,
    names: Vec<(usize, &'static str, usize)>,
    /// Offsets of words that are not compared.
    private: HashSet<usize>,
}

impl Arena {
    /// Makes an arena with room for `len` bytes.
    pub(crate) fn new(len: usize) -> Result<Self> {
        Ok(Self {
            map: Mapping::new(len)?,
            used: 0,
            len,
            names: Vec::new(),
            private: HashSet::new(),
        })
    }

    /// Forgets every object.
    pub(crate) fn clear(&mut self) {
        self.map.bytes(0, self.used).fill(0);
        self.used = 0;
        self.names.clear();
        self.private.clear();
    }

    /// Makes `count` objects in a row; `name` and `index` say in a report what they are.
    pub(crate) fn objects<T>(&mut self, name: &'static str, index: usize, count: usize) -> *mut T {
        let place = self.used.next_multiple_of(align_of::<T>().max(16));
        self.used = (place + size_of::<T>() * count).next_multiple_of(8);
        assert!(self.used <= self.len, "the world does not fit its arena");
        self.names.push((place, name, index));
        (self.map.base() + place) as *mut T
    }

    /// Starts the next object at a multiple of `align`, counted from address zero.
    pub(crate) fn align(&mut self, align: usize) {
        self.used = self.used.next_multiple_of(align);
    }

    /// How much is used: where [`Self::give_back`] may return to.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Forgets the objects that were made since `used` was so large.
    pub(crate) fn give_back(&mut self, used: usize) {
        self.map.bytes(used, self.used - used).fill(0);
        self.names.retain(|(start, ..)| *start < used);
        self.used = used;
    }

    /// The address of the first object, which is that of a page.
    pub(crate) fn base(&self) -> usize {
        self.map.base()
    }

    /// Makes one object.
    pub(crate) fn object<T>(&mut self, name: &'static str, index: usize) -> *mut T {
        self.objects(name, index, 1)
    }

    /// Excludes memory from the comparison from now on: what it holds is the side's own business.
    pub(crate) fn keep_private<T>(&mut self, object: *const T) {
        self.private.extend(self.words_of(object));
    }

    /// Includes memory again that was kept private.
    pub(crate) fn publish<T>(&mut self, object: *const T) {
        for word in self.words_of(object) {
            self.private.remove(&word);
        }
    }

    /// The offsets of the words that begin in an object.
    fn words_of<T>(&self, object: *const T) -> StepBy<Range<usize>> {
        let start = object as usize - self.map.base();
        (start.next_multiple_of(8)..start + size_of::<T>()).step_by(8)
    }

    /// Fills freed memory, so that whoever still reads it sees something that no other side sees.
    pub(crate) fn poison<T>(&mut self, object: *mut T, byte: u8) {
        let start = object as usize - self.map.base();
        self.map.bytes(start, size_of::<T>()).fill(byte);
    }

    /// The offset of an address in the arena; other addresses come back as they are, with the top
    /// bit set.
    pub(crate) fn offset(&self, address: u64) -> u64 {
        match (address as usize).checked_sub(self.map.base()) {
            _ if address == 0 => u64::MAX,
            Some(offset) if offset < self.len => offset as u64,
            _ => address | 1 << 63,
        }
    }

    /// Says which object an offset lies in.
    pub(crate) fn describe(&self, offset: u64) -> String {
        if offset == u64::MAX {
            return "NULL".to_owned();
        }
        match self
            .names
            .partition_point(|(start, ..)| *start as u64 <= offset)
            .checked_sub(1)
        {
            Some(at) if offset < self.used as u64 => {
                let (start, name, index) = self.names[at];
                format!("{name}[{index}]+{:#x}", offset - start as u64)
            }
            _ => format!("{offset:#x}, which is no object"),
        }
    }

    fn words(&mut self) -> &[u64] {
        let bytes = self.map.bytes(0, self.used);
        // SAFETY: any bytes are a valid u64; align_to keeps to the aligned middle, which is all of
        // it.
        let (head, words, tail) = unsafe { bytes.align_to::<u64>() };
        assert!(
            head.is_empty() && tail.is_empty(),
            "the mapping is page aligned and filled by words"
        );
        words
    }

    /// Finds the first word in which two worlds differ.
    pub(crate) fn difference(ours: &mut Self, theirs: &mut Self) -> Option<String> {
        let (base_a, base_b) = (ours.map.base() as u64, theirs.map.base() as u64);
        let private = std::mem::take(&mut ours.private);
        let len = ours.len as u64;
        if ours.used != theirs.used {
            return Some("the worlds were built differently".to_owned());
        }
        let (a, b) = (ours.words(), theirs.words());
        let differs = |(place, (a, b)): (usize, (&u64, &u64))| {
            let same = a == b
                || (a.wrapping_sub(base_a) == b.wrapping_sub(base_b)
                    && a.wrapping_sub(base_a) < len)
                || private.contains(&(place * 8));
            (!same).then_some((place * 8, *a, *b))
        };
        // Most of a world is zero: whole chunks are equal.
        let chunks = a.chunks(CHUNK).zip(b.chunks(CHUNK)).enumerate();
        let found = chunks
            .filter(|(_, (a, b))| a != b)
            .flat_map(|(number, (a, b))| (number * CHUNK..).zip(a.iter().zip(b)))
            .find_map(differs);
        ours.private = private;
        let (place, a, b) = found?;
        Some(format!(
            "{}: {a:#018x} and {b:#018x}",
            ours.describe(place as u64)
        ))
    }
}
