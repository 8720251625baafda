//! Boot options that irq.c reads.

use crate::base::view::Word;
use xen_sys as sys;

/// Returns whether IRQs are not to follow the vCPUs that handle them (`noirqbalance`).
pub fn no_balance() -> bool {
    // SAFETY: The variable is written while Xen boots, in one piece.
    unsafe { bool::load(&raw const sys::opt_noirqbalance) }
}

/// How many guests may share an IRQ (`irq-max-guests`).
pub fn most_guests() -> u8 {
    // SAFETY: The variable is written while Xen boots, in one piece.
    unsafe { u8::load(&raw const sys::irq_max_guests) }
}

/// How many interrupts of an IRQ may come in ten milliseconds (`irq_ratelimit`).
#[inline(always)]
pub fn rate_limit() -> u32 {
    // SAFETY: The variable is written while Xen boots, in one piece.
    unsafe { u32::load(&raw const sys::irq_ratelimit_threshold) }
}

/// Returns whether the IRQs of each function must not share a vector (`irq_vector_map=per-device`,
/// or AMD's IOMMU).
pub fn keeps_functions_apart() -> bool {
    // SAFETY: The variable is written while Xen boots, in one piece.
    let map = unsafe { i32::load(&raw const sys::opt_irq_vector_map) };
    map.cast_unsigned() == sys::OPT_IRQ_VECTOR_MAP_PERDEV
}

/// Returns whether interrupts are remapped, so that a function may have several messages.
pub fn are_remapped() -> bool {
    // SAFETY: The variable is written while Xen boots, in one piece.
    unsafe { u8::load(&raw const sys::iommu_intremap) != sys::iommu_intremap_off }
}

/// Returns whether there are local APICs, which messages go to.
pub fn has_apic() -> bool {
    // SAFETY: The function reads what the CPU that Xen boots on has.
    unsafe { sys::shim_has_apic() }
}
