//! Interrupts as a domain names them (`struct pirq`, `xen/irq.h`).
//!
//! A pirq leaves its domain's tree, which `pirq_cleanup_check()` sees to, with the domain's event
//! lock held for writing, and is freed a grace period later (`free_pirq_struct()`). So the event
//! lock keeps it. Without that lock it is kept while the CPU that found it processes no softirqs.

use crate::objects::domain::Domain;
use crate::objects::irq_desc::{IrqDesc, LockedDesc};
use crate::sync::rwlock::EventLock;
use core::marker::PhantomData;
use core::ptr::NonNull;
use xen_sys as sys;

/// A domain's name for an IRQ, while the domain's event lock is held. For a PV domain the object is
/// shorter than its type.
#[derive(Clone, Copy)]
pub struct Pirq<'l> {
    raw: NonNull<sys::pirq>,
    lock: PhantomData<&'l ()>,
}

impl<'l> Pirq<'l> {
    /// Takes the pirq that the caller of an export names.
    ///
    /// # Safety
    ///
    /// It was found in the tree of the domain whose event lock this is, with the lock held.
    pub unsafe fn of(raw: NonNull<sys::pirq>, _: &'l EventLock) -> Self {
        Self {
            raw,
            lock: PhantomData,
        }
    }

    /// Locks the descriptor of the IRQ that it stands for; `None` where it stands for none.
    pub fn lock_desc(self) -> Option<LockedDesc<'static>> {
        // SAFETY: The event lock keeps the pirq, as `of` asks. C locks the descriptor that it
        // returns, with IRQs off, and leaves the lock to its caller.
        unsafe { take_over(|flags| sys::pirq_spin_lock_irq_desc(self.raw.as_ptr(), flags)) }
    }
}

/// Takes over the descriptor that `lock` locks, if it finds one.
///
/// # Safety
///
/// `lock` returns null, or a descriptor whose lock it took, with IRQs off; it writes what the flags
/// register was before, and leaves the lock to its caller.
unsafe fn take_over(
    lock: impl FnOnce(*mut u64) -> *mut sys::irq_desc,
) -> Option<LockedDesc<'static>> {
    let mut flags = 0;
    // SAFETY: Descriptors are allocated at boot and stay; `take_over` asks for one that is locked.
    unsafe { IrqDesc::from_raw(lock(&raw mut flags)).map(|desc| LockedDesc::from_c(desc, flags)) }
}

/// Locks the descriptor of the IRQ that a domain's pirq stands for; `None` where it stands for
/// none.
pub fn lock_domain_pirq(domain: Domain, pirq: i32) -> Option<LockedDesc<'static>> {
    // SAFETY: The domain is alive as a view's; `domain_spin_lock_irq_desc()` takes any number and
    // looks for it in the tree, whose nodes are freed a grace period after they left it, as pirqs
    // are. No grace period ends meanwhile: a CPU lets one end where it processes softirqs or idles,
    // which that function does not. It locks the descriptor that it returns, with IRQs off, and
    // leaves the lock to its caller.
    unsafe { take_over(|flags| sys::domain_spin_lock_irq_desc(domain.as_ptr(), pirq, flags)) }
}
