//! Descriptors of IRQs that are MSIs: their handlers, and how they move.

use super::cpus::CpuMask;
use crate::irq::IrqDesc;
use crate::msi_desc::MsiDesc;
use crate::view::{field, set_field};
use core::ptr;
use xen_sys as sys;

/// What Xen calls for an IRQ.
#[derive(Clone, Copy)]
pub struct Handler(*const sys::hw_interrupt_type);

impl Handler {
    /// That of an MSI with or without a mask bit; c-shim/msi.c holds both.
    pub fn of_msi(maskable: bool) -> Self {
        Self(if maskable {
            &raw const sys::shim_msi_maskable
        } else {
            &raw const sys::shim_msi_nonmaskable
        })
    }

    /// Takes one that C has.
    ///
    /// # Safety
    ///
    /// It lives as long as Xen.
    pub unsafe fn from_raw(raw: *const sys::hw_interrupt_type) -> Self {
        Self(raw)
    }
}

impl<'a> IrqDesc<'a> {
    /// Binds it to an MSI.
    ///
    /// Context: its lock is held.
    pub fn bind_msi(self, desc: MsiDesc, handler: Handler) {
        set_field!(self, msi_desc)(desc.as_ptr());
        set_field!(self, handler)(handler.0);
    }

    /// Undoes that.
    ///
    /// Context: its lock is held.
    pub fn unbind_msi(self) {
        set_field!(self, handler)(&raw const sys::no_irq_type);
        set_field!(self, msi_desc)(core::ptr::null_mut());
    }

    /// The CPUs that its vector is for.
    pub fn cpus(self) -> CpuMask<'a> {
        // SAFETY: The mask lives as long as the descriptor.
        unsafe { CpuMask::from_raw(field!(self, arch.cpu_mask)).unwrap_unchecked() }
    }

    /// Chooses a vector and a destination among some CPUs, or among all; `None` where there is
    /// none. The vector stays where it serves.
    ///
    /// Context: its lock is held, IRQs off.
    pub fn choose_destination(self, among: Option<CpuMask>) -> Option<u32> {
        let among = among.map_or(ptr::null_mut(), CpuMask::as_ptr);
        // SAFETY: The descriptor is Xen's for good. `set_desc_affinity()` takes a null pointer for
        // all CPUs, and a set of CPUs lives as long as its view.
        let destination = unsafe { sys::set_desc_affinity(self.as_ptr(), among) };
        (destination != sys::XEN_IRQ_BAD_APICID as u32).then_some(destination)
    }

    /// Destroys an IRQ that was created for an MSI.
    ///
    /// Context: IRQs on.
    pub fn destroy(self) {
        // SAFETY: The number is that of a descriptor.
        unsafe { sys::destroy_irq(self.irq() as u32) };
    }
}
