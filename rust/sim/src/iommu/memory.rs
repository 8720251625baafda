//! A table in memory that processors write through their caches.
//!
//! An IOMMU that does not snoop these caches (VT-d, section 11.4.3, ECAP.C clear) sees what was
//! written back, a line at a time. A line may be written back at any moment, asked for or not.

use std::collections::BTreeMap;

/// Bytes of a cache line.
const LINE: usize = 64;

/// The memory of a table.
#[derive(Clone, Debug)]
pub struct Memory<V> {
    /// Whether the IOMMU snoops the processors' caches.
    coherent: bool,
    /// What the IOMMU sees.
    visible: Vec<V>,
    /// The lines that were written and not written back, by the number of the line.
    dirty: BTreeMap<usize, Vec<V>>,
    /// How many entries, from the first one on, were ever written.
    written: usize,
}

impl<V: Copy + Default> Memory<V> {
    /// Entries of a line.
    const PER_LINE: usize = LINE / size_of::<V>();

    /// Zeroed memory for that many entries, which must fill lines.
    pub fn new(coherent: bool, entries: usize) -> Self {
        assert!(entries.is_multiple_of(Self::PER_LINE));
        Self {
            coherent,
            visible: vec![V::default(); entries],
            dirty: BTreeMap::new(),
            written: 0,
        }
    }

    /// Reads an entry as a processor does.
    pub fn read(&self, index: usize) -> V {
        match self.dirty.get(&(index / Self::PER_LINE)) {
            Some(line) => line[index % Self::PER_LINE],
            None => self.visible[index],
        }
    }

    /// Writes an entry as a processor does, in one piece.
    pub fn write(&mut self, index: usize, value: V) {
        self.written = self.written.max(index + 1);
        if self.coherent {
            self.visible[index] = value;
            return;
        }
        let number = index / Self::PER_LINE;
        let visible = &self.visible[number * Self::PER_LINE..][..Self::PER_LINE];
        let line = self.dirty.entry(number).or_insert_with(|| visible.to_vec());
        line[index % Self::PER_LINE] = value;
    }

    /// Writes the line of an entry back.
    pub fn write_back(&mut self, index: usize) {
        let number = index / Self::PER_LINE;
        if let Some(line) = self.dirty.remove(&number) {
            self.visible[number * Self::PER_LINE..][..Self::PER_LINE].copy_from_slice(&line);
        }
    }

    /// Reads an entry as the IOMMU does. `None` beyond the end of the table.
    pub fn visible(&self, index: usize) -> Option<V> {
        self.visible.get(index).copied()
    }

    /// How many entries, from the first one on, were ever written.
    pub fn written(&self) -> usize {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_snooping_a_value_is_seen_when_its_line_is_written_back() {
        let mut memory = Memory::<u128>::new(false, 8);
        memory.write(1, 7);
        memory.write(3, 8);
        memory.write(4, 9);
        assert_eq!([1, 3, 4].map(|index| memory.read(index)), [7, 8, 9]);
        assert_eq!([1, 3, 4].map(|index| memory.visible(index)), [Some(0); 3]);
        memory.write_back(0);
        assert_eq!(
            [1, 3, 4].map(|index| memory.visible(index)),
            [Some(7), Some(8), Some(0)]
        );
        assert_eq!(memory.read(4), 9);
        assert_eq!(memory.visible(8), None);
        assert_eq!(memory.written(), 5);
    }

    #[test]
    fn with_snooping_a_value_is_seen_at_once() {
        let mut memory = Memory::<u32>::new(true, 16);
        memory.write(2, 7);
        assert_eq!(memory.visible(2), Some(7));
    }
}
