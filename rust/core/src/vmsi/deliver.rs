//! Whom a virtual MSI goes to.

use bitflags::bitflags;
use irq_hw::msi::{Address, Data};

bitflags! {
    /// A guest's MSI as the device model and vPCI describe it to Xen: `gflags` of
    /// `XEN_DOMCTL_bind_pt_irq`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GuestFlags: u32 {
        /// Bits 7:0: destination ID.
        const DESTINATION = 0xff;
        /// One of several destinations may be chosen.
        const REDIRECTION_HINT = 1 << 8;
        /// The destination is a logical one.
        const LOGICAL = 1 << 9;
        /// Bits 14:12: delivery mode.
        const DELIVERY_MODE = 7 << 12;
        /// Level-triggered.
        const LEVEL = 1 << 15;
        /// Not masked by the guest.
        const UNMASKED = 1 << 16;
    }
}

impl GuestFlags {
    /// Describes the message that a guest wrote to a capability or a table.
    #[doc(alias = "msi_gflags")]
    pub fn of_message(address: Address, data: Data, masked: bool) -> Self {
        let mut flags = Self::from_bits_retain(
            u32::from(address.destination()) | u32::from(data.delivery_mode()) << 12,
        );
        flags.set(Self::REDIRECTION_HINT, address.redirection_hint());
        flags.set(Self::LOGICAL, address.logical());
        flags.set(Self::LEVEL, data.level_triggered());
        flags.set(Self::UNMASKED, !masked);
        flags
    }

    /// The destination ID.
    pub const fn destination(self) -> u8 {
        self.bits() as u8
    }

    /// The delivery mode, legal or not.
    pub const fn delivery_mode(self) -> u8 {
        (self.bits() >> 12) as u8 & 7
    }
}

/// The delivery modes that a virtual MSI may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To every vCPU of the destination.
    Fixed,
    /// To one vCPU of the destination.
    LowestPriority,
}

impl Delivery {
    /// Reads a delivery mode field; SMI, NMI, INIT, ExtINT and the reserved ones are not for
    /// devices to send.
    pub const fn new(mode: u8) -> Option<Self> {
        match mode {
            0 => Some(Self::Fixed),
            1 => Some(Self::LowestPriority),
            _ => None,
        }
    }
}

/// Returns the vector of message `index` of a block of `count` (a power of two, 32 at most): a
/// device writes the index into the low bits of the vector that it was given (PCI 3.0, section
/// 6.8.1.6).
pub const fn block_vector(base: u8, count: u32, index: u32) -> u8 {
    let low: u32 = match count {
        0 => 0,
        count => (1 << count.ilog2()) - 1,
    };
    (base & !(low as u8)) | (base.wrapping_add(index as u8) & low as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_delivery_modes_are_legal() {
        assert_eq!(Delivery::new(0), Some(Delivery::Fixed));
        assert_eq!(Delivery::new(1), Some(Delivery::LowestPriority));
        assert!((2..=u8::MAX).all(|mode| Delivery::new(mode).is_none()));
    }

    proptest! {
        #[test]
        fn a_message_is_described_field_by_field(address: u64, data: u32, masked: bool) {
            let (a, d) = (Address::new(address), Data::new(data));
            let flags = GuestFlags::of_message(a, d, masked);
            prop_assert_eq!(flags.destination(), a.destination());
            prop_assert_eq!(flags.delivery_mode(), d.delivery_mode());
            prop_assert_eq!(flags.contains(GuestFlags::REDIRECTION_HINT), a.redirection_hint());
            prop_assert_eq!(flags.contains(GuestFlags::LOGICAL), a.logical());
            prop_assert_eq!(flags.contains(GuestFlags::LEVEL), d.level_triggered());
            prop_assert_eq!(flags.contains(GuestFlags::UNMASKED), !masked);
            prop_assert_eq!(flags.bits() & !GuestFlags::all().bits(), 0);
        }

        #[test]
        fn a_block_has_one_vector_for_each_message(base: u8, log in 0u32..6) {
            let count = 1 << log;
            let mut seen = [false; 256];
            for index in 0..count {
                let vector = block_vector(base, count, index);
                prop_assert_eq!(u32::from(vector) / count, u32::from(base) / count, "same block");
                prop_assert_eq!(u32::from(vector) % count, (u32::from(base) + index) % count);
                prop_assert!(!std::mem::replace(&mut seen[usize::from(vector)], true));
            }
        }
    }
}
