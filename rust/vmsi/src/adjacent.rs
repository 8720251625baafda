//! Registers of a device that share a page with its MSI-X table.
//!
//! The guest cannot be given such a page, so that Xen carries its accesses out. What must not be
//! written, the pending bits and the table itself, is not.

use irq_core::vmsi::beside::Bytes;
use xen::arch::fixmap::Page;
use xen::base::log;
use xen::base::units::MSI_IN_RUST;
use xen::objects::arch_msix::{SharedPage, Warning};
use xen::objects::domain::Domain;
use xen::objects::pci_dev::{Devices, PciDev};
use xen::vmsi::tables::Table;
use xen::xen_assert;

/// Which of a table's pages an address outside the table lies in.
fn which(table: &Table, address: u64) -> SharedPage {
    if address < table.base() {
        SharedPage::First
    } else {
        SharedPage::Last
    }
}

/// Returns whether a warning is due, which it is once for each owner.
fn should_warn(domain: Domain, device: PciDev, warning: Warning) -> bool {
    device
        .msix()
        .is_some_and(|msix| msix.should_warn(domain, warning))
}

/// Uses the page that an address outside of a table lies in; `None` where it is not mapped, or the
/// domain has not the function any more.
#[doc(alias = "get_adjacent_idx")]
fn with_page<R>(
    domain: Domain,
    devices: &Devices,
    table: &Table,
    address: u64,
    access: impl FnOnce(PciDev, &Page) -> R,
) -> Option<R> {
    let device = table.device(devices)?;
    let which = which(table, address);
    let msix = device.msix();
    // Where Xen's msi.c removes functions, the table of one may be here still.
    xen_assert!(msix.is_some() || !MSI_IN_RUST);
    let result = msix?.with_shared_page(devices, which, |page| access(device, page));
    if result.is_none() && should_warn(domain, device, Warning::AdjacentNotInitialized) {
        log::adjacent_page_not_initialized(device, which, address, table.base());
    }
    result
}

/// Reads an aligned register of 1, 2, 4 or 8 bytes; all ones where it cannot be reached.
#[doc(alias = "adjacent_read")]
pub(crate) fn read(domain: Domain, table: &Table, address: u64, len: u32) -> u64 {
    xen_assert!(address.is_multiple_of(len.into()));
    let read = |_: PciDev, page: &Page| page.read(address, len);
    Devices::with(domain, |devices| {
        with_page(domain, devices, table, address, read)?
    })
    .unwrap_or(u64::MAX)
}

/// Returns whether aligned bytes outside of a table may be written: they are no part of the pending
/// bits or, where the guest has the table at another place of its page than the device, of the
/// table. Where those are the device is asked each time: the guest's request goes to the device
/// model besides, which takes far longer.
fn may_be_written(device: PciDev, which: SharedPage, address: u64, len: u32) -> bool {
    let Some(msix) = device.msix() else {
        return false;
    };
    let written = Bytes::new(msix.page_number(which), address, len.into());
    msix.protected(device)
        .is_some_and(|protected| !protected.into_iter().any(|bytes| written.overlap(bytes)))
}

/// Writes an aligned register of 1, 2, 4 or 8 bytes, if it may be written.
#[doc(alias = "adjacent_write")]
pub(crate) fn write(domain: Domain, table: &Table, address: u64, len: u32, value: u64) {
    xen_assert!(address.is_multiple_of(len.into()));
    let write = |device: PciDev, page: &Page| {
        if may_be_written(device, which(table, address), address, len) {
            page.write(address, len, value);
        } else if should_warn(domain, device, Warning::AdjacentPba) {
            log::adjacent_write_dropped(device, address);
        }
    };
    Devices::with(domain, |devices| {
        with_page(domain, devices, table, address, write)
    });
}
