//! Xen's reader-writer locks, where a unit takes them itself (`xen/rwlock.h`). Cold paths only:
//! each is a call into C.

use crate::objects::domain::Domain;
use core::marker::PhantomData;
use xen_sys as sys;

/// A domain's event lock, held for writing.
///
/// Context: IRQs on; may be taken with `pcidevs_lock`, the domain's `pci_lock` and a vPCI lock
/// held.
#[must_use = "the lock is dropped where this is dropped"]
pub struct EventLock<'a> {
    domain: Domain<'a>,
    unlock: bool,
    local: PhantomData<*mut ()>,
}

impl<'a> EventLock<'a> {
    /// The domain whose lock it is.
    pub fn domain(&self) -> Domain<'a> {
        self.domain
    }

    /// Takes the lock.
    pub fn write(domain: Domain<'a>) -> Self {
        // SAFETY: A view's domain is alive, and the lock is a part of it.
        unsafe { sys::shim_write_lock(&raw mut (*domain.as_ptr()).event_lock) };
        Self {
            domain,
            unlock: true,
            local: PhantomData,
        }
    }

    /// Stands for the lock that the caller of an export holds; debug builds check that it does.
    ///
    /// # Safety
    ///
    /// This CPU holds the domain's event lock for writing, and for longer than the result lives.
    pub unsafe fn held_by_caller(domain: Domain<'a>) -> Self {
        // SAFETY: A view's domain is alive, and the lock is a part of it.
        xen_assert!(unsafe {
            sys::shim_rw_is_write_locked(&raw const (*domain.as_ptr()).event_lock)
        });
        Self {
            domain,
            unlock: false,
            local: PhantomData,
        }
    }
}

impl Drop for EventLock<'_> {
    fn drop(&mut self) {
        if self.unlock {
            // SAFETY: `write` took the lock, and the view's domain is alive.
            unsafe { sys::shim_write_unlock(&raw mut (*self.domain.as_ptr()).event_lock) };
        }
    }
}
