//! Locks of Xen's: a [`Guard`] holds one of a [`Kind`] (`xen/spinlock.h`, `xen/rwlock.h`,
//! `xen/pci.h`).

use crate::arch::nospec;
use core::marker::PhantomData;
use static_assertions::assert_not_impl_any;
use xen_sys as sys;

/// How locks of a kind are taken and dropped.
pub trait Kind {
    /// C's type of the lock.
    type Lock;
    /// What is noted when it is taken, to drop it.
    type State: Copy;
    /// Whether the function that takes it keeps speculation off, as those of the shim do.
    const HARDENED: bool;

    /// Takes it.
    ///
    /// # Safety
    ///
    /// The lock is alive, and this CPU may take it here.
    unsafe fn lock(lock: *mut Self::Lock) -> Self::State;

    /// Drops it.
    ///
    /// # Safety
    ///
    /// This CPU holds it, and `state` is what [`Self::lock`] returned.
    unsafe fn unlock(lock: *mut Self::Lock, state: Self::State);
}

/// A kind of which a lock is to be had without waiting, or not.
pub trait TryKind: Kind<State = ()> {
    /// Takes it and returns true, or returns false.
    ///
    /// # Safety
    ///
    /// As for [`Kind::lock`].
    unsafe fn try_lock(lock: *mut Self::Lock) -> bool;
}

/// A lock that is held.
#[must_use = "the lock is dropped where this is dropped"]
pub struct Guard<'a, K: Kind> {
    lock: *mut K::Lock,
    state: K::State,
    life: PhantomData<&'a K::Lock>,
}

impl<K: Kind> Guard<'_, K> {
    /// Takes a lock.
    ///
    /// # Safety
    ///
    /// It lives as long as the result, and may be taken in this context: no interrupt takes a
    /// [`Spin`].
    #[inline]
    pub unsafe fn take(lock: *mut K::Lock) -> Self {
        // SAFETY: `take` asks for a lock that is alive and may be taken.
        let state = unsafe { K::lock(lock) };
        if !K::HARDENED {
            nospec::block_lock_speculation();
        }
        // SAFETY: It was just taken.
        unsafe { Self::adopt(lock, state) }
    }

    /// Stands for a lock that C took, or a guard that was forgotten.
    ///
    /// # Safety
    ///
    /// This CPU holds the lock, which lives as long as the result, and nothing else drops it.
    #[inline]
    pub const unsafe fn adopt(lock: *mut K::Lock, state: K::State) -> Self {
        Self {
            lock,
            state,
            life: PhantomData,
        }
    }

    /// Takes a lock if that is free.
    ///
    /// # Safety
    ///
    /// As for [`Self::take`].
    #[inline(always)]
    pub unsafe fn try_take(lock: *mut K::Lock) -> Option<Self>
    where
        K: TryKind,
    {
        // SAFETY: `try_take` asks for a lock that is alive and may be taken.
        if nospec::evaluate_lock(unsafe { K::try_lock(lock) }) {
            // SAFETY: It was just taken.
            Some(unsafe { Self::adopt(lock, ()) })
        } else {
            None
        }
    }
}

impl<K: Kind> Drop for Guard<'_, K> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `take` or C took the lock, whose lifetime is this one's, and noted the state.
        unsafe { K::unlock(self.lock, self.state) };
    }
}

/// A spin lock, with IRQs off until it is dropped.
pub type IrqLocked<'a> = Guard<'a, SpinIrqSave>;

/// A spin lock that no interrupt takes, or with IRQs off already.
pub type Locked<'a> = Guard<'a, Spin>;

assert_not_impl_any!(IrqLocked: Send, Sync);
assert_not_impl_any!(Locked: Send, Sync);

/// Spin locks that are taken with IRQs off.
pub struct SpinIrqSave;

impl Kind for SpinIrqSave {
    type Lock = sys::spinlock_t;
    type State = u64;
    const HARDENED: bool = false;

    #[inline]
    unsafe fn lock(lock: *mut Self::Lock) -> u64 {
        // SAFETY: `lock` asks for a lock that is alive and may be taken.
        unsafe { sys::_spin_lock_irqsave(lock) }
    }

    #[inline]
    unsafe fn unlock(lock: *mut Self::Lock, flags: u64) {
        // SAFETY: `unlock` asks for a lock that is held, and the flags from before.
        unsafe { sys::_spin_unlock_irqrestore(lock, flags) };
    }
}

/// Spin locks that are taken with IRQs as they are.
pub struct Spin;

impl Kind for Spin {
    type Lock = sys::spinlock_t;
    type State = ();
    const HARDENED: bool = false;

    #[inline]
    unsafe fn lock(lock: *mut Self::Lock) {
        // SAFETY: `lock` asks for a lock that is alive and may be taken.
        unsafe { sys::_spin_lock(lock) };
    }

    #[inline]
    unsafe fn unlock(lock: *mut Self::Lock, _: ()) {
        // SAFETY: `unlock` asks for a lock that is held.
        unsafe { sys::_spin_unlock(lock) };
    }
}

impl TryKind for Spin {
    #[inline(always)]
    unsafe fn try_lock(lock: *mut Self::Lock) -> bool {
        // SAFETY: `try_lock` asks for a lock that is alive and may be taken.
        unsafe { sys::shim_spin_trylock(lock) }
    }
}

/// Reader-writer locks, taken to read.
pub struct Read;

impl Kind for Read {
    type Lock = sys::rwlock_t;
    type State = ();
    const HARDENED: bool = true;

    #[inline]
    unsafe fn lock(lock: *mut Self::Lock) {
        // SAFETY: `lock` asks for a lock that is alive and may be taken.
        unsafe { sys::shim_read_lock(lock) };
    }

    #[inline]
    unsafe fn unlock(lock: *mut Self::Lock, _: ()) {
        // SAFETY: `unlock` asks for a lock that is held.
        unsafe { sys::shim_read_unlock(lock) };
    }
}

impl TryKind for Read {
    #[inline(always)]
    unsafe fn try_lock(lock: *mut Self::Lock) -> bool {
        // SAFETY: `try_lock` asks for a lock that is alive and may be taken.
        unsafe { sys::shim_read_trylock(lock) }
    }
}

/// Reader-writer locks, taken to write.
pub struct Write;

impl Kind for Write {
    type Lock = sys::rwlock_t;
    type State = ();
    const HARDENED: bool = true;

    #[inline]
    unsafe fn lock(lock: *mut Self::Lock) {
        // SAFETY: `lock` asks for a lock that is alive and may be taken.
        unsafe { sys::shim_write_lock(lock) };
    }

    #[inline]
    unsafe fn unlock(lock: *mut Self::Lock, _: ()) {
        // SAFETY: `unlock` asks for a lock that is held.
        unsafe { sys::shim_write_unlock(lock) };
    }
}

/// `pcidevs_lock`, which the CPU that has it may take again.
pub struct Pcidevs;

impl Kind for Pcidevs {
    type Lock = ();
    type State = ();
    const HARDENED: bool = true;

    #[inline]
    unsafe fn lock(_: *mut ()) {
        // SAFETY: The lock lives as long as Xen.
        unsafe { sys::shim_pcidevs_lock() };
    }

    #[inline]
    unsafe fn unlock(_: *mut (), _: ()) {
        // SAFETY: `unlock` asks for a lock that is held.
        unsafe { sys::pcidevs_unlock() };
    }
}
