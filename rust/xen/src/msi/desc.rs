//! Descriptors of MSIs: who wants them masked, and where the device's registers are.

use crate::arch::fixmap::Register;
use crate::base::view::{Word, fixed};
use crate::objects::msi_desc::{KeptMsi, MsiDesc, Sender};
use crate::sync::spin::IrqLocked;
use irq_core::msi::mask::Masks;
use xen_sys as sys;

impl MsiDesc<'_> {
    /// Notes who wants it masked.
    ///
    /// Context: what guards its masks is held: the lock of its descriptor and, for an MSI,
    /// [`RegisterLock`].
    #[inline]
    pub fn set_masks(self, masks: Masks) {
        const OTHERS: u8 = !(sys::XEN_IRQ_MSI_HOST_MASKED | sys::XEN_IRQ_MSI_GUEST_MASKED) as u8;
        let bit = |set, bit: sys::xen_irq_bit_fields| if set { bit as u8 } else { 0 };
        let masks = bit(masks.host, sys::XEN_IRQ_MSI_HOST_MASKED)
            | bit(masks.guest, sys::XEN_IRQ_MSI_GUEST_MASKED);
        self.set_bits(self.bits() & OTHERS | masks);
    }

    #[inline]
    fn set_bits(self, bits: u8) {
        // SAFETY: The byte is a part of the descriptor, which is alive as a view's.
        unsafe {
            u8::store(
                (&raw mut (*self.as_ptr()).msi_attrib._bitfield_1).cast(),
                bits,
            );
        }
    }

    /// Where its mask register is in the function's configuration space; for an MSI with mask bits.
    #[inline]
    pub fn mask_register(self) -> u16 {
        fixed!(self, __bindgen_anon_1.msi.mpos) as u16
    }

    /// The descriptors of an MSI's messages, from the first on, which this is one of.
    #[inline]
    pub fn block(self) -> impl Iterator<Item = Self> {
        let first = self.first_of_block();
        // SAFETY: The numbers are below that of the messages, which the first alone has.
        (0..first.messages() as usize).map(move |number| unsafe { first.nth(number) })
    }

    /// The descriptors of an MSI's messages, of which this is the first, from the last on; or this
    /// alone.
    pub fn block_from_last(self) -> impl Iterator<Item = Self> {
        (0..self.messages() as usize)
            .rev()
            // SAFETY: The numbers are below that of the messages, which the first alone has.
            .map(move |number| unsafe { self.nth(number) })
    }

    /// How many messages the block has that this is one of; for an MSI.
    pub fn messages_of_block(self) -> u32 {
        self.first_of_block().messages()
    }

    /// The first of the descriptors of an MSI's messages, of which this is one.
    #[inline]
    pub fn first_of_block(self) -> Self {
        if !self.is_of_kind(Sender::Msi) {
            return self;
        }
        let first = self.as_ptr().wrapping_sub(self.entry().into());
        // SAFETY: `become_msi` makes the descriptors of a block side by side, and their entries are
        // their numbers.
        unsafe { Self::from_raw(first).unwrap_unchecked() }
    }
}

impl<'a> KeptMsi<'a> {
    /// Its entry in the function's memory; `None` where it is none of a table.
    #[inline]
    pub fn table_entry(self) -> Option<Register<'a>> {
        if !self.is_msix() {
            return None;
        }
        // SAFETY: `become_msix` mapped the entry, and only `MsiBlock::free` drops the mapping,
        // after its IRQ was cleared and with the lock of the list held, one of which `self` keeps.
        Some(unsafe { Register::new(fixed!(self, __bindgen_anon_1.mask_base) as usize) })
    }
}

/// The lock of registers that several interrupts share, whose descriptors have different locks: the
/// mask registers of all MSIs, with the masks of their messages, and message control of MSI-X.
#[must_use = "the lock is dropped where this is dropped"]
pub struct RegisterLock(#[allow(dead_code)] IrqLocked<'static>);

impl RegisterLock {
    /// Takes the lock, inside all others.
    ///
    /// Context: any.
    #[inline]
    pub fn take() -> Self {
        // SAFETY: It is a lock that lives as long as Xen.
        Self(unsafe { IrqLocked::take(&raw mut sys::shim_msi_mask_lock) })
    }
}
