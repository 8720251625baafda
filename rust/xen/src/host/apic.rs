//! This CPU's local APIC (`asm/apic.h`).

use crate::mmio;
use crate::remap;
use core::arch::asm;
use irq_core::remap::entry::Apic;
use xen_sys as sys;

/// Ends the interrupt that is in service and has the highest priority (Intel SDM volume 3, section 12.8.5).
///
/// Context: IRQs off.
#[inline]
pub fn end_of_interrupt() {
    match remap::apic() {
        // SAFETY: The register takes 0 and nothing else.
        Apic::X2 => unsafe {
            asm!("wrmsr", in("ecx") sys::XEN_IRQ_MSR_X2APIC_EOI as u32, in("eax") 0, in("edx") 0,
                 options(nostack, preserves_flags));
        },
        // SAFETY: The registers are mapped there from early boot on.
        Apic::X => unsafe { mmio::write32(sys::XEN_IRQ_APIC_EOI as *mut u32, 0) },
    }
}
