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
