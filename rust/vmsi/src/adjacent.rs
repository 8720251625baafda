//! Registers of a device that share a page with its MSI-X table.
//!
//! The guest cannot be given such a page, so that Xen carries its accesses out. What must not be written, the pending bits and the
//! table itself, is not.

use irq_core::msix::beside::Bytes;
use xen::domain::Domain;
use xen::fixmap::Page;
use xen::log;
use xen::msix::{Msix, SharedPage, Warning};
use xen::tables::Table;
use xen::xen_assert;

/// Finds the page of a table that a guest-physical address outside the table lies in.
fn shared_page(table: &Table, address: u64) -> Option<(Msix<'_>, SharedPage, Page)> {
    let msix = table.device().msix()?;
    let page = if address < table.base() {
        SharedPage::First
    } else {
        SharedPage::Last
    };
    match msix.shared_page(page) {
        Some(index) => Some((msix, page, Page::new(index))),
        None => {
            if msix.should_warn(owner(table), Warning::AdjacentNotInitialized) {
                let last = page == SharedPage::Last;
                log::adjacent_page_not_initialized(table.device(), last, address, table.base());
            }
            None
        }
    }
}

fn owner(table: &Table) -> Domain<'_> {
    table.device().domain()
}

/// Reads an aligned register of 1, 2, 4 or 8 bytes; all ones where it cannot be reached.
pub(crate) fn read(table: &Table, address: u64, len: u32) -> u64 {
    xen_assert!(address.is_multiple_of(len.into()));
    shared_page(table, address)
        .and_then(|(_, _, page)| page.read(address, len))
        .unwrap_or(u64::MAX)
}

/// Writes an aligned register of 1, 2, 4 or 8 bytes, unless it is a part of the pending bits or, where the guest has the table at
/// another place of its page than the device, of the table. Where those are the device is asked each time: the guest's request
/// goes to the device model besides, which takes far longer.
pub(crate) fn write(table: &Table, address: u64, len: u32, value: u64) {
    xen_assert!(address.is_multiple_of(len.into()));
    let Some((msix, which, page)) = shared_page(table, address) else {
        return;
    };
    let written = Bytes::new(msix.page_number(which), address, len.into());
    let may_be_written = msix
        .protected(table.device())
        .is_some_and(|protected| !protected.into_iter().any(|bytes| written.overlap(bytes)));
    if may_be_written {
        page.write(address, len, value);
    } else if msix.should_warn(owner(table), Warning::AdjacentPba) {
        log::adjacent_write_dropped(table.device(), address);
    }
}
