//! A table in memory together with its watcher: no value reaches the IOMMU unseen.

use super::memory::Memory;
use super::watcher::Watcher;

/// A table of entries.
#[derive(Clone, Debug)]
pub struct Watched<V> {
    /// The memory.
    pub memory: Memory<V>,
    /// Sees what the IOMMU reads.
    pub watcher: Watcher<V>,
}

impl<V: Copy + Default + PartialEq> Watched<V> {
    /// A table of that many entries, none of which is present.
    pub fn new(coherent: bool, entries: usize) -> Self {
        Self {
            memory: Memory::new(coherent, entries),
            watcher: Watcher::new(entries),
        }
    }

    /// Reads an entry as the IOMMU does. `None` beyond the end of the table.
    pub fn fetch(&mut self, index: usize) -> Option<V> {
        let value = self.memory.visible(index)?;
        self.watcher.read(index, value);
        Some(value)
    }

    /// Has the watcher look at every entry that the IOMMU could read in memory at this instant.
    pub fn watch(&mut self) {
        for index in 0..self.memory.written() {
            self.fetch(index);
        }
    }
}
