//! Lines of the log, in upstream's words; see [`crate::base::log`].

use super::{Device, Requester};
use crate::base::errno::Errno;
use crate::base::log::{lines, print};
use crate::objects::ioapic::IoApic;
use core::ffi::c_uint;
use xen_sys as sys;

lines! {
    /// IOMMUs are switched off, because their entries could not be changed in one piece.
    no_wide_exchange(): c"<0>AMD-Vi: Error: no CMPXCHG16B support, disabling IOMMU\n";

    /// No IOMMU serves an IO-APIC.
    io_apic_without_iommu(io_apic: IoApic):
        c"<1>AMD-Vi: Warning: no IOMMU for IO-APIC %#x (ID %x)\n",
        io_apic.number() as c_uint, io_apic.id();

    /// No IOMMU serves the device that sends an IO-APIC's messages.
    pins_without_iommu(device: Device):
        c"<1>AMD-Vi: Warning: failed to find IOMMU for IO-APIC @ %04x:%04x\n",
        c_uint::from(device.segment), c_uint::from(device.id);

    /// A pin got no entry.
    pin_not_remapped(io_apic: IoApic, pin: u32, errno: Errno):
        c"<0>Remapping IO-APIC %#x pin %u failed (%d)\n", io_apic.id(), pin, errno.negative();

    /// Firmware says nothing of an HPET.
    hpet_unknown():
        c"<0>AMD-Vi: Error: failed to setup HPET MSI remapping: missing IVRS HPET info\n";

    /// Firmware speaks of another HPET.
    hpet_other(): c"<0>AMD-Vi: Error: failed to setup HPET MSI remapping: wrong HPET\n";

    /// An entry changed between two looks at it, and was left as it is.
    entry_changed(seen: [u64; 2], expected: [u64; 2]):
        c"<0>unexpected IRTE %016lx_%016lx (expected %016lx_%016lx)\n",
        seen[1], seen[0], expected[1], expected[0];

    /// Debug key `V`: what follows are the tables of all requesters.
    tables_per_requester(): c"--- Dumping Per-dev IOMMU Interrupt Remapping Table ---\n";

    /// Debug key `V`: what follows is the table that all requesters share.
    shared_table(): c"--- Dumping Shared IOMMU Interrupt Remapping Table ---\n";

    /// Debug key `V`: an entry of 128 bits.
    wide_entry(index: usize, entry: [u64; 2]):
        c"    IRTE[%03x] %016lx_%016lx\n", index as c_uint, entry[1], entry[0];

    /// Debug key `V`: an entry of 32 bits.
    narrow_entry(index: usize, entry: [u64; 2]):
        c"    IRTE[%03x] %08x\n", index as c_uint, entry[0] as u32;
}

/// No IOMMU serves the sender of an MSI. With the boot option `iommu=debug` only.
#[cold]
pub fn message_without_iommu(device: Device) {
    // SAFETY: A flag that is written while Xen boots.
    if unsafe { (&raw const sys::iommu_debug).read_volatile() } {
        let sbdf = device.sbdf();
        print!(c"<2>AMD-Vi: No IOMMU for MSI dev = %pp\n", &raw const sbdf);
    }
}

/// Debug key `V`: what follows is the table of a requester.
pub fn requester(segment: u16, requester: Requester) {
    let id = requester.id();
    let sbdf = Device { segment, id }.sbdf();
    print!(c"  %pp:\n", &raw const sbdf);
}
