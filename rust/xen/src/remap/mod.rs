//! What interrupt remapping knows of the machine, on either vendor's IOMMU (`xen/iommu.h`,
//! `asm/apic.h`).

use crate::base::boot::Booting;
use core::sync::atomic::{AtomicU8, Ordering};
use irq_core::remap::entry::Apic;
use xen_sys as sys;

/// How the local APICs are addressed.
#[inline]
pub fn apic() -> Apic {
    // SAFETY: A flag that is written while the boot CPU's APIC is set up, before anything is
    // remapped.
    if unsafe { (&raw const sys::x2apic_enabled).read_volatile() } {
        Apic::X2
    } else {
        Apic::X
    }
}

/// How many entries of a table that has `entries` may be used: the boot option `intremap-entries`
/// may name fewer.
pub fn usable_entries(entries: usize) -> usize {
    // SAFETY: A number that is written while the command line is read.
    match unsafe { (&raw const sys::shim_intremap_entries).read_volatile() } {
        0 => entries,
        limit => entries.min(limit as usize),
    }
}

/// Whether interrupts are remapped, and to which APIC IDs.
fn mode() -> &'static AtomicU8 {
    // SAFETY: A byte of Xen's data that is there for good, and that C reads and writes whole.
    unsafe { AtomicU8::from_ptr(&raw mut sys::iommu_intremap) }
}

/// Returns whether interrupts are to be remapped, as far as the boot options and what was found up
/// to now say.
pub fn wanted() -> bool {
    mode().load(Ordering::Relaxed) != sys::iommu_intremap_off
}

/// Records that remapped interrupts reach 8-bit APIC IDs only. Xen then brings up no CPU with a
/// wider one (`__cpu_up()`), so none becomes the destination of an interrupt.
///
/// Context: boot or resume, while only the boot CPU runs.
pub fn restrict_destinations() {
    let mode = mode();
    if mode.load(Ordering::Relaxed) == sys::iommu_intremap_full {
        mode.store(sys::iommu_intremap_restricted, Ordering::Relaxed);
    }
}

/// Returns whether IOMMUs are to be used, as far as the boot options and what was found up to now
/// say.
pub fn iommus_wanted(_: Booting) -> bool {
    // SAFETY: The flag is init data (`__initdata`), which is there while Xen boots. The CPU that
    // boots alone writes it.
    unsafe { (&raw const sys::iommu_enable).read_volatile() }
}

/// Has Xen set no IOMMU up, whatever the boot options say.
pub fn give_up_iommus(_: Booting) {
    // SAFETY: The flag is init data, which is there while Xen boots, and only the CPU that boots
    // uses it then.
    unsafe { (&raw mut sys::iommu_enable).write_volatile(false) };
    mode().store(sys::iommu_intremap_off, Ordering::Relaxed);
}

#[cfg(feature = "amd")]
pub mod amd;
#[cfg(feature = "vtd")]
pub mod vtd;

/// Returns whether the processor can replace 16 bytes in one piece. Where it cannot, IOMMUs are
/// switched off altogether: their entries could not be changed while devices use them.
pub fn require_wide_exchange(boot: Booting) -> bool {
    // SAFETY: The function asks the processor that boots, whose features are known by now.
    if unsafe { sys::shim_has_cx16() } {
        return true;
    }
    give_up_iommus(boot);
    false
}
