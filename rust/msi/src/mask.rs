//! Masking and unmasking, and what Xen calls for an interrupt.

use crate::control;
use crate::window::LockedControl;
use core::cell::Cell;
use irq_core::msi::generation::Seen;
use irq_core::msi::mask::{self, Masks, Outcome};
use irq_hw::msix::VECTOR_CTRL;
use irq_hw::pci::MsixControl;
use xen::arch::fixmap::Register;
use xen::msi::config;
use xen::msi::log;
use xen::msi::options;
use xen::msi::register_lock::{MaskRegister, RegisterLock};
use xen::objects::arch_msix::{Msix, Warning};
use xen::objects::irq_desc::HeldDesc;
use xen::objects::msi_desc::{HeldMsi, KeptMsi, MaskChange, MsiDesc, Sender};
use xen::objects::pci_dev::PciDev;
use xen::sync::rcu;
use xen::xen_assert;
use xen::xen_warn;

/// Masks an interrupt for Xen.
#[doc(alias = "mask_msi_irq")]
#[inline]
pub fn mask(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let masked = set(desc, msi, MaskChange::host(true));
    xen_assert!(masked);
}

/// Unmasks it for Xen. Where the device cannot be reached, Xen says so.
#[doc(alias = "unmask_msi_irq")]
#[inline]
pub fn unmask(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    if !set(desc, msi, MaskChange::host(false)) {
        xen_warn!();
    }
}

/// Masks or unmasks it for its owner.
#[doc(alias = "guest_mask_msi_irq")]
#[inline]
pub fn mask_for_guest(desc: HeldDesc, guest: bool) {
    let Some(msi) = desc.msi_desc() else { return };
    set(desc, msi, MaskChange::guest(guest));
}

/// Lets it come for the first time; a guest has to unmask it by itself.
#[doc(alias = "startup_msi_irq")]
pub fn start(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let guest = MaskChange::guest(desc.is_for_guests());
    if !set(desc, msi, MaskChange::host(false).and(guest)) {
        xen_warn!();
    }
}

/// Masks it for Xen and for its owner.
#[doc(alias = "shutdown_msi_irq")]
pub fn stop(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let both = MaskChange::host(true).and(MaskChange::guest(true));
    let masked = set(desc, msi, both);
    xen_assert!(masked);
}

/// Returns whether an MSI can be masked at its device.
///
/// Context: any.
#[doc(alias = "msi_maskable_irq")]
#[inline]
pub fn is_maskable(msi: MsiDesc) -> bool {
    msi.sender() != Sender::Msi || msi.has_mask_bit()
}

/// Changes who wants an MSI masked, and masks it at its device if anyone does. Returns whether the
/// device does as wanted.
#[doc(alias = "msi_set_mask_bit")]
#[inline]
pub(crate) fn set(desc: HeldDesc, msi: HeldMsi, change: MaskChange) -> bool {
    xen_assert!(desc.is_locked());
    let Some(device) = msi.device() else {
        xen_assert!(false);
        return false;
    };
    match msi.sender() {
        Sender::Msix => set_entry(desc, *msi, device, change),
        Sender::Msi => {
            set_message(**msi, device, change);
            true
        }
        _ => false,
    }
}

/// A message of an MSI: its bit in the function's mask register. The others stay as that holds
/// them.
#[inline(never)]
fn set_message(msi: MsiDesc, device: PciDev, change: MaskChange) {
    // A domain's write of the register changes the guest's masks under this lock alone.
    let lock = RegisterLock::take();
    let flags = msi.change_masks(change, &lock);
    if !flags.has_mask_bit() {
        return;
    }
    let register = lock.mask_register(device, msi);
    match register.known() {
        Some(before) => register.write(with_bit(before, msi.entry(), flags.masks())),
        None => write_anew(register, msi, device),
    }
}

/// A mask register with another bit of a message.
#[inline]
fn with_bit(register: u32, number: u16, masks: Masks) -> u32 {
    let bit = 1 << number;
    register & !bit | if masks.any() { bit } else { 0 }
}

/// Writes a mask register that may not hold what it did. Messages are as Xen wants them; what lies
/// beyond them is as the device has it.
#[cold]
fn write_anew(register: MaskRegister, msi: MsiDesc, device: PciDev) {
    let read = register.read();
    let value = if options::rechecks() {
        with_bit(read, msi.entry(), msi.masks())
    } else {
        let capable = device.capable_messages();
        read & !mask::all(capable) | mask::register(capable, msi.block().map(MsiDesc::masks))
    };
    register.write(value);
}

