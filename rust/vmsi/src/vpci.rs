//! MSI and MSI-X of vPCI: a PVH dom0 programs capabilities that Xen emulates, and Xen maps and
//! binds their interrupts.
//!
//! Context: the domain's `pci_lock` or `pcidevs_lock` is held, and the vPCI lock of the function;
//! IRQs on.

use irq_core::vmsi::deliver::{GuestFlags, block_vector};
use irq_hw::msi::{Address, Data};
use xen::base::errno::Errno;
use xen::base::log;
use xen::objects::pci_dev::KeptDev;
use xen::objects::pirq;
use xen::objects::vpci::{LockedMsix, VpciMsi, VpciMsixEntry};
use xen::vmsi::bind::{self, Interrupts};
use xen::xen_assert;

/// A message as the guest wrote it.
#[derive(Clone, Copy)]
struct Message {
    address: Address,
    data: Data,
    /// One mask bit for each interrupt of a block.
    mask: u32,
}

/// Masks or unmasks the interrupt of a pirq of a function's owner.
#[doc(alias = "vpci_mask_pirq")]
fn mask_pirq(device: KeptDev, pirq: i32, mask: bool) {
    if let Some(domain) = device.owner()
        && let Some(desc) = pirq::lock_domain_pirq(domain, pirq)
    {
        desc.guest_mask_msi(mask);
    }
}

/// Binds a block of `count` pirqs from `first` on to a message; on an error none is left bound.
#[doc(alias = "vpci_msi_update")]
fn bind_block(device: KeptDev, message: Message, count: u32, first: i32) -> Result<(), Errno> {
    let domain = device.owner().ok_or(Errno::NODEV)?;
    xen_assert!(domain.device_list_is_locked());
    let first = first as u32;
    if !message.address.is_interrupt() {
        log::unsupported_address(*device, first, message.address);
        return Err(Errno::OPNOTSUPP);
    }
    for index in 0..count {
        let pirq = first + index;
        let vector = block_vector(message.data.vector(), count, index);
        let masked = message.mask.checked_shr(index).unwrap_or(0) & 1 != 0;
        let flags = GuestFlags::of_message(message.address, message.data, masked);
        if let Err(errno) = bind::create(device, pirq, vector, flags) {
            log::bind_failed(*device, pirq, errno);
            for bound in (first..pirq).rev() {
                // What cannot be unbound stays with its pirq, which the caller unmaps.
                let _ = bind::destroy(device, bound);
            }
            return Err(errno);
        }
    }
    Ok(())
}

/// Maps interrupts of a function.
#[doc(alias = "vpci_msi_enable")]
fn map(device: KeptDev, interrupts: Interrupts) -> Result<i32, Errno> {
    xen_assert!(
        device
            .owner()
            .is_some_and(|domain| domain.device_list_is_locked())
    );
    bind::map(device, interrupts).inspect_err(|&errno| log::map_failed(*device, errno))
}

/// Unbinds a block of `bound` pirqs, and unmaps it.
#[doc(alias = "vpci_msi_disable")]
fn release(device: KeptDev, first: i32, bound: u32) {
    let Some(domain) = device.owner() else {
        return;
    };
    xen_assert!(domain.device_list_is_locked());
    for index in 0..bound {
        let result = bind::destroy(device, first as u32 + index);
        xen_assert!(result.is_ok());
    }
    bind::unmap(device, first);
}

fn msi_message(msi: VpciMsi) -> Message {
    Message {
        address: msi.address(),
        data: msi.data(),
        mask: msi.mask(),
    }
}

/// Says that an MSI capability is not in use.
#[doc(alias = "vpci_msi_arch_init")]
pub fn msi_init(msi: VpciMsi) {
    msi.set_pirq(None);
}

/// Masks or unmasks message `index` of an MSI.
#[doc(alias = "vpci_msi_arch_mask")]
pub fn msi_mask(msi: VpciMsi, device: KeptDev, index: u32, mask: bool) {
    mask_pirq(device, msi.raw_pirq().wrapping_add(index as i32), mask);
}

