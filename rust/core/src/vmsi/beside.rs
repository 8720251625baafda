//! What lies in the pages of an MSI-X table beside the table.
//!
//! A guest's writes to a device's other registers there are carried out for it. They must reach
//! neither the table nor the pending bits. Only the places of the two in their pages are asked for:
//! Xen knows the pages, and protects them.

use irq_hw::msix::ENTRY_SIZE;
use irq_hw::pci::Location;

const PAGE: u64 = 4096;

/// Where a table or its pending bits begin in their page, by the register that says so and the base
/// address register that it names. That of a virtual function reads as 0: its memory begins with a
/// page.
pub const fn offset_in_page(location: Location, base_address: u32) -> u64 {
    (base_address as u64 & !0xf).wrapping_add(location.offset() as u64) % PAGE
}

/// Some bytes of a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    start: u64,
    len: u64,
}

impl Bytes {
    /// Those from a place in a page on.
    pub const fn new(page: u64, offset: u64, len: u64) -> Self {
        Self {
            start: page.wrapping_mul(PAGE).wrapping_add(offset % PAGE),
            len,
        }
    }

    /// The table with so many entries.
    pub const fn of_table(page: u64, offset: u64, entries: u32) -> Self {
        Self::new(page, offset, entries as u64 * ENTRY_SIZE)
    }

    /// The pending bits of so many entries: 8 bytes for each 64.
    pub const fn of_pending_bits(page: u64, offset: u64, entries: u32) -> Self {
        Self::new(page, offset, entries.div_ceil(64) as u64 * 8)
    }

    /// Returns whether these and others have a byte in common.
    pub const fn overlap(self, other: Self) -> bool {
        self.start.wrapping_sub(other.start) < other.len
            || other.start.wrapping_sub(self.start) < self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_accelerator_with_all_in_one_page() {
        // Table at 0x46800, pending bits at 0x46068, registers between them.
        let place = |raw| offset_in_page(Location::new(raw), 0xf400_000c);
        assert_eq!([place(0x4_6802), place(0x4_606a)], [0x800, 0x068]);
        let table = Bytes::of_table(0x46, 0x800, 64);
        let pending = Bytes::of_pending_bits(0x46, 0x068, 64);
        let access = |offset, len| Bytes::new(0x46, offset, len);
        for (offset, len, to_table, to_pending) in [
            (0x060, 8, false, false),
            (0x068, 1, false, true),
            (0x06f, 1, false, true),
            (0x06c, 4, false, true),
            (0x070, 8, false, false),
            (0x7f8, 8, false, false),
            (0x800, 1, true, false),
            (0xbff, 1, true, false),
            (0xc00, 4, false, false),
        ] {
            let access = access(offset, len);
            let reaches = [access.overlap(table), access.overlap(pending)];
            assert_eq!(reaches, [to_table, to_pending], "{offset:#x}");
        }
        assert!(!Bytes::new(0x47, 0x800, 4).overlap(table));
    }

    #[test]
    fn a_region_smaller_than_a_page_may_begin_within_one() {
        assert_eq!(offset_in_page(Location::new(0x208), 0xfebf_1400), 0x608);
        assert_eq!(offset_in_page(Location::new(0x5203), 0), 0x200);
    }

    proptest! {
        #[test]
        fn bytes_overlap_if_they_share_one(
            a in 0u64..64, a_len in 1u64..20, b in 0u64..64, b_len in 1u64..20, page in 0u64..4
        ) {
            let common = (a..a + a_len).any(|byte| (b..b + b_len).contains(&byte));
            let (first, second) = (Bytes::new(page, a, a_len), Bytes::new(page, b, b_len));
            prop_assert_eq!(first.overlap(second), common);
            prop_assert_eq!(second.overlap(first), common);
        }

        #[test]
        fn there_is_a_pending_bit_for_each_entry(entries in 1u32..=2048) {
            let bits = Bytes::of_pending_bits(1, 0x10, entries);
            let last = u64::from(entries - 1) / 8;
            prop_assert!(bits.overlap(Bytes::new(1, 0x10 + last, 1)));
            prop_assert!(!bits.overlap(Bytes::new(1, 0x10 + last / 8 * 8 + 8, 1)));
            prop_assert!(!bits.overlap(Bytes::new(1, 0xf, 1)));
        }
    }
}
