//! The memory of an interrupt remapping table, and what the IOMMU has read of it.
//!
//! A table has a megabyte, of which a case uses a page or two. So pages are noted when Xen maps
//! them, as long as there is anything in them, and only those are cleared and compared.

use anyhow::Result;

use crate::memory::Mapping;

/// Entries of a table.
pub(crate) const ENTRIES: usize = 1 << 16;
/// Entries of a page of it.
pub(crate) const ENTRIES_OF_PAGE: usize = PAGE / ENTRY;
const ENTRY: usize = 16;
const PAGE: usize = 0x1000;
const PAGES: usize = ENTRIES / ENTRIES_OF_PAGE;

/// An entry, lower half first.
pub(crate) type Entry = [u64; 2];

/// One table.
pub(crate) struct Table {
    memory: Mapping,
    /// Each entry as it was when it was invalidated last: what the IOMMU may still use.
    seen: Mapping,
    touched: [bool; PAGES],
}

fn get(memory: &mut Mapping, index: usize) -> Entry {
    let bytes = memory.bytes(index * ENTRY, ENTRY);
    let (low, high) = bytes.split_at(8);
    [low, high].map(|half| half.try_into().map_or(0, u64::from_le_bytes))
}

fn set(memory: &mut Mapping, index: usize, entry: Entry) {
    let bytes = memory.bytes(index * ENTRY, ENTRY);
    bytes[..8].copy_from_slice(&entry[0].to_le_bytes());
    bytes[8..].copy_from_slice(&entry[1].to_le_bytes());
}

impl Table {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            memory: Mapping::new(ENTRIES * ENTRY)?,
            seen: Mapping::new(ENTRIES * ENTRY)?,
            touched: [false; PAGES],
        })
    }

    pub(super) fn clear(&mut self) {
        for (page, touched) in self.touched.iter_mut().enumerate() {
            if std::mem::take(touched) {
                self.memory.bytes(page * PAGE, PAGE).fill(0);
                self.seen.bytes(page * PAGE, PAGE).fill(0);
            }
        }
    }

    /// Maps the page at an offset of the table.
    pub(super) fn map(&mut self, offset: usize) -> Option<usize> {
        let touched = self.touched.get_mut(offset / PAGE)?;
        *touched = true;
        Some(self.memory.base() + offset)
    }

    /// The offset of mapped memory in the table.
    pub(super) fn offset(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.memory.base())?;
        (offset < ENTRIES * ENTRY).then_some(offset)
    }

    /// An entry, and whether the IOMMU has seen it.
    pub(crate) fn entry(&mut self, index: usize) -> (Entry, bool) {
        let entry = get(&mut self.memory, index);
        (entry, entry == get(&mut self.seen, index))
    }

    /// The IOMMU forgets an entry: what it reads from now on is what is there.
    pub(crate) fn invalidate(&mut self, index: usize) {
        let entry = get(&mut self.memory, index);
        set(&mut self.seen, index, entry);
        self.touched[index / ENTRIES_OF_PAGE] = true;
    }

    /// Writes an entry as if Xen had, and let the IOMMU see it.
    pub(crate) fn plant(&mut self, index: usize, entry: Entry) {
        set(&mut self.memory, index, entry);
        self.invalidate(index);
    }

    /// The pages that hold anything.
    pub(crate) fn pages(&mut self) -> Vec<usize> {
        let mut pages = Vec::new();
        for page in 0..PAGES {
            if self.touched[page] {
                let zero = |memory: &mut Mapping| *memory.bytes(page * PAGE, PAGE) == [0; PAGE];
                self.touched[page] = !zero(&mut self.memory) || !zero(&mut self.seen);
            }
            if self.touched[page] {
                pages.push(page);
            }
        }
        pages
    }

    /// Whether two tables have the same in a page.
    pub(crate) fn is_same_page(&mut self, other: &mut Self, page: usize) -> bool {
        let same = |a: &mut Mapping, b: &mut Mapping| {
            a.bytes(page * PAGE, PAGE) == b.bytes(page * PAGE, PAGE)
        };
        same(&mut self.memory, &mut other.memory) && same(&mut self.seen, &mut other.seen)
    }

    /// The numbers of a page's entries.
    pub(crate) fn entries(page: usize) -> std::ops::Range<usize> {
        page * ENTRIES_OF_PAGE..(page + 1) * ENTRIES_OF_PAGE
    }
}
