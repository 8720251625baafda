//! The handlers of IRQs that are MSIs.

use crate::objects::hw_irq_controller::Handler;
use xen_sys as sys;

impl Handler {
    /// That of an MSI with or without a mask bit; c-shim/msi.c holds both.
    pub fn of_msi(maskable: bool) -> Self {
        let raw = if maskable {
            &raw const sys::shim_msi_maskable
        } else {
            &raw const sys::shim_msi_nonmaskable
        };
        // SAFETY: Both are variables of the shim, which live as long as Xen.
        unsafe { Self::from_raw(raw) }
    }
}
