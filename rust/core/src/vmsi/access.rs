//! What part of a table an access touches.

use irq_hw::msix::{ENTRY_SIZE, VECTOR_CTRL};

/// Returns whether an access is naturally aligned. `len` is 1, 2, 4 or 8 bytes.
pub const fn is_aligned(address: u64, len: u32) -> bool {
    address as u32 & len.wrapping_sub(1) == 0
}

/// The dwords of one entry that a well-formed access touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Four bytes: address low (0), address high (1) or data (2).
    Word(usize),
    /// Four bytes: vector control.
    Control,
    /// Eight bytes: both halves of the address.
    Address,
    /// Eight bytes: data and, above it, vector control.
    DataControl,
}

impl Access {
    /// Decodes an aligned access at `offset` bytes into a table; the specification leaves all but
    /// four and eight bytes undefined, and `None` is the answer to those.
    pub const fn decode(offset: u64, len: u32) -> Option<Self> {
        let dword = offset % ENTRY_SIZE / 4;
        match (len, dword) {
            (4, 3) => Some(Self::Control),
            (4, _) => Some(Self::Word(dword as usize)),
            (8, 0) => Some(Self::Address),
            (8, _) => Some(Self::DataControl),
            _ => None,
        }
    }
}

/// Returns the number of the entry at `offset` bytes into a table.
pub const fn entry_number(offset: u64) -> usize {
    (offset / ENTRY_SIZE) as usize
}

/// Returns whether an access of four bytes at `address` is one to a vector control dword.
///
/// Tables are aligned to eight bytes in their BAR and to 16 in practice; like the device models,
/// this looks at the guest-physical address alone.
pub const fn is_control(address: u64) -> bool {
    address % ENTRY_SIZE == VECTOR_CTRL
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn every_dword_of_an_entry_is_decoded() {
        let words: Vec<_> = (0..4).map(|dword| Access::decode(dword * 4, 4)).collect();
        assert_eq!(
            words,
            [
                Some(Access::Word(0)),
                Some(Access::Word(1)),
                Some(Access::Word(2)),
                Some(Access::Control)
            ]
        );
        assert_eq!(Access::decode(0, 8), Some(Access::Address));
        assert_eq!(Access::decode(8, 8), Some(Access::DataControl));
    }

    proptest! {
        #[test]
        fn only_four_and_eight_bytes_are_decoded(offset in 0u64..0x8000, len in 0u32..64) {
            prop_assert_eq!(Access::decode(offset, len).is_some(), len == 4 || len == 8);
        }

        #[test]
        fn the_entry_does_not_change_the_meaning(entry in 0u64..2048, dword in 0u64..4) {
            let offset = entry * ENTRY_SIZE + dword * 4;
            prop_assert_eq!(Access::decode(offset, 4), Access::decode(dword * 4, 4));
            prop_assert_eq!(entry_number(offset), entry as usize);
            prop_assert_eq!(is_control(offset), dword == 3);
        }

        #[test]
        fn alignment_is_that_of_division(address: u64, shift in 0u32..4) {
            prop_assert_eq!(is_aligned(address, 1 << shift), address % (1 << shift) == 0);
        }
    }
}
