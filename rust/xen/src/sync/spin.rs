//! Xen's spin locks, taken with IRQs off (`xen/spinlock.h`).

use crate::arch::nospec;
use core::marker::PhantomData;
use static_assertions::assert_not_impl_any;
use xen_sys as sys;

/// A spin lock that is held, with IRQs off.
#[must_use = "the lock is dropped where this is dropped"]
pub struct IrqLocked<'a> {
    lock: *mut sys::spinlock_t,
    flags: u64,
    life: PhantomData<&'a sys::spinlock_t>,
}

assert_not_impl_any!(IrqLocked: Send, Sync);

impl IrqLocked<'_> {
    /// Takes a lock.
    ///
    /// # Safety
    ///
    /// It is a lock that lives as long as the result.
    #[inline]
    pub unsafe fn take(lock: *mut sys::spinlock_t) -> Self {
        // SAFETY: `take` asks for a lock that is alive.
        let flags = unsafe { sys::_spin_lock_irqsave(lock) };
        nospec::block_lock_speculation();
        Self {
            lock,
            flags,
            life: PhantomData,
        }
    }
}

impl Drop for IrqLocked<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `take` took the lock in the way that is undone here, and its lifetime is this
        // one's.
        unsafe { sys::_spin_unlock_irqrestore(self.lock, self.flags) };
    }
}

/// A spin lock that is held, with IRQs as they were.
#[must_use = "the lock is dropped where this is dropped"]
pub struct Locked<'a> {
    lock: *mut sys::spinlock_t,
    life: PhantomData<&'a sys::spinlock_t>,
}

assert_not_impl_any!(Locked: Send, Sync);

impl Locked<'_> {
    /// Takes a lock that is never taken by an interrupt.
    ///
    /// # Safety
    ///
    /// It is such a lock, and lives as long as the result.
    pub unsafe fn take(lock: *mut sys::spinlock_t) -> Self {
        // SAFETY: `take` asks for a lock that is alive, and that no interrupt takes.
        unsafe { sys::_spin_lock(lock) };
        nospec::block_lock_speculation();
        Self {
            lock,
            life: PhantomData,
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: `take` took the lock, and its lifetime is this one's.
        unsafe { sys::_spin_unlock(self.lock) };
    }
}
