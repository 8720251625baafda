//! Virtual local APICs (`asm/hvm/vlapic.h`).

use crate::base::narrow::Narrow;
use crate::base::view::field;
use crate::objects::views::HvmDomain;
pub use crate::objects::views::Vlapic;
use xen_sys as sys;

/// Whom an interrupt is for, in the terms of the local APICs.
#[derive(Clone, Copy)]
pub struct Destination {
    /// Physical or logical ID.
    pub id: Narrow,
    /// Not zero where the ID is a logical one.
    pub logical: Narrow,
}

impl Vlapic<'_> {
    /// Returns whether the guest has not switched it off.
    #[inline]
    pub fn enabled(self) -> bool {
        field!(self, hw.disabled) == 0
    }

    /// Returns whether it is one of a destination's.
    #[inline]
    pub fn matches(self, to: Destination) -> bool {
        // SAFETY: The APIC is alive; no sender is named and no shorthand used.
        unsafe {
            sys::vlapic_match_dest(
                self.as_ptr(),
                core::ptr::null(),
                0,
                to.id.get().into(),
                to.logical.get() != 0,
            )
        }
    }

    /// Makes an interrupt pending.
    #[doc(alias = "vmsi_inj_irq")]
    #[inline]
    pub fn set_irq(self, vector: Narrow, level: Narrow) {
        // SAFETY: The APIC is alive; every vector is safe to ask for.
        unsafe { sys::vlapic_set_irq(self.as_ptr(), vector.get(), level.get()) };
    }
}

/// Returns the APIC of a destination that lowest-priority arbitration chooses, if any takes part.
#[inline]
pub fn lowest_priority<'a>(domain: HvmDomain<'a>, to: Destination) -> Option<Vlapic<'a>> {
    // SAFETY: The domain is alive, and its APICs as long as it is.
    unsafe {
        let chosen = sys::vlapic_lowest_prio(
            domain.as_ptr(),
            core::ptr::null(),
            0,
            to.id.get().into(),
            to.logical.get() != 0,
        );
        Vlapic::from_raw(chosen)
    }
}
