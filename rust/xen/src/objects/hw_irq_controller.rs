//! What Xen calls for an IRQ (`hw_irq_controller`, `xen/irq.h`).

use xen_sys as sys;

/// What Xen calls for an IRQ.
#[derive(Clone, Copy)]
pub struct Handler(*const sys::hw_interrupt_type);

impl Handler {
    /// Takes one that C has.
    ///
    /// # Safety
    ///
    /// It lives as long as Xen.
    pub unsafe fn from_raw(raw: *const sys::hw_interrupt_type) -> Self {
        Self(raw)
    }

    /// As C has it.
    pub const fn as_ptr(self) -> *const sys::hw_interrupt_type {
        self.0
    }
}
