//! Where a function's MSI-X table is in memory.

use irq_hw::msix::ENTRY_SIZE;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Some pages, by the numbers of the first and of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Pages {
    /// The pages that `bytes` from an address on lie in; at least one byte is.
    const fn of(address: u64, bytes: u64) -> Self {
        Self {
            first: address / PAGE,
            last: address.wrapping_add(bytes).wrapping_sub(1) / PAGE,
        }
    }
}

/// An MSI-X table: its address and how many entries it has, 1 to 2048.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The physical address.
    pub address: u64,
    /// How many entries.
    pub entries: u32,
}

impl Table {
    /// The address of an entry.
    pub const fn entry(self, index: u32) -> u64 {
        self.address.wrapping_add(index as u64 * ENTRY_SIZE)
    }

    /// The pages that it lies in.
    pub const fn pages(self) -> Pages {
        Pages::of(self.address, self.entries as u64 * ENTRY_SIZE)
    }

    /// Whether other registers may lie in its first page, before it, and in its last page, behind it.
    pub const fn shares_pages(self) -> [bool; 2] {
        [
            !self.address.is_multiple_of(PAGE),
            !self.entry(self.entries).is_multiple_of(PAGE),
        ]
    }
}

/// The pages that the pending bits of a table of `entries` are protected in.
///
/// Like upstream this counts a byte where there are eight: of a block that reaches into a second page only by its last
/// bytes, that page is left out.
pub const fn pending_pages(address: u64, entries: u32) -> Pages {
    Pages::of(address, entries.div_ceil(64) as u64)
}

/// The virtual functions of a physical function, as its SR-IOV capability describes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtualFunctions {
    /// ID of the physical function.
    pub physical: u16,
    /// How far the first is from the physical function.
    pub first_offset: u16,
    /// How far they are apart.
    pub stride: u16,
    /// How many there are.
    pub number: u16,
}

impl VirtualFunctions {
    /// Returns which of them has an ID, counted from 0; `None` where none has.
    pub fn index(self, id: u16) -> Option<u16> {
        let offset = self.first_offset;
        if self.number == 0 || offset == 0 || self.number > 1 && self.stride == 0 {
            return None;
        }
        let first = u32::from(self.physical) + u32::from(offset);
        let distance = u32::from(id).checked_sub(first)?;
        let index = match u32::from(self.stride) {
            0 => distance,
            stride if distance.is_multiple_of(stride) => distance / stride,
            _ => return None,
        };
        (index < self.number.into()).then_some(index as u16)
    }
}