/// Maps and binds `count` messages of an MSI that the guest enables. That binding fails is no
/// error: the guest may write another message.
///
/// # Errors
///
/// Those of [`bind::map`].
#[doc(alias = "vpci_msi_arch_enable")]
pub fn msi_enable(msi: VpciMsi, device: KeptDev, count: u32) -> Result<(), Errno> {
    xen_assert!(msi.pirq().is_none());
    let pirq = map(device, Interrupts::Msi(count))?;
    msi.set_pirq(Some(pirq));
    msi.set_bound(bind_block(device, msi_message(msi), count, pirq).is_ok());
    Ok(())
}

/// Binds an MSI that is enabled to the message that the guest changed.
#[doc(alias = "vpci_msi_arch_update")]
pub fn msi_update(msi: VpciMsi, device: KeptDev) {
    xen_assert!(msi.pirq().is_some());
    let Some(domain) = device.owner() else {
        return;
    };
    xen_assert!(domain.device_list_is_locked());
    let (first, count) = (msi.raw_pirq(), msi.vectors());
    if msi.is_bound() {
        for index in 0..count {
            if bind::destroy(device, first as u32 + index).is_err() {
                xen_assert!(false);
                domain.crash();
                return;
            }
        }
    }
    msi.set_bound(bind_block(device, msi_message(msi), count, first).is_ok());
}

/// Unbinds and unmaps an MSI that the guest disables.
#[doc(alias = "vpci_msi_arch_disable")]
pub fn msi_disable(msi: VpciMsi, device: KeptDev) {
    xen_assert!(msi.pirq().is_some());
    let bound = if msi.is_bound() { msi.vectors() } else { 0 };
    release(device, msi.raw_pirq(), bound);
    msi.set_pirq(None);
}

/// Prints an MSI for debug key `M`.
#[doc(alias = "vpci_msi_arch_print")]
pub fn msi_print(msi: VpciMsi) {
    log::vpci_msi(msi.address(), msi.data(), msi.raw_pirq());
}

/// Says that an entry is not in use.
#[doc(alias = "vpci_msix_arch_init_entry")]
pub fn msix_init(entry: VpciMsixEntry) {
    entry.set_pirq(None);
}

/// Masks or unmasks an entry, if it is in use.
#[doc(alias = "vpci_msix_arch_mask_entry")]
pub fn msix_mask(entry: VpciMsixEntry, device: KeptDev, mask: bool) {
    if let Some(pirq) = entry.pirq() {
        mask_pirq(device, pirq, mask);
    }
}

/// Maps and binds an entry of the table at physical address `table`.
///
/// # Errors
///
/// Those of [`bind::map`] and [`bind::create`]; then the entry is not in use.
#[doc(alias = "vpci_msix_arch_enable_entry")]
pub fn msix_enable(entry: VpciMsixEntry, device: KeptDev, table: u64) -> Result<(), Errno> {
    xen_assert!(entry.pirq().is_none());
    let pirq = map(
        device,
        Interrupts::Msix {
            entry: entry.number(device).ok_or(Errno::INVAL)?,
            table,
        },
    )?;
    entry.set_pirq(Some(pirq));
    let message = Message {
        address: entry.address(),
        data: entry.data(),
        mask: entry.masked().into(),
    };
    bind_block(device, message, 1, pirq).inspect_err(|_| {
        release(device, pirq, 0);
        entry.set_pirq(None);
    })
}

/// Unbinds and unmaps an entry.
///
/// # Errors
///
/// `NOENT` where it is not in use.
#[doc(alias = "vpci_msix_arch_disable_entry")]
pub fn msix_disable(entry: VpciMsixEntry, device: KeptDev) -> Result<(), Errno> {
    let pirq = entry.pirq().ok_or(Errno::NOENT)?;
    release(device, pirq, 1);
    entry.set_pirq(None);
    Ok(())
}

/// Prints the entries of a table for debug key `M`, with a pause after every 64 that lets softirqs
/// run.
///
/// # Errors
///
/// Those of [`LockedMsix::let_others_run`]; then the locks are not held.
#[doc(alias = "vpci_msix_arch_print")]
pub fn msix_print(mut msix: LockedMsix) -> Result<(), Errno> {
    let mut index = 0;
    while let Some(entry) = msix.entry(index) {
        log::vpci_msix_entry(
            index,
            entry.address(),
            entry.data(),
            entry.masked(),
            entry.raw_pirq(),
        );
        if index != 0 && index % 64 == 0 {
            msix = msix.let_others_run()?;
        }
        index += 1;
    }
    Ok(())
}
