//! Interrupt remapping.

pub mod entry;
pub mod slots;
pub mod source;
pub mod update;

use irq_hw::amd::MSI_INDEX;

/// Whether a device has to be told that a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Its registers name another entry of the table, or none yet.
    Needed,
    /// Its registers name the same entry as before.
    NotNeeded,
}

impl Rewrite {
    /// For a sender that named an entry `before`, if any, and that names this one `now`.
    #[inline(always)]
    pub fn of(before: Option<usize>, now: usize) -> Self {
        if before == Some(now) {
            Self::NotNeeded
        } else {
            Self::Needed
        }
    }
}

/// Where an entry of AMD-Vi is: in the table of a requester. A descriptor has one number for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The ID of the requester.
    pub requester: u16,
    /// The number of the entry, below 2048.
    pub index: usize,
}

impl Place {
    /// The place that a descriptor's number stands for.
    #[inline(always)]
    pub const fn of(number: usize) -> Self {
        Self {
            requester: (number >> MSI_INDEX.count_ones()) as u16,
            index: number & MSI_INDEX as usize,
        }
    }

    /// The number for it: those of the next entries of the table follow.
    #[inline(always)]
    pub const fn number(self) -> usize {
        (self.requester as usize) << MSI_INDEX.count_ones() | self.index
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Rewrite};
    use proptest::prelude::*;

    #[test]
    fn a_device_is_told_of_its_first_entry_and_of_another_one() {
        assert_eq!(Rewrite::of(None, 5), Rewrite::Needed);
        assert_eq!(Rewrite::of(Some(4), 5), Rewrite::Needed);
        assert_eq!(Rewrite::of(Some(5), 5), Rewrite::NotNeeded);
    }

    proptest! {
        #[test]
        fn a_place_is_found_in_its_number(requester: u16, index in 0usize..2048) {
            let place = Place { requester, index };
            prop_assert_eq!(Place::of(place.number()), place);
            prop_assert!(i32::try_from(place.number()).is_ok());
            if index < 2047 {
                let next = Place { index: index + 1, ..place };
                prop_assert_eq!(next.number(), place.number() + 1);
            }
        }
    }
}
