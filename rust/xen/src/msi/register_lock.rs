//! The lock of registers that several interrupts share, and what is used under it alone.

use crate::base::view::Word;
use crate::objects::irq_desc::HeldDesc;
use crate::objects::msi_desc::{KeptMsi, MsiDesc};
use crate::objects::pci_sbdf::Sbdf;
use crate::sync::lock::IrqLocked;
use core::marker::PhantomData;
use irq_core::msi::mask::Masks;
use xen_sys as sys;

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

    /// The mask register of a function's MSI, which is at `register` in configuration space.
    #[inline]
    pub fn mask_register(&self, function: Sbdf, register: u16) -> MaskRegister<'_> {
        MaskRegister {
            function,
            register,
            lock: PhantomData,
        }
    }
}

/// The mask register of a function's MSI: one bit for each message.
#[derive(Clone, Copy)]
pub struct MaskRegister<'l> {
    function: Sbdf,
    register: u16,
    lock: PhantomData<&'l RegisterLock>,
}

impl MaskRegister<'_> {
    /// Reads it.
    #[inline]
    pub fn read(self) -> u32 {
        self.function.read32(self.register)
    }

    /// Writes it.
    #[inline]
    pub fn write(self, value: u32) {
        self.function.write32(self.register, value);
    }
}

impl MsiDesc<'_> {
    /// Notes who wants a message of an MSI masked.
    #[inline]
    pub fn set_masks(self, masks: Masks, _: &RegisterLock) {
        self.store_masks(masks);
    }

    #[inline]
    fn store_masks(self, masks: Masks) {
        const OTHERS: u8 = !(sys::XEN_IRQ_MSI_HOST_MASKED | sys::XEN_IRQ_MSI_GUEST_MASKED) as u8;
        let bit = |set, bit: sys::xen_irq_bit_fields| if set { bit as u8 } else { 0 };
        let masks = bit(masks.host, sys::XEN_IRQ_MSI_HOST_MASKED)
            | bit(masks.guest, sys::XEN_IRQ_MSI_GUEST_MASKED);
        let bits = self.bits() & OTHERS | masks;
        // SAFETY: The byte is a part of the descriptor, which is alive as a view's.
        unsafe {
            u8::store(
                (&raw mut (*self.as_ptr()).msi_attrib._bitfield_1).cast(),
                bits,
            );
        }
    }
}

impl KeptMsi<'_> {
    /// Notes who wants an entry of a table masked, whose IRQ has this descriptor.
    #[inline]
    pub fn set_entry_masks(self, masks: Masks, _: HeldDesc) {
        self.store_masks(masks);
    }
}
