//! Lines of the log, in upstream's words; see [`crate::base::log`].

use super::Iommu;
use crate::base::log::{debug_lines, lines};
use crate::objects::ioapic::IoApic;
use crate::objects::pci_dev::PciDev;
use core::ffi::{c_int, c_uint};
use xen_sys as sys;

lines! {
    /// IOMMUs are switched off, because their entries could not be changed in one piece.
    no_wide_exchange(): c"<0>[VT-D]no CMPXCHG16B support, disabling IOMMU\n";

    /// Firmware says that interrupts cannot be remapped.
    forbidden_by_firmware():
        c"<0>[VT-D] Platform firmware does not support interrupt remapping\n";

    /// Without the queue, nothing that an IOMMU keeps could be invalidated.
    queue_missing(iommu: Iommu):
        c"<0>[VT-D] Queued invalidation is not enabled on IOMMU #%u: Should not enable interrupt remapping\n",
        iommu.index();

    /// Messages in compatibility format pass without a table.
    compatibility_format(iommu: Iommu):
        c"<1>[VT-D] Compatibility Format Interrupts permitted on IOMMU #%u: Device pass-through will be insecure\n",
        iommu.index();
}

/// How many entries a table has, for C.
const ENTRIES: c_int = sys::XEN_IRQ_IREMAP_ENTRIES as c_int;

debug_lines! {
    /// No unit serves an IO-APIC.
    io_apic_without_unit(io_apic: IoApic):
        "<1>[VT-D]", " There is not a DRHD for IOAPIC %#x (id: %#x)!",
        io_apic.number() as c_uint, io_apic.id();

    /// The queue of an IOMMU could not be enabled.
    queue_not_enabled(): "<2>[VT-D]", " Failed to enable Queued Invalidation!";

    /// Remapping could not be enabled at an IOMMU.
    not_enabled(): "<2>[VT-D]", " Failed to enable Interrupt Remapping!";

    /// There is no memory for a table.
    no_table(): "<1>[VT-D]", " Cannot allocate memory for ir_ctrl->iremap_maddr";

    /// A table has no entry left for a pin.
    table_full_for_pin():
        "<0>[VT-D]", " IO-APIC intremap index (%d) larger than maximum index (%d)",
        ENTRIES, ENTRIES - 1;

    /// A table has no entry left for an MSI.
    table_full_for_msi():
        "<0>[VT-D]", " MSI intremap index (%d) larger than maximum index (%d)!",
        ENTRIES, ENTRIES - 1;

    /// A table has no entry left for an HPET.
    table_full_for_hpet():
        "<0>[VT-D]", " HPET intremap index (%d) larger than maximum index (%d)!",
        ENTRIES, ENTRIES - 1;

    /// Firmware does not say what ID an HPET's requests bear.
    hpet_without_id(id: u32): "<0>[VT-D]", " Didn't find the bdf for HPET %u!", id;

    /// It is not known which bridges a function is behind.
    no_upstream_bridge(device: PciDev):
        "<1>[VT-D]", " d%d: no upstream bridge for %pp", device.owner_id(), device.sbdf();

    /// It is not known what a function is.
    unknown_kind(device: PciDev):
        "<1>[VT-D]", " d%d: unknown(%u): %pp",
        device.owner_id(), device.raw_kind(), device.sbdf();
}
