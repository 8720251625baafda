//! Masking and unmasking, and what Xen calls for an interrupt.

use crate::control;
use crate::window::LockedControl;
use core::cell::Cell;
use core::hint::cold_path;
use irq_core::msi::generation::Seen;
use irq_core::msi::mask::{self, Masks, Outcome};
use irq_hw::msix::VECTOR_CTRL;
use irq_hw::pci::MsixControl;
use xen::arch::fixmap::Register;
use xen::msi::config;
use xen::msi::log;
use xen::msi::options;
use xen::msi::register_lock::{MaskRegister, RegisterLock};
use xen::msi::reserved::Reserved;
use xen::objects::arch_msix::{Msix, Warning};
use xen::objects::irq_desc::HeldDesc;
use xen::objects::msi_desc::{HeldMsi, KeptMsi, MsiDesc, Sender};
use xen::objects::pci_dev::PciDev;
use xen::sync::rcu;
use xen::xen_assert;
use xen::xen_warn;

/// What becomes of an interrupt's masks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Whether Xen wants it masked; `None` where that stays as it is.
    host: Option<bool>,
    /// Whether its owner does, likewise.
    guest: Option<bool>,
}

impl Change {
    /// The device gets the masks as they are.
    pub(crate) const NONE: Self = Self::new(None, None);

    const fn new(host: Option<bool>, guest: Option<bool>) -> Self {
        Self { host, guest }
    }

    const fn host(mask: bool) -> Self {
        Self::new(Some(mask), None)
    }

    const fn guest(mask: bool) -> Self {
        Self::new(None, Some(mask))
    }

    const fn both(host: bool, guest: bool) -> Self {
        Self::new(Some(host), Some(guest))
    }

    /// The masks that come of it.
    #[inline]
    fn of(self, masks: Masks) -> Masks {
        Masks {
            host: self.host.unwrap_or(masks.host),
            guest: self.guest.unwrap_or(masks.guest),
        }
    }
}

/// Masks an interrupt for Xen.
#[doc(alias = "mask_msi_irq")]
#[inline]
pub fn mask(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let masked = set(desc, msi, Change::host(true));
    xen_assert!(masked);
}

/// Unmasks it for Xen. Where the device cannot be reached, Xen says so.
#[doc(alias = "unmask_msi_irq")]
#[inline]
pub fn unmask(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    if !set(desc, msi, Change::host(false)) {
        xen_warn!();
    }
}

/// Masks or unmasks it for its owner.
#[doc(alias = "guest_mask_msi_irq")]
#[inline]
pub fn mask_for_guest(desc: HeldDesc, guest: bool) {
    let Some(msi) = desc.msi_desc() else { return };
    set(desc, msi, Change::guest(guest));
}

/// Lets it come for the first time; a guest has to unmask it by itself.
#[doc(alias = "startup_msi_irq")]
pub fn start(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    if !set(desc, msi, Change::both(false, desc.is_for_guests())) {
        xen_warn!();
    }
}

/// Masks it for Xen and for its owner.
#[doc(alias = "shutdown_msi_irq")]
pub fn stop(desc: HeldDesc) {
    let Some(msi) = desc.msi_desc() else { return };
    let masked = set(desc, msi, Change::both(true, true));
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
pub(crate) fn set(desc: HeldDesc, msi: HeldMsi, change: Change) -> bool {
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

/// A message of an MSI: its bit in the function's mask register. The others are as Xen wants them,
/// and what lies beyond the messages is as the device has it.
#[inline]
fn set_message(msi: MsiDesc, device: PciDev, change: Change) {
    // A domain's write of the register changes the guest's masks under this lock alone.
    let lock = RegisterLock::take();
    msi.set_masks(change.of(msi.masks()), &lock);
    if msi.has_mask_bit() {
        write_register(msi, device, &lock);
    }
}

/// Writes the mask register that an MSI is in.
#[inline]
fn write_register(msi: MsiDesc, device: PciDev, lock: &RegisterLock) {
    let register = lock.mask_register(device.config(), msi.mask_register());
    let value = if options::rechecks() {
        let bit = 1 << msi.entry();
        let others = register.read() & !bit;
        others | if msi.masks().any() { bit } else { 0 }
    } else {
        let capable = device.capable_messages();
        reserved_in_register(msi, register, capable, lock)
            | mask::register(capable, msi.block().map(MsiDesc::masks))
    };
    register.write(value);
}

/// What a mask register has beyond the messages of its function; the device is asked where that may
/// have changed.
#[inline]
fn reserved_in_register(
    msi: MsiDesc,
    register: MaskRegister,
    capable: u32,
    lock: &RegisterLock,
) -> u32 {
    let first = msi.first_of_block();
    first.reserved(lock).unwrap_or_else(|| {
        cold_path();
        let read = Reserved::read(|| register.read() & !mask::all(capable));
        first.keep_reserved(read, lock);
        read.bits()
    })
}

/// Carries out a domain's write of the mask register of a function's MSI: it masks the messages
/// whose bits are set, and no others. What Xen wants masked stays so, and so do messages that are
/// not set up. Returns what was written.
///
/// Context: `pcidevs_lock` is held, or the locks that vPCI takes.
pub(crate) fn write_for_guest(msi: MsiDesc, device: PciDev, value: u32) -> u32 {
    let lock = RegisterLock::take();
    for (number, desc) in msi.block().enumerate().take(32) {
        let guest = value >> number & 1 != 0;
        let host = desc.masks().host;
        desc.set_masks(Masks { host, guest }, &lock);
    }
    let capable = device.capable_messages();
    let messages = mask::register(capable, msi.block().map(MsiDesc::masks));
    let written = value & !mask::all(capable) | messages;
    // What the domain writes beyond the messages is the device's to keep, or not.
    msi.first_of_block()
        .keep_reserved(Reserved::default(), &lock);
    let register = lock.mask_register(device.config(), msi.mask_register());
    register.write(written);
    written
}

/// An entry of an MSI-X table.
#[inline]
fn set_entry(desc: HeldDesc, msi: KeptMsi, device: PciDev, change: Change) -> bool {
    let (Some(msix), Some(entry)) = (device.msix(), msi.table_entry()) else {
        return false;
    };
    let (before, masks) = (msi.masks(), change.of(msi.masks()));
    let entry = Entry { entry, msix };
    if mask::set_if_known(&entry, before, masks) {
        msi.set_entry_masks(masks, desc);
        return true;
    }
    // Where the entry is not as it was left, it may have lost its message, too.
    msi.note_programmed(None);
    let outcome = {
        let function = LockedDev {
            msix,
            device,
            control: LockedControl::lock(device, msix, msi.position()),
            seen: Cell::new(None),
        };
        mask::set_with_care(&entry, &function, masks)
    };
    match outcome {
        Outcome::Done => {
            msi.set_entry_masks(masks, desc);
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
