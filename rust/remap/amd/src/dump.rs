//! Debug key `V`: what is in the tables.

use xen::remap::amd::{self, Iommu, Locked, Requester, log};
use xen::sync::softirq::process_pending_softirqs;

/// Shows all tables.
///
/// Context: a key's handler, IRQs on.
#[doc(alias = "amd_iommu_dump_intremap_tables")]
pub fn all() {
    match amd::lock_shared_table() {
        Some(table) => {
            log::shared_table();
            show(&table, || ());
        }
        None => {
            log::tables_per_requester();
            amd::dump_each_requester();
        }
    }
}

/// Shows the table of a requester, if it has one in which anything is set.
///
/// Context: as for [`all`], which has it called for each requester.
#[doc(alias = "dump_intremap_mapping")]
pub fn one(iommu: Iommu, requester: Requester) {
    if let Some(table) = requester.lock_table() {
        show(&table, || log::requester(iommu.segment(), requester));
    }
    process_pending_softirqs();
}

/// Shows what is set in a table, if anything is, after a heading.
#[doc(alias = "dump_intremap_table")]
fn show(table: &Locked, heading: impl FnOnce()) {
    let mut heading = Some(heading);
    for (index, entry) in table.set_entries() {
        if let Some(heading) = heading.take() {
            heading();
        }
        if table.is_wide() {
            log::wide_entry(index, entry);
        } else {
            log::narrow_entry(index, entry);
        }
    }
}
