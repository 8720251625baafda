//! Lines of the log, in upstream's words; see [`crate::base::log`].

use super::Iommu;
use crate::base::log::{debug, print};
use crate::objects::ioapic::IoApic;
use crate::objects::pci_dev::PciDev;
use core::ffi::{c_int, c_uint};
use xen_sys as sys;

/// IOMMUs are switched off, because their entries could not be changed in one piece.
#[cold]
pub fn no_wide_exchange() {
    print!(c"<0>[VT-D]no CMPXCHG16B support, disabling IOMMU\n");
}

/// No unit serves an IO-APIC. Debug builds only.
#[cold]
#[track_caller]
pub fn io_apic_without_unit(io_apic: IoApic) {
    debug!(
        "<1>[VT-D]",
        " There is not a DRHD for IOAPIC %#x (id: %#x)!",
        io_apic.number() as c_uint,
        io_apic.id()
    );
}

/// The queue of an IOMMU could not be enabled. Debug builds only.
#[cold]
#[track_caller]
pub fn queue_not_enabled() {
    debug!("<2>[VT-D]", " Failed to enable Queued Invalidation!");
}

/// Remapping could not be enabled at an IOMMU. Debug builds only.
#[cold]
#[track_caller]
pub fn not_enabled() {
    debug!("<2>[VT-D]", " Failed to enable Interrupt Remapping!");
}

/// Firmware says that interrupts cannot be remapped.
#[cold]
pub fn forbidden_by_firmware() {
    print!(c"<0>[VT-D] Platform firmware does not support interrupt remapping\n");
}

/// Without the queue, nothing that an IOMMU keeps could be invalidated.
#[cold]
pub fn queue_missing(iommu: Iommu) {
    print!(
        c"<0>[VT-D] Queued invalidation is not enabled on IOMMU #%u: Should not enable interrupt remapping\n",
        iommu.index()
    );
}

/// Messages in compatibility format pass without a table.
#[cold]
pub fn compatibility_format(iommu: Iommu) {
    print!(
        c"<1>[VT-D] Compatibility Format Interrupts permitted on IOMMU #%u: Device pass-through will be insecure\n",
        iommu.index()
    );
}

/// There is no memory for a table. Debug builds only.
#[cold]
#[track_caller]
pub fn no_table() {
    debug!(
        "<1>[VT-D]",
        " Cannot allocate memory for ir_ctrl->iremap_maddr"
    );
}

/// A table has no entry left for a pin. Debug builds only.
#[cold]
#[track_caller]
pub fn table_full_for_pin() {
    debug!(
        "<0>[VT-D]",
        " IO-APIC intremap index (%d) larger than maximum index (%d)",
        sys::XEN_IRQ_IREMAP_ENTRIES as c_int,
        sys::XEN_IRQ_IREMAP_ENTRIES as c_int - 1
    );
}

/// A table has no entry left for an MSI. Debug builds only.
#[cold]
#[track_caller]
pub fn table_full_for_msi() {
    debug!(
        "<0>[VT-D]",
        " MSI intremap index (%d) larger than maximum index (%d)!",
        sys::XEN_IRQ_IREMAP_ENTRIES as c_int,
        sys::XEN_IRQ_IREMAP_ENTRIES as c_int - 1
    );
}

/// A table has no entry left for an HPET. Debug builds only.
#[cold]
#[track_caller]
pub fn table_full_for_hpet() {
    debug!(
        "<0>[VT-D]",
        " HPET intremap index (%d) larger than maximum index (%d)!",
        sys::XEN_IRQ_IREMAP_ENTRIES as c_int,
        sys::XEN_IRQ_IREMAP_ENTRIES as c_int - 1
    );
}

/// Firmware does not say what ID an HPET's requests bear. Debug builds only.
#[cold]
#[track_caller]
pub fn hpet_without_id(id: u32) {
    debug!("<0>[VT-D]", " Didn't find the bdf for HPET %u!", id);
}

/// It is not known which bridges a function is behind. Debug builds only.
#[cold]
#[track_caller]
pub fn no_upstream_bridge(device: PciDev) {
    debug!(
        "<1>[VT-D]",
        " d%d: no upstream bridge for %pp",
        device.owner_id(),
        device.sbdf()
    );
}

/// It is not known what a function is. Debug builds only.
#[cold]
#[track_caller]
pub fn unknown_kind(device: PciDev) {
    debug!(
        "<1>[VT-D]",
        " d%d: unknown(%u): %pp",
        device.owner_id(),
        device.raw_kind(),
        device.sbdf()
    );
}
