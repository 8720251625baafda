//! Descriptors of IRQs that are MSIs: their handlers, and how they move.

use super::cpus::{CpuMask, CpuMaskVar};
use crate::base::view::set_field;
use crate::objects::irq::{HeldDesc, IrqDesc};
use crate::objects::msi_desc::{KeptMsi, MsiDesc};
use core::ptr;
use xen_sys as sys;

/// An MSI that an IRQ is about to be bound to. It is not freed before that IRQ was destroyed.
#[derive(Clone, Copy)]
pub struct NewUser<'a>(MsiDesc<'a>);

impl<'a> NewUser<'a> {
    /// Takes the descriptor of one.
    ///
    /// # Safety
    ///
    /// Before it is freed, the IRQ that it is bound to is cleared (`destroy_irq()`); or it is never
    /// freed.
    pub const unsafe fn new(msi: MsiDesc<'a>) -> Self {
        Self(msi)
    }

    /// The descriptor.
    pub fn desc(self) -> MsiDesc<'a> {
        self.0
    }
}

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

impl<'a> HeldDesc<'a> {
    /// Binds it to an MSI, which stays until the IRQ is destroyed or [`Self::unbind_msi`].
    pub fn bind_msi(self, msi: NewUser<'a>, handler: Handler) -> KeptMsi<'a> {
        set_field!(self, msi_desc)(msi.0.as_ptr());
        set_field!(self, handler)(handler.0);
        // SAFETY: The IRQ leads to it now. `new` asks for the IRQ's lock, or that nothing else can
        // reach the IRQ, which is so for an IOMMU's MSI alone (`set_iommu_interrupt_handler()`).
        unsafe { KeptMsi::new(msi.0) }
    }

    /// Undoes that.
    pub fn unbind_msi(self) {
        set_field!(self, handler)(&raw const sys::no_irq_type);
        set_field!(self, msi_desc)(ptr::null_mut());
    }

    /// Chooses a vector and a destination among some CPUs, or among all; `None` where there is
    /// none. The vector stays where it serves.
    pub fn choose_destination(self, among: Option<CpuMask>) -> Option<u32> {
        let among = among.map_or(ptr::null_mut(), CpuMask::as_ptr);
        // SAFETY: The descriptor's lock is held, which `set_desc_affinity()` asks for, or nothing
        // else can reach the IRQ. It takes a null pointer for all CPUs, and a set of CPUs lives as
        // long as its view.
        let destination = unsafe { sys::set_desc_affinity(self.as_ptr(), among) };
        (destination != sys::XEN_IRQ_BAD_APICID as u32).then_some(destination)
    }
}

impl<'a> IrqDesc<'a> {
    /// The CPUs that its vector is for.
    pub fn cpus(self) -> CpuMask<'a> {
        // SAFETY: The variable is a part of the descriptor, and its set lives as long.
        unsafe {
            CpuMask::from_raw(CpuMaskVar::set(&raw mut (*self.as_ptr()).arch.cpu_mask))
                .unwrap_unchecked()
        }
    }

    /// Destroys an IRQ that was created for an MSI.
    ///
    /// Context: IRQs on.
    ///
    /// # Safety
    ///
    /// It was so, and nothing but its MSI refers to it any more.
    pub(super) unsafe fn destroy(self) {
        // SAFETY: The number is that of a descriptor, which `destroy` asks to be unused.
        unsafe { sys::destroy_irq(self.irq() as u32) };
    }
}
