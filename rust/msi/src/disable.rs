//! Interrupts of a device end.

use crate::control;
use crate::window::LockedControl;
use irq_core::msi::mask::with_mask;
use irq_core::msi::window::opened;
use irq_hw::msix::VECTOR_CTRL;
use xen::msi::device;
use xen::msi::log;
use xen::msi::new::Leaving;
use xen::msi::register_lock::RegisterLock;
use xen::objects::arch_msix::{Msix, SharedPage};
use xen::objects::msi_desc::{KeptMsi, MsiDesc, Sender};
use xen::objects::pci_dev::PciDev;
use xen::objects::rangeset as ranges;
use xen::xen_assert;
use xen::xen_warn;

/// Has a device send an interrupt no more.
///
/// Context: `pcidevs_lock` or the owner's PCI lock is held, IRQs on.
#[doc(alias = "pci_disable_msi")]
pub fn disable(msi: KeptMsi) {
    let Some(device) = msi.device() else { return };
    match msi.sender() {
        Sender::Msi => quiet_messages(*msi, device),
        Sender::Msix => quiet_entry(msi, device),
        _ => {}
    }
}

/// Disables MSI. Where no guest had it, INTx comes back.
#[doc(alias = "__pci_disable_msi")]
pub(crate) fn quiet_messages(msi: MsiDesc, device: PciDev) {
    if let Some(position) = device.msi_position() {
        control::enable_msi(device.config(), position, false);
    }
    let irq = msi.irq_desc().filter(|_| msi.irq() > 0);
    if irq.is_some_and(|irq| !irq.is_for_guests()) && !msi.was_for_guests() {
        device.set_intx(true);
    }
    xen_assert!(!device.has_no_msi());
}

/// Masks an entry of an MSI-X table for good; with the last, the table is not protected any more.
#[doc(alias = "__pci_disable_msix")]
pub(crate) fn quiet_entry(msi: KeptMsi, device: PciDev) {
    let (Some(position), Some(msix)) = (device.msix_position(), device.msix()) else {
        xen_assert!(false);
        return;
    };
    xen_assert!(!device.has_no_msi());
    if !mask_for_good(msi, device, msix, position) {
        log::not_disabled(*msi, device);
    }
    release_table(msix);
}

/// Masks an entry, or all messages of its function where the entry cannot be reached. Returns false
/// where that was the only way to mask it, and the host did not do so before.
fn mask_for_good(msi: KeptMsi, device: PciDev, msix: Msix, position: u16) -> bool {
    let locked = LockedControl::lock(device, msix, position);
    let control = locked.read();
    let mut mask_all = msix.mask_all().host;
    if !control.enabled() {
        locked.write(opened(control));
    }
    let mut reached = true;
    let decodes = control::decodes_memory(device);
    if let Some(entry) = msi.table_entry().filter(|_| decodes) {
        entry.write32(VECTOR_CTRL, with_mask(entry.read32(VECTOR_CTRL), true));
    } else {
        // Where all are masked already it may be for the guest, which may lift that.
        reached = mask_all && control.masks_all();
        mask_all = true;
    }
    msix.set_host_mask_all(mask_all);
    let masked = control.masks_all() || mask_all || msix.mask_all().guest;
    locked.write(control.with_mask_all(masked));
    reached
}

/// One entry less is set up, or the function is not prepared any more.
#[doc(alias = "_pci_cleanup_msix")]
pub(crate) fn release_table(msix: Msix) {
    if !msix.remove_user() {
        return;
    }
    let [table, pending] = msix.pages();
    if ranges::remove(table).is_err() {
        xen_warn!();
    }
    msix.forget_table();
    for which in [SharedPage::First, SharedPage::Last] {
        msix.unshare(which);
    }
    if ranges::remove(pending).is_err() {
        xen_warn!();
    }
    msix.set_pending_pages(Default::default());
}

/// A function goes, or Xen gives it up: none of its interrupts stays.
///
/// Context: `pcidevs_lock` is held, IRQs on.
#[doc(alias = "pci_cleanup_msi")]
#[doc(alias = "msi_free_irqs")]
pub fn clean_up(mut function: Leaving) {
    {
        let _locked = RegisterLock::take();
        stop_sending(function.device());
    }
    while let Some(block) = function.unmap_or_take() {
        disable(block.first());
        block.free();
    }
}

/// Disables MSI and MSI-X of a function.
///
/// Context: any, and no lock is taken: on the way to a crash kernel, a CPU that was halted may hold
/// any. Otherwise [`RegisterLock`] is held, and the function is in its owner's list no
/// more: mappings under way, which may have a window open, have ended.
#[doc(alias = "disable_msi")]
#[doc(alias = "msix_set_enable")]
pub fn stop_sending(device: PciDev) {
    let function = device.config();
    if let Some(position) = device.msi_position() {
        control::enable_msi(function, position, false);
    }
    if let Some(position) = device.msix_position() {
        let control = control::msix(function, position);
        control::set_msix(function, position, control.with_enabled(false));
    }
}

/// Disables MSI and MSI-X of all functions: Xen is about to end, or to start another kernel.
///
/// Context: any.
#[doc(alias = "pci_disable_msi_all")]
pub fn stop_all() {
    if let Err(errno) = device::disable_msi_of_all() {
        log::not_all_disabled(errno);
    }
}
