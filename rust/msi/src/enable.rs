//! An interrupt of a device comes into being: it has a descriptor, and is masked.

pub use crate::msi::Refused;

use crate::disable;
use crate::window::LockedControl;
use crate::{msi, msix};
use core::num::NonZero;
use xen::base::errno::Errno;
use xen::msi::log;
use xen::msi::options;
use xen::objects::msi_desc::{KeptMsi, MsiDesc, Sender};
use xen::objects::msi_info::Request;
use xen::objects::pci_dev::{self, KeptDev, PciDev};
use xen::xen_assert;

/// Sets up an entry of a function's MSI-X table, or a block of messages of its MSI. The function
/// and Xen's notes about it are as they were where this fails.
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::NODEV`] where the function has no such capability, [`Errno::PERM`] where the boot
/// option `msi` forbids it, [`Errno::EXIST`] where the IRQ is set up already, [`Errno::INVAL`] for
/// an entry that the table does not have and for no messages; else as for what is set up.
#[doc(alias = "pci_enable_msi")]
pub fn enable<'a>(device: KeptDev<'a>, request: Request) -> Result<MsiDesc<'a>, Refused> {
    xen_assert!(device.list_is_locked());
    if !options::allowed() {
        return Err(Errno::PERM.into());
    }
    if request.is_for_table() {
        enable_entry(device, request).map_err(Refused::Error)
    } else {
        enable_messages(device, request)
    }
}

#[doc(alias = "__pci_enable_msix")]
fn enable_entry<'a>(device: KeptDev<'a>, request: Request) -> Result<MsiDesc<'a>, Errno> {
    let msix = device.msix().ok_or(Errno::NODEV)?;
    if request.entry() >= msix.entries() {
        return Err(Errno::INVAL);
    }
    if find(device, Sender::Msix, Some(request.irq())).is_some() {
        log::irq_in_use(request.irq(), Sender::Msix, *device);
        return Err(Errno::EXIST);
    }
    if let Some(other) = find(device, Sender::Msi, None) {
        log::other_kind_in_use(Sender::Msi, *device);
        disable::quiet_messages(*other, *device);
    }
    msix::set_up_entry(device, msix, request)
}

#[doc(alias = "__pci_enable_msi")]
fn enable_messages<'a>(device: KeptDev<'a>, request: Request) -> Result<MsiDesc<'a>, Refused> {
    // A domain names the number in a hypercall.
    let count = NonZero::new(request.messages()).ok_or(Errno::INVAL)?;
    if find(device, Sender::Msi, Some(request.irq())).is_some() {
        log::irq_in_use(request.irq(), Sender::Msi, *device);
        return Err(Errno::EXIST.into());
    }
    if let Some(other) = find(device, Sender::Msix, None) {
        log::other_kind_in_use(Sender::Msix, *device);
        disable::quiet_entry(other, *device);
    }
    msi::set_up(device, count, request)
}

/// Finds what is set up of a kind: that with an IRQ, or the first.
#[doc(alias = "find_msi_entry")]
pub(crate) fn find<'a>(device: KeptDev<'a>, kind: Sender, irq: Option<i32>) -> Option<KeptMsi<'a>> {
    device
        .msi_descs()
        .find(|desc| desc.is_of_kind(kind) && irq.is_none_or(|irq| desc.irq() == irq))
}

/// Protects a function's MSI-X table against dom0 before any entry is set up, or ends that: its
/// owner is going to be another domain.
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::NODEV`] where there is no such function or it has no table, [`Errno::BUSY`] where
/// entries are set up, or it is prepared already (or is not); else as for setting up an entry.
#[doc(alias = "pci_prepare_msix")]
pub fn prepare(segment: u16, id: u16, end: bool) -> Result<(), Errno> {
    if !options::allowed() {
        return Ok(());
    }
    pci_dev::with_devices_locked(|devices| {
        let device = devices.find(segment, id).ok_or(Errno::NODEV)?;
        let msix = device.msix().ok_or(Errno::NODEV)?;
        if msix.used() != u32::from(end) {
            return Err(Errno::BUSY);
        }
        if end {
            disable::release_table(msix);
            return Ok(());
        }
        msix::protect(device, msix)
    })
}

/// A function gets another owner: nothing that the last one had masked stays so.
///
/// Context: the function is assigned.
///
/// # Errors
///
/// [`Errno::BUSY`] where the function masks all its messages: it was not reset.
#[doc(alias = "pci_reset_msix_state")]
pub fn reset(device: PciDev) -> Result<(), Errno> {
    let (Some(position), Some(msix)) = (device.msix_position(), device.msix()) else {
        xen_assert!(false);
        return Ok(());
    };
    // Another CPU may mask an entry of the last owner's, for which all messages have to be masked.
    let locked = LockedControl::lock(device, msix, position);
    if locked.read().masks_all() {
        return Err(Errno::BUSY);
    }
    msix.set_host_mask_all(false);
    msix.set_guest_mask_all(false);
    Ok(())
}
