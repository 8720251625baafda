//! Unmasking that the device model has to see before Xen may apply it.
//!
//! A guest unmasks an entry for the first time before Xen knows that there is a table: the device
//! model binds the interrupt in the course of that very write. Xen therefore remembers which vector
//! control dword a write that it does not handle may unmask, and applies the mask bit when the
//! device model is done.

use crate::vmsi::access::is_control;
use irq_hw::msix::{ENTRY_SIZE, MASKED};

/// A write that is on its way to the device model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Guest-physical address of the first element.
    pub address: u64,
    /// Bytes of an element.
    pub size: u32,
    /// Number of elements; more than one for a repeated string instruction only.
    pub count: u32,
    /// Whether addresses descend from element to element.
    pub descending: bool,
    /// Where the value is.
    pub source: Source,
}

/// Where the value of a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is this.
    Value(u64),
    /// It is in guest memory, from this guest-physical address on.
    Memory(u64),
}

/// A vector control dword that a write may unmask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Guest-physical address of the dword.
    pub control: u64,
    /// Guest-physical address of the memory that holds its value, where it has to be read from
    /// there.
    pub source: Option<u64>,
}

impl Write {
    /// Returns what this write leaves in the dword at an address, where one element covers it
    /// whole; others a device model does not take.
    pub fn dword(&self, address: u64) -> Option<Source> {
        let (start, end) = self.span(0)?;
        let offset = address.checked_sub(start)?;
        let inside = offset.checked_rem(u64::from(self.size))?;
        if address >= end || inside + 4 > u64::from(self.size) {
            return None;
        }
        Some(match self.source {
            Source::Value(value) => Source::Value(value.checked_shr(8 * inside as u32)?),
            Source::Memory(memory) => {
                let first = if self.descending {
                    memory.checked_sub(self.address.checked_sub(start)?)?
                } else {
                    memory
                };
                Source::Memory(first.checked_add(offset)?)
            }
        })
    }

    /// Returns the last vector control dword that this write covers, in the order of addresses.
    fn last_control(&self) -> Option<u64> {
        let (start, end) = self.span(0)?;
        let last = (end / ENTRY_SIZE * ENTRY_SIZE).checked_sub(4)?;
        (last >= start).then_some(last)
    }

    /// Returns the vector control dword that this write may unmask: of one from memory, the last
    /// that it covers.
    pub fn candidate(&self) -> Option<Candidate> {
        match self.source {
            Source::Value(value) => {
                let (control, value) = match self.size {
                    4 => (self.address, value),
                    8 => (self.address.wrapping_add(4), value >> 32),
                    _ => return None,
                };
                (is_control(control) && value & u64::from(MASKED) == 0).then_some(Candidate {
                    control,
                    source: None,
                })
            }
            Source::Memory(_) => {
                let control = self.last_control()?;
                match self.dword(control)? {
                    Source::Memory(memory) => Some(Candidate {
                        control,
                        source: Some(memory),
                    }),
                    Source::Value(_) => None,
                }
            }
        }
    }

    /// Returns whether the bytes of the first element lie in two pages.
    pub const fn crosses_page(&self) -> bool {
        const PAGE: u64 = 4096;
        self.address % PAGE + self.size as u64 > PAGE
    }

