//! Where a function's MSI-X table is in memory.

use irq_hw::msix::{ENTRY_SIZE, VECTOR_CTRL};

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

    /// The address of the last byte, which may be in another page than where the last entry begins.
    pub const fn last_byte(self) -> u64 {
        self.entry(self.entries).wrapping_sub(1)
    }

    /// Returns whether the byte at an address is one of it.
    pub const fn holds(self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.entries as u64 * ENTRY_SIZE
    }

    /// The pages that it lies in.
    pub const fn pages(self) -> Pages {
        Pages::of(self.address, self.entries as u64 * ENTRY_SIZE)
    }

    /// The addresses of the vector controls that lie in the page with a number.
    pub fn vector_controls(self, page: u64) -> impl Iterator<Item = u64> {
        let first = self.address.wrapping_add(VECTOR_CTRL);
        let start = page.wrapping_mul(PAGE);
        let before = start.saturating_sub(first).div_ceil(ENTRY_SIZE);
        (before..self.entries.into())
            .map(move |index| first.wrapping_add(index * ENTRY_SIZE))
            .take_while(move |address| address / PAGE == page)
    }

    /// Whether other registers may lie in its first page, before it, and in its last page, behind
    /// it.
    pub const fn shares_pages(self) -> [bool; 2] {
        [
            !self.address.is_multiple_of(PAGE),
            !self.entry(self.entries).is_multiple_of(PAGE),
        ]
    }
}

/// The pages that the pending bits of a table of `entries` are protected in.
///
/// Like upstream this counts a byte where there are eight: of a block that reaches into a second
/// page only by its last bytes, that page is left out.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// Pages that some bytes lie in, one byte after the other.
    fn pages_of(bytes: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut pages: Vec<u64> = bytes.map(|byte| byte >> 12).collect();
        pages.dedup();
        pages
    }

    fn list(pages: Pages) -> Vec<u64> {
        (pages.first..=pages.last).collect()
    }

    proptest! {
        #[test]
        fn a_table_lies_in_the_pages_of_its_bytes(place in 0u64..0x2_0000, entries in 1u32..=2048) {
            let table = Table { address: place * 8, entries };
            let bytes = table.address..table.address + u64::from(entries) * 16;
            prop_assert_eq!(list(table.pages()), pages_of(bytes.clone()));
            prop_assert_eq!(table.last_byte(), bytes.end - 1);
            prop_assert_eq!(table.last_byte() >> 12, table.pages().last);
            // An entry has its 16 bytes for itself, and all together are the table.
            let ends = (0..entries).map(|index| table.entry(index + 1));
            prop_assert!((0..entries).zip(ends).all(|(index, end)| end - table.entry(index) == 16));
            prop_assert_eq!(table.entry(0)..table.entry(entries), bytes.clone());
            // Each entry has its vector control in one of the pages.
            let controls = table.pages().first..=table.pages().last;
            let controls: Vec<u64> = controls
                .flat_map(|page| {
                    let within = table.vector_controls(page);
                    within.inspect(|at| assert_eq!(at >> 12, page)).collect::<Vec<_>>()
                })
                .collect();
            let expected: Vec<u64> = (0..entries).map(|index| table.entry(index) + 12).collect();
            prop_assert_eq!(controls, expected);
            prop_assert!([bytes.start, bytes.end - 1].into_iter().all(|byte| table.holds(byte)));
            let beside = [bytes.start.wrapping_sub(1), bytes.end];
            prop_assert!(!beside.into_iter().any(|byte| table.holds(byte)));
            // The pages' other bytes are somebody else's.
            let pages = table.pages();
            let before = pages.first * 4096 < bytes.start;
            let behind = bytes.end < (pages.last + 1) * 4096;
            prop_assert_eq!(table.shares_pages(), [before, behind]);
        }

        #[test]
        fn pending_bits_are_protected_as_upstream_does(place in 0u64..0x2_0000, entries in 1u32..=2048) {
            let address = place * 8;
            let words = u64::from(entries).div_ceil(64);
            let pages = pending_pages(address, entries);
            prop_assert_eq!(list(pages), pages_of(address..address + words));
            // All of them but for what lies in the page that it reaches into.
            let all = pages_of(address..address + words * 8);
            prop_assert_eq!(pages.first, all[0]);
            prop_assert!(pages.last <= all[all.len() - 1] && all.len() <= 2);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_virtual_function_has_the_index_that_counting_gives_it(functions in functions()) {
            let mut expected = vec![None; 0x1_0000];
            // The IDs end at 16 bits.
            for (index, id) in (0..).zip(count(functions)).take_while(|&(_, id)| id <= 0xffff) {
                expected[id as usize] = Some(index);
            }
            for id in 0..=u16::MAX {
                prop_assert_eq!(functions.index(id), expected[usize::from(id)], "{:#x}", id);
            }
        }
    }

    /// The IDs of virtual functions in order, where they have any (PCIe 6.0, section 9.2.1.2).
    fn count(functions: VirtualFunctions) -> impl Iterator<Item = u32> {
        let [first, stride] = [functions.first_offset, functions.stride].map(u32::from);
        let valid = first != 0 && (functions.number <= 1 || stride != 0);
        let number = if valid { functions.number } else { 0 };
        let physical = u32::from(functions.physical);
        (0..u32::from(number)).map(move |index| physical + first + index * stride)
    }

    fn functions() -> impl Strategy<Value = VirtualFunctions> {
        // Numbers that are likely, numbers at the ends, and all.
        let word = || prop_oneof![0u16..3, 3u16..40, 0xfff0u16.., any::<u16>()];
        (word(), word(), word(), word()).prop_map(|(physical, first_offset, stride, number)| {
            VirtualFunctions {
                physical,
                first_offset,
                stride,
                number,
            }
        })
    }

    #[test]
    fn a_table_at_the_end_of_memory_is_no_fault() {
        let table = Table {
            address: 0xffff_ffff_ffff_f000,
            entries: 2048,
        };
        assert_eq!(table.pages().first, u64::MAX >> 12);
        assert_eq!(table.pages().last, 6);
    }

    #[test]
    fn a_byte_more_than_a_page_holds_is_in_the_next() {
        for entries in 1..=2048 {
            let end_of_page = 0x3000 - u64::from(entries) / 64;
            let last = if entries % 64 == 0 { 2 } else { 3 };
            assert_eq!(pending_pages(end_of_page, entries).last, last, "{entries}");
        }
    }
}
