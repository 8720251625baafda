//! A watcher of the values that an IOMMU reads: each must be one that was meant for its entry.
//!
//! What is meant is told by the test that asks for a change, not by the software that carries it
//! out: otherwise the halves of a torn write would count as meant.

/// What is meant for an entry.
#[derive(Clone, Copy, Debug)]
struct Meant<V> {
    now: V,
    /// While it changes, what it changes to.
    next: Option<V>,
}

/// A value that was read and not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmeant<V> {
    /// The entry.
    pub index: usize,
    /// What was read of it.
    pub read: V,
    /// What was meant.
    pub now: V,
    /// While it changed, what it was to change to.
    pub next: Option<V>,
}

/// Watches the entries of one table.
#[derive(Clone, Debug)]
pub struct Watcher<V> {
    meant: Vec<Meant<V>>,
    first: Option<Unmeant<V>>,
}

impl<V: Copy + Default + PartialEq> Watcher<V> {
    /// Watches a table of that many entries, none of which is present.
    pub fn new(entries: usize) -> Self {
        let now = V::default();
        Self {
            meant: vec![Meant { now, next: None }; entries],
            first: None,
        }
    }

    /// From now on the old value or this one is meant.
    pub fn begin(&mut self, index: usize, next: V) {
        self.meant[index].next = Some(next);
    }

    /// The change is complete: the old value is not meant any more.
    pub fn end(&mut self, index: usize) {
        let meant = &mut self.meant[index];
        meant.now = meant.next.take().unwrap_or(meant.now);
    }

    /// Sees what the IOMMU reads, from memory or from its cache.
    pub fn read(&mut self, index: usize, read: V) {
        let Meant { now, next } = self.meant[index];
        if read != now && Some(read) != next {
            self.first.get_or_insert(Unmeant {
                index,
                read,
                now,
                next,
            });
        }
    }

    /// The first value that was read and not meant.
    pub fn first_unmeant(&self) -> Option<Unmeant<V>> {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a watcher says about reading these values, one after the other, of an entry that
    /// changes from 1 to 2.
    fn says(reads: [u32; 3]) -> Option<u32> {
        let [before, during, after] = reads;
        let mut watcher = Watcher::new(4);
        watcher.begin(3, 1);
        watcher.end(3);
        watcher.read(3, before);
        watcher.begin(3, 2);
        watcher.read(3, during);
        watcher.end(3);
        watcher.read(3, after);
        watcher.first_unmeant().map(|unmeant| unmeant.read)
    }

    #[test]
    fn the_old_value_and_the_new_one_are_meant_while_an_entry_changes() {
        assert_eq!(says([1, 1, 2]), None);
        assert_eq!(says([1, 2, 2]), None);
        assert_eq!(says([2, 2, 2]), Some(2));
        assert_eq!(says([1, 3, 2]), Some(3));
        assert_eq!(says([1, 0, 2]), Some(0));
        assert_eq!(says([1, 2, 1]), Some(1));
        assert_eq!(says([1, 3, 1]), Some(3));
    }
}