    /// Returns the guest-physical bytes `start..end` that the elements from number `first` on
    /// cover, or `None` where there are none or the range leaves the address space.
    pub fn span(&self, first: u32) -> Option<(u64, u64)> {
        let elements = u64::from(self.count.checked_sub(first).filter(|&n| n != 0)?);
        let size = u64::from(self.size);
        // 2^32 elements of at most 2^32 bytes: neither product overflows.
        let before = size * u64::from(first);
        let length = size.checked_mul(elements)?;
        let start = if self.descending {
            self.address
                .checked_add(size)?
                .checked_sub(before)?
                .checked_sub(length)?
        } else {
            self.address.checked_add(before)?
        };
        Some((start, start.checked_add(length)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(address: u64, size: u32, value: u64) -> Write {
        Write {
            address,
            size,
            count: 1,
            descending: false,
            source: Source::Value(value),
        }
    }

    fn string(address: u64, size: u32, count: u32) -> Write {
        Write {
            address,
            size,
            count,
            descending: false,
            source: Source::Memory(0x5000),
        }
    }

    #[test]
    fn a_dword_unmasks_its_own_entry() {
        assert_eq!(
            plain(0x100c, 4, 0).candidate(),
            Some(Candidate {
                control: 0x100c,
                source: None
            })
        );
        assert_eq!(plain(0x100c, 4, 1).candidate(), None);
        assert_eq!(plain(0x1008, 4, 0).candidate(), None);
    }

    #[test]
    fn a_qword_unmasks_by_its_upper_half() {
        assert_eq!(
            plain(0x1008, 8, 1).candidate(),
            Some(Candidate {
                control: 0x100c,
                source: None
            })
        );
        assert_eq!(plain(0x1008, 8, 1 << 32).candidate(), None);
        assert_eq!(plain(0x1000, 8, 0).candidate(), None);
    }

    #[test]
    fn a_string_unmasks_the_entry_that_it_ends() {
        let expected = Some(Candidate {
            control: 0x100c,
            source: Some(0x500c),
        });
        assert_eq!(string(0x1000, 4, 4).candidate(), expected);
        assert_eq!(string(0x1000, 8, 2).candidate(), expected);
        assert_eq!(
            string(0x100c, 4, 1).candidate(),
            Some(Candidate {
                control: 0x100c,
                source: Some(0x5000)
            })
        );
    }

    #[test]
    fn a_string_over_several_entries_has_its_last_vector_control() {
        let control = |write: Write| write.candidate().map(|found| (found.control, found.source));
        assert_eq!(control(string(0x1000, 4, 8)), Some((0x101c, Some(0x501c))));
        assert_eq!(control(string(0x1004, 4, 6)), Some((0x100c, Some(0x5008))));
        let descending = Write {
            descending: true,
            ..string(0x100c, 4, 4)
        };
        assert_eq!(control(descending), Some((0x100c, Some(0x5000))));
    }

    #[test]
    fn a_string_without_a_whole_vector_control_has_none() {
        for write in [
            string(0x1000, 4, 3),
            string(0x1000, 2, 8),
            string(0x1000, 4, 0),
        ] {
            assert_eq!(write.candidate(), None, "{write:?}");
        }
    }

    proptest! {
        #[test]
        fn a_candidate_is_a_control_dword_inside_the_write(
            entry in 0u64..64, dword in 0u64..4, shift in 0u32..5, count in 0u32..10, descending: bool, memory: bool, value: u64
        ) {
            let source = if memory { Source::Memory(value & !7) } else { Source::Value(value) };
            let count = if memory { count } else { 1 };
            let write = Write { address: 0x10_0000 + entry * 16 + dword * 4, size: 1 << shift, count, descending, source };
            if let Some(candidate) = write.candidate() {
                prop_assert!(is_control(candidate.control));
                let (start, end) = write.span(0).expect("a write that unmasks covers something");
                prop_assert!(start <= candidate.control && candidate.control + 4 <= end);
            }
        }

        #[test]
        fn a_span_holds_every_element_from_the_first_on(
            address in 0x1000u64..0x9000, shift in 0u32..4, count in 0u32..40, descending: bool, first in 0u32..3
        ) {
            let write = Write { address, size: 1 << shift, count, descending, source: Source::Memory(0) };
            let size = u64::from(write.size);
            let elements = (first..count).map(|i| {
                let delta = size * u64::from(i);
                if descending { address - delta } else { address + delta }
            });
            let low = elements.clone().min();
            let high = elements.max().map(|start| start + size);
            prop_assert_eq!(write.span(first), low.zip(high));
        }

        #[test]
        fn an_element_crosses_a_page_if_its_ends_are_in_two(address in 0u64..0x3000, shift in 0u32..4) {
            let write = plain(address, 1 << shift, 0);
            let last = address + u64::from(write.size) - 1;
            prop_assert_eq!(write.crosses_page(), address >> 12 != last >> 12);
        }

        #[test]
        fn a_dword_is_a_part_of_one_element(
            address in 0x1000u64..0x1040, shift in 0u32..4, count in 1u32..12, descending: bool,
            memory: bool, at in 0u64..0x100
        ) {
            let source = if memory { Source::Memory(0x5000) } else { Source::Value(0x2222_2222_1111_1111) };
            let write = Write { address, size: 1 << shift, count, descending, source };
            let size = u64::from(write.size);
            let wanted = 0xfc0 + at;
            let found = (0..u64::from(count)).find_map(|element| {
                let (start, from) = if descending {
                    (address - element * size, 0x5000 - element * size)
                } else {
                    (address + element * size, 0x5000 + element * size)
                };
                let inside = wanted.checked_sub(start).filter(|inside| inside + 4 <= size)?;
                Some(if memory {
                    Source::Memory(from + inside)
                } else {
                    Source::Value(0x2222_2222_1111_1111 >> (8 * inside))
                })
            });
            prop_assert_eq!(write.dword(wanted), found);
        }

        #[test]
        fn no_span_overflows(address: u64, size: u32, count: u32, descending: bool, first: u32) {
            let write = Write { address, size, count, descending, source: Source::Memory(0) };
            if let Some((start, end)) = write.span(first) {
                prop_assert!(start <= end);
            }
        }
    }
}
