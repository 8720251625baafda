//! Interrupt descriptors and what a domain sees of them (`xen/irq.h`).

use crate::domain::Domain;
use crate::msi_desc::MsiDesc;
use crate::nospec;
use crate::view::{field, view};
use core::marker::PhantomData;
use core::ptr;
use xen_sys as sys;

view! {
    /// A descriptor of an IRQ; they are allocated at boot, one for each IRQ, and stay.
    IrqDesc, sys::irq_desc
}

view! {
    /// A domain's name for an IRQ. For a PV domain the object is shorter than its type.
    Pirq, sys::pirq
}

impl<'a> IrqDesc<'a> {
    /// Returns the descriptor of an IRQ whose number came from a descriptor.
    ///
    /// # Safety
    ///
    /// There is a descriptor of that number.
    #[inline]
    pub(crate) unsafe fn of(irq: u32) -> Self {
        // SAFETY: The array is allocated at boot, and the caller says that the index is in it.
        unsafe { Self::from_raw(sys::irq_desc.add(irq as usize)).unwrap_unchecked() }
    }

    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        // SAFETY: A number that is written while Xen boots.
        let count = unsafe { (&raw const sys::nr_irqs).read_volatile() };
        // SAFETY: There are as many.
        (0..count).map(|irq| unsafe { Self::of(irq) })
    }

    /// Its number.
    #[inline]
    pub fn irq(self) -> i32 {
        field!(self, irq)
    }

    /// The vector that was chosen for it.
    #[inline]
    pub fn vector(self) -> u8 {
        field!(self, arch.vector) as u8
    }

    /// Returns whether guests handle it.
    #[inline]
    pub fn is_for_guests(self) -> bool {
        field!(self, status) & sys::XEN_IRQ_GUEST as u32 != 0
    }

    /// Returns whether it is in use at all.
    pub fn is_initialized(self) -> bool {
        !field!(self, handler).is_null()
    }

    /// The MSI that it belongs to, if any. Without the lock this may be gone in the next moment; its memory is Xen's
    /// heap, which is always mapped, so that a late look finds stale values and no more.
    #[inline]
    pub fn msi_desc(self) -> Option<MsiDesc<'a>> {
        // SAFETY: See above.
        unsafe { MsiDesc::from_raw(field!(self, msi_desc)) }
    }

    /// Returns whether its lock is held, by whichever CPU; debug builds ask.
    pub fn is_locked(self) -> bool {
        // SAFETY: Descriptors are allocated at boot and stay, and so do their locks.
        unsafe { sys::shim_spin_is_locked(&raw const (*self.as_ptr()).lock) }
    }

    /// Takes its lock, with IRQs off until it is dropped.
    #[inline]
    pub fn lock(self) -> LockedDesc<'a> {
        // SAFETY: The descriptor has a lock.
        let flags = unsafe { sys::_spin_lock_irqsave(&raw mut (*self.as_ptr()).lock) };
        nospec::block_lock_speculation();
        LockedDesc {
            desc: self,
            flags: Some(flags),
            local: PhantomData,
        }
    }
}

/// A descriptor whose lock is held, with IRQs off.
#[must_use = "the lock is dropped where this is dropped"]
pub struct LockedDesc<'a> {
    desc: IrqDesc<'a>,
    /// What the flags register was before, or nothing where IRQs were on.
    flags: Option<u64>,
    local: PhantomData<*mut ()>,
}

impl<'a> LockedDesc<'a> {
    /// The descriptor.
    #[inline]
    pub fn desc(&self) -> IrqDesc<'a> {
        self.desc
    }

    /// Masks or unmasks the MSI on behalf of the guest; the descriptor has an MSI.
    #[inline]
    pub fn guest_mask_msi(&self, mask: bool) {
        // SAFETY: The descriptor is locked.
        unsafe { sys::guest_mask_msi_irq(self.desc.as_ptr(), mask) };
    }
}

impl Drop for LockedDesc<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock is held, and was taken in the way that is undone here.
        unsafe {
            let lock = &raw mut (*self.desc.as_ptr()).lock;
            match self.flags {
                Some(flags) => sys::_spin_unlock_irqrestore(lock, flags),
                None => sys::_spin_unlock_irq(lock),
            }
        }
    }
}

impl<'a> Pirq<'a> {
    /// Locks the descriptor of the IRQ that it stands for; `None` where it stands for none.
    ///
    /// Context: IRQs on; the domain's event lock is held.
    pub fn lock_desc(self) -> Option<LockedDesc<'a>> {
        // SAFETY: The object is alive; no flags are wanted, because IRQs are on.
        let desc = unsafe {
            IrqDesc::from_raw(sys::pirq_spin_lock_irq_desc(self.as_ptr(), ptr::null_mut()))
        }?;
        Some(LockedDesc {
            desc,
            flags: None,
            local: PhantomData,
        })
    }
}

/// Locks the descriptor of the IRQ that a domain's pirq stands for; `None` where it stands for none.
///
/// Context: any; the pirq's structure is kept by a lock or an RCU section that the caller holds.
pub fn lock_domain_pirq<'a>(domain: Domain<'a>, pirq: i32) -> Option<LockedDesc<'a>> {
    let mut flags = 0;
    // SAFETY: The domain is alive.
    let desc = unsafe {
        IrqDesc::from_raw(sys::domain_spin_lock_irq_desc(
            domain.as_ptr(),
            pirq,
            &raw mut flags,
        ))
    }?;
    Some(LockedDesc {
        desc,
        flags: Some(flags),
        local: PhantomData,
    })
}

/// Lets softirqs that are pending run.
///
/// Context: IRQs on, no lock held.
pub fn process_pending_softirqs() {
    // SAFETY: The caller is where softirqs may run.
    unsafe { sys::process_pending_softirqs() };
}
