//! A domain's event lock, where a unit takes it itself. Cold paths only: it is a call into C.

use crate::objects::domain::Domain;
use crate::sync::lock::{Guard, Write};
use xen_sys as sys;

/// A domain's event lock, held for writing.
///
/// Context: IRQs on; may be taken with `pcidevs_lock`, the domain's `pci_lock` and a vPCI lock
/// held.
#[must_use = "the lock is dropped where this is dropped"]
pub struct EventLock<'a> {
    domain: Domain<'a>,
    /// `None` where the caller holds it.
    _lock: Option<Guard<'a, Write>>,
}

impl<'a> EventLock<'a> {
    /// The domain whose lock it is.
    pub fn domain(&self) -> Domain<'a> {
        self.domain
    }

    /// Takes the lock.
    pub fn write(domain: Domain<'a>) -> Self {
        // SAFETY: A view's domain is alive, and the lock is a part of it.
        let lock = unsafe { Guard::take(&raw mut (*domain.as_ptr()).event_lock) };
        Self {
            domain,
            _lock: Some(lock),
        }
    }

    /// The same, where all builds check it and only warn.
    ///
    /// # Safety
    ///
    /// As for [`Self::held_by_caller`].
    pub unsafe fn expected_of_caller(domain: Domain<'a>) -> Self {
        // SAFETY: A view's domain is alive, and the lock is a part of it.
        if !unsafe { sys::shim_rw_is_write_locked(&raw const (*domain.as_ptr()).event_lock) } {
            xen_warn!();
        }
        Self {
            domain,
            _lock: None,
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
            _lock: None,
        }
    }
}
