//! The lock of registers that several interrupts share, and what is used under it alone.

use super::config;
use super::head::Head;
use crate::base::view::Word;
use crate::objects::irq_desc::HeldDesc;
use crate::objects::msi_desc::{Flags, KeptMsi, MaskChange, MsiDesc};
use crate::objects::pci_dev::PciDev;
use crate::sync::lock::IrqLocked;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;
use irq_core::msi::generation::Seen;
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

    /// The mask register of an MSI of a function, which has mask bits.
    #[inline]
    pub fn mask_register<'l>(&'l self, device: PciDev<'l>, msi: MsiDesc<'l>) -> MaskRegister<'l> {
        MaskRegister {
            device,
            msi,
            lock: PhantomData,
        }
    }
}

/// The mask register of a function's MSI: one bit for each message.
#[derive(Clone, Copy)]
pub struct MaskRegister<'l> {
    device: PciDev<'l>,
    msi: MsiDesc<'l>,
    lock: PhantomData<&'l RegisterLock>,
}

impl<'l> MaskRegister<'l> {
    /// What is kept of it, for as long as the lock is held.
    #[inline]
    fn head(self) -> Option<&'l Head> {
        self.msi.first_of_block().head()
    }

    /// What it holds, if nothing may have changed that since it was read or written.
    #[inline]
    pub fn known(self) -> Option<u32> {
        let head = self.head()?;
        let holds = config::still_holds(head.register_known.load(Ordering::Relaxed));
        holds.then(|| head.register.load(Ordering::Relaxed))
    }

    /// Reads it.
    pub fn read(self) -> u32 {
        // First, because what is read may change from here on.
        let generation = config::generation();
        let value = self.device.config().read32(self.msi.mask_register());
        if let Some(head) = self.head() {
            head.register.store(value, Ordering::Relaxed);
            let number = generation.map_or(0, Seen::number);
            head.register_known.store(number, Ordering::Relaxed);
        }
        value
    }

    /// Writes it. It is known after that if it was before.
    #[inline]
    pub fn write(self, value: u32) {
        if let Some(head) = self.head() {
            head.register.store(value, Ordering::Relaxed);
        }
        let register = self.msi.mask_register();
        self.device.config().write32(register, value);
    }

    /// What it holds is not known any more.
    pub fn forget(self) {
        if let Some(head) = self.head() {
            head.register_known.store(0, Ordering::Relaxed);
        }
    }
}

impl MsiDesc<'_> {
    /// Changes who wants a message of an MSI masked; returns its flags.
    #[inline]
    pub fn change_masks(self, change: MaskChange, _: &RegisterLock) -> Flags {
        self.change_flags(change)
    }

    #[inline]
    fn change_flags(self, change: MaskChange) -> Flags {
        let flags = self.flags().with(change);
        // SAFETY: The byte is a part of the descriptor, which is alive as a view's.
        unsafe {
            let byte = (&raw mut (*self.as_ptr()).msi_attrib._bitfield_1).cast();
            u8::store(byte, flags.bits());
        }
        flags
    }
}

impl KeptMsi<'_> {
    /// Changes who wants an entry of a table masked, whose IRQ has this descriptor.
    #[inline]
    pub fn change_entry_masks(self, change: MaskChange, _: HeldDesc) {
        self.change_flags(change);
    }
}
