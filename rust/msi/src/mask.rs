//! Masking and unmasking, and what Xen calls for an interrupt.

use crate::control;
use core::cell::Cell;
use irq_core::host::epoch::Seen;
use irq_core::host::mask::{self, Masks, Outcome};
use irq_hw::msix::{MASKED, VECTOR_CTRL};
use irq_hw::pci::MsixControl;
use xen::fixmap::Register;
use xen::host::config::{self, Address};
use xen::host::desc::MaskRegister;
use xen::host::log;
use xen::host::reserved::Reserved;
use xen::irq::IrqDesc;
use xen::msi_desc::{MsiDesc, Sender};
use xen::msix::{Msix, Warning};
use xen::pci::PciDev;
use xen::{xen_assert, xen_warn};

/// Masks an interrupt for Xen.
///
/// Context: the descriptor's lock is held, IRQs off. Replaces `mask_msi_irq()`.
#[inline]
pub fn mask(desc: IrqDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let guest = msi.guest_masked();
    let masked = set(desc, msi, Masks { host: true, guest });
    xen_assert!(masked);
}

/// Unmasks it for Xen. Where the device cannot be reached, Xen says so.
///
/// Context: as for [`mask`]. Replaces `unmask_msi_irq()`.
#[inline]
pub fn unmask(desc: IrqDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let guest = msi.guest_masked();
    if !set(desc, msi, Masks { host: false, guest }) {
        xen_warn!();
    }
}

/// Masks or unmasks it for its owner.
///
/// Context: as for [`mask`]. Replaces `guest_mask_msi_irq()`.
#[inline]
pub fn mask_for_guest(desc: IrqDesc, guest: bool) {
    let Some(msi) = desc.msi_desc() else { return };
    let host = msi.masks().host;
    set(desc, msi, Masks { host, guest });
}

/// Lets it come for the first time; a guest has to unmask it by itself.
///
/// Context: as for [`mask`]. Replaces `startup_msi_irq()`.
pub fn start(desc: IrqDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let guest = desc.is_for_guests();
    if !set(desc, msi, Masks { host: false, guest }) {
        xen_warn!();
    }
}

/// Lets it come no more.
///
/// Context: as for [`mask`]. Replaces `shutdown_msi_irq()`.
pub fn stop(desc: IrqDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let both = Masks {
        host: true,
        guest: true,
    };
    let masked = set(desc, msi, both);
    xen_assert!(masked);
}

/// Returns whether an MSI can be masked at its device.
///
/// Context: any. Replaces `msi_maskable_irq()`.
#[inline]
pub fn is_maskable(msi: MsiDesc) -> bool {
    msi.sender() != Sender::Msi || msi.has_mask_bit()
}

/// Masks an MSI at its device if somebody wants that, and notes who. Returns whether the device does as wanted.
#[inline]
pub(crate) fn set(desc: IrqDesc, msi: MsiDesc, masks: Masks) -> bool {
    xen_assert!(desc.is_locked());
    let Some(device) = msi.device() else {
        return false;
    };
    match msi.sender() {
        Sender::Msix => set_entry(desc, msi, device, masks),
        Sender::Msi => {
            set_message(msi, device, masks);
            true
        }
        _ => false,
    }
}

/// A message of an MSI: its bit in the function's mask register. The others are as Xen wants them, and what lies beyond the
/// messages is as the device has it.
#[inline]
fn set_message(msi: MsiDesc, device: PciDev, masks: Masks) {
    let _locked = MaskRegister::lock();
    msi.set_masks(masks);
    if msi.has_mask_bit() {
        write_register(msi, device);
    }
}

/// Writes the mask register that an MSI is in.
#[inline]
fn write_register(msi: MsiDesc, device: PciDev) {
    let function = device.config();
    let register = msi.mask_register();
    let value = if config::rechecks() {
        let bit = 1 << msi.entry();
        let others = function.read32(register) & !bit;
        others | if msi.masks().any() { bit } else { 0 }
    } else {
        let capable = device.capable_messages();
        reserved_in_register(msi, function, register, capable)
            | mask::register(capable, msi.block().map(MsiDesc::masks))
    };
    function.write32(register, value);
}

