//! Slips that show in machine code, or in how a cost grows.

use super::super::slip::{Slip, slip};

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "sixteen bytes are replaced without a lock of the bus",
        "xen/src/arch/wide.rs",
        "",
        "\"lock cmpxchg16b [rdi]\"",
        "\"cmpxchg16b [rdi]\"",
    )
    .alone(),
    slip(
        "the index of a shadow entry has no mask",
        "xen/src/arch/nospec.rs",
        "",
        "index & mask",
        "index",
    )
    .alone(),
    slip(
        "a condition is evaluated without a fence where it does not hold",
        "xen/src/arch/nospec.rs",
        "",
        "lfence_unless!($feature, \"false\");",
        "",
    )
    .alone(),
    slip(
        "whether a domain is one of HVM is asked without fences",
        "xen/src/objects/domain.rs",
        "",
        "nospec::evaluate(self.was_created_as_hvm())",
        "self.was_created_as_hvm()",
    )
    .alone(),
    slip(
        "whether a domain owns the hardware is asked without fences",
        "xen/src/objects/domain.rs",
        "",
        "nospec::evaluate(hardware_domain() == self.as_ptr())",
        "hardware_domain() == self.as_ptr()",
    )
    .alone(),
    slip(
        "an entry of 32 bits is written without a barrier",
        "xen/src/remap/amd/lock.rs",
        "",
        "store(new, Ordering::SeqCst)",
        "store(new, Ordering::Relaxed)",
    )
    .alone(),
    slip(
        "an index may panic",
        "core/src/vmsi/shadow.rs",
        "",
        "self.words.get(index)",
        "Some(&self.words[index])",
    )
    .alone(),
    slip(
        "a narrow parameter is believed extended",
        "exports/msi.rs",
        "",
        "bus: u32, devfn: u32, off: u32",
        "bus: u32, devfn: u32, off: u8",
    )
    .alone(),
    slip(
        "a free entry is searched word by word",
        "core/src/remap/slots.rs",
        "",
        "*used == u64::MAX",
        "false",
    )
    .alone()
    .scale(),
    slip(
        "the MSI of an entry is searched each time",
        "xen/src/vmsi/tables.rs",
        "",
        "IrqDesc::numbered(self.irq()?)?",
        "IrqDesc::numbered(self.irq().filter(|_| false)?)?",
    )
    .alone()
    .scale(),
];