/// Carries out a domain's write of the mask register of a function's MSI: it masks the messages
/// whose bits are set, and no others. What Xen wants masked stays so, and so do messages that are
/// not set up. Returns what was written.
///
/// Context: `pcidevs_lock` is held, or the locks that vPCI takes.
pub(crate) fn write_for_guest(msi: MsiDesc, device: PciDev, value: u32) -> u32 {
    let lock = RegisterLock::take();
    for (number, desc) in msi.block().enumerate().take(32) {
        let change = MaskChange::guest(value >> number & 1 != 0);
        desc.change_masks(change, &lock);
    }
    let capable = device.capable_messages();
    let messages = mask::register(capable, msi.block().map(MsiDesc::masks));
    let written = value & !mask::all(capable) | messages;
    // What it holds is not known then: the domain's write ended that when it began.
    lock.mask_register(device, msi).write(written);
    written
}

/// An entry of an MSI-X table.
#[inline(never)]
fn set_entry(desc: HeldDesc, msi: KeptMsi, device: PciDev, change: MaskChange) -> bool {
    let Some(entry) = Entry::of(msi, device) else {
        return false;
    };
    let flags = msi.flags();
    if mask::set_if_known(&entry, flags.masks(), flags.with(change).masks()) {
        msi.change_entry_masks(change, desc);
        return true;
    }
    set_with_care(desc, msi, device, change)
}

/// An entry that is not as it was left, or of whose function it is not known whether it is ready.
#[cold]
fn set_with_care(desc: HeldDesc, msi: KeptMsi, device: PciDev, change: MaskChange) -> bool {
    let Some(entry) = Entry::of(msi, device) else {
        return false;
    };
    let msix = entry.msix;
    // It may have lost its message, too.
    msi.note_programmed(None);
    let outcome = {
        let function = LockedDev {
            msix,
            device,
            control: LockedControl::lock(device, msix, msi.position()),
            seen: Cell::new(None),
        };
        mask::set_with_care(&entry, &function, msi.flags().with(change).masks())
    };
    match outcome {
        Outcome::Done => {
            msi.change_entry_masks(change, desc);
            true
        }
        Outcome::AllMasked { newly } => {
            let warns = |owner| msix.should_warn(owner, Warning::AllMasked);
            if newly && device.owner(&rcu::read()).is_some_and(warns) {
                log::all_masked(*desc, device);
            }
            true
        }
        Outcome::Unreachable => false,
    }
}

/// An entry of a function's table, as the protocol sees it.
struct Entry<'a> {
    entry: Register<'a>,
    msix: Msix<'a>,
}

impl<'a> Entry<'a> {
    /// That of an MSI of a function; `None` where it is none of a table.
    #[inline]
    fn of(msi: KeptMsi<'a>, device: PciDev<'a>) -> Option<Self> {
        Some(Self {
            entry: msi.table_entry()?,
            msix: device.msix()?,
        })
    }
}

impl mask::Entry for Entry<'_> {
    #[inline]
    fn vector_control(&self) -> u32 {
        self.entry.read32(VECTOR_CTRL)
    }

    #[inline]
    fn set_vector_control(&self, value: u32) {
        self.entry.write32(VECTOR_CTRL, value);
    }

    #[inline]
    fn is_known_ready(&self) -> bool {
        self.msix.is_known_ready()
    }
}

/// The function of an entry, whose message control is locked.
struct LockedDev<'a> {
    msix: Msix<'a>,
    device: PciDev<'a>,
    control: LockedControl<'a>,
    /// The generation that had begun before the function was found enabled.
    seen: Cell<Option<Seen>>,
}

impl mask::LockedDev for LockedDev<'_> {
    fn control(&self) -> MsixControl {
        // Until it is seen to be ready, nothing is written to its memory.
        self.msix.forget_ready();
        let generation = config::generation();
        let control = self.control.read_for_access();
        self.seen.set(generation.filter(|_| control.enabled()));
        control
    }

    fn set_control(&self, control: MsixControl) {
        self.control.write_for_access(control);
    }

    fn decodes_memory(&self) -> bool {
        let decodes = control::decodes_memory(self.device);
        if decodes && let Some(generation) = self.seen.get() {
            self.msix.note_ready(generation);
        }
        decodes
    }

    fn mask_all(&self) -> Masks {
        self.msix.mask_all()
    }

    fn set_host_mask_all(&self, mask: bool) {
        self.msix.set_host_mask_all(mask);
    }
}