/// What a mask register has beyond the messages of its function; the device is asked where that may have changed.
///
/// Context: [`MaskRegister`] is held.
#[inline]
fn reserved_in_register(msi: MsiDesc, function: Address, register: u16, capable: u32) -> u32 {
    let first = msi.first_of_block();
    first.reserved().unwrap_or_else(|| {
        let read = read_beyond_messages(function, register, capable);
        first.keep_reserved(read);
        read.bits()
    })
}

/// Reads what a mask register has beyond the messages of its function.
#[cold]
pub(crate) fn read_beyond_messages(function: Address, register: u16, capable: u32) -> Reserved {
    let read = Reserved::read(|| Some(function.read32(register) & !mask::all(capable)));
    read.unwrap_or_default()
}

/// Reads bits 31:1 of an entry's vector control; nothing where the device does not answer.
pub(crate) fn read_own_bits(entry: Register) -> Option<Reserved> {
    Reserved::read(|| {
        let read = entry.read32(VECTOR_CTRL);
        (read != u32::MAX).then_some(read & !MASKED)
    })
}

/// An entry of an MSI-X table.
#[inline]
fn set_entry(desc: IrqDesc, msi: MsiDesc, device: PciDev, masks: Masks) -> bool {
    let Some(msix) = device.msix() else {
        return false;
    };
    let entry = Entry {
        msi,
        device,
        msix,
        seen: Cell::new(None),
    };
    match mask::set(&entry, masks) {
        Outcome::Done => {
            msi.set_masks(masks);
            true
        }
        Outcome::AllMasked { newly } => {
            let warns = |owner| msix.should_warn(owner, Warning::AllMasked);
            if newly && device.owner().is_some_and(warns) {
                log::all_masked(desc, device);
            }
            true
        }
        Outcome::Unreachable => false,
    }
}

/// An entry of a function's table, as the protocol sees it.
struct Entry<'a> {
    msi: MsiDesc<'a>,
    device: PciDev<'a>,
    msix: Msix<'a>,
    /// The epoch that had begun before the function was found enabled.
    seen: Cell<Option<Seen>>,
}

impl mask::Entry for Entry<'_> {
    fn control(&self) -> MsixControl {
        let epoch = config::epoch();
        let control = control::msix(self.device.config(), self.msi.position());
        self.seen.set(epoch.filter(|_| control.enabled()));
        control
    }

    fn set_control(&self, control: MsixControl) {
        control::set_msix(self.device.config(), self.msi.position(), control);
    }

    fn decodes_memory(&self) -> bool {
        let decodes = control::decodes_memory(self.device);
        if decodes && let Some(epoch) = self.seen.get() {
            self.msix.note_ready(epoch);
        }
        decodes
    }

    #[inline]
    fn set_vector_control(&self, value: u32) -> u32 {
        let entry = self.msi.table_entry();
        entry.write32(VECTOR_CTRL, value);
        entry.read32(VECTOR_CTRL)
    }

    fn read_reserved(&self) -> u32 {
        match read_own_bits(self.msi.table_entry()) {
            Some(read) => {
                self.msi.keep_reserved(read);
                read.bits()
            }
            None => self.msi.last_reserved(),
        }
    }

    fn mask_all(&self) -> Masks {
        self.msix.mask_all()
    }

    fn set_host_mask_all(&self, mask: bool) {
        self.msix.set_host_mask_all(mask);
    }

    #[inline]
    fn known(&self) -> Option<u32> {
        let ready = self.msix.is_known_ready();
        ready.then(|| self.msi.reserved().unwrap_or_else(|| self.read_reserved()))
    }
}
