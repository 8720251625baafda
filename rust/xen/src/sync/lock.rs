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

    /// Leaves the lock held, and returns what was noted when it was taken.
    #[inline]
    pub fn into_state(self) -> K::State {
        let state = self.state;
        core::mem::forget(self);
        state
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

/// Declares kinds of locks, by C's type of the lock, what is noted when it is taken, and the calls
/// that take and drop it.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $name:ident($lock:tt: $type:ty, $noted:tt: $state:ty), HARDENED = $hardened:literal,
        $take:expr => $drop:expr;
    )+) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Kind for $name {
            type Lock = $type;
            type State = $state;
            const HARDENED: bool = $hardened;

            #[inline]
            unsafe fn lock($lock: *mut $type) -> $state {
                // SAFETY: `lock` asks for a lock that is alive and may be taken.
                unsafe { $take }
            }

            #[inline]
            unsafe fn unlock($lock: *mut $type, $noted: $state) {
                // SAFETY: `unlock` asks for a lock that is held, and for what was noted.
                unsafe { $drop }
            }
        }
    )+};
}

kinds! {
    /// Spin locks that are taken with IRQs off.
    SpinIrqSave(lock: sys::spinlock_t, flags: u64), HARDENED = false,
    sys::_spin_lock_irqsave(lock) => sys::_spin_unlock_irqrestore(lock, flags);

    /// Spin locks that are taken with IRQs as they are.
    Spin(lock: sys::spinlock_t, (): ()), HARDENED = false,
    sys::_spin_lock(lock) => sys::_spin_unlock(lock);

    /// Reader-writer locks, taken to read.
    Read(lock: sys::rwlock_t, (): ()), HARDENED = true,
    sys::shim_read_lock(lock) => sys::shim_read_unlock(lock);

    /// Reader-writer locks, taken to write.
    Write(lock: sys::rwlock_t, (): ()), HARDENED = true,
    sys::shim_write_lock(lock) => sys::shim_write_unlock(lock);

    /// `pcidevs_lock`, which the CPU that has it may take again.
    Pcidevs(_: (), (): ()), HARDENED = true,
    sys::shim_pcidevs_lock() => sys::pcidevs_unlock();
}

impl TryKind for Spin {
    #[inline(always)]
    unsafe fn try_lock(lock: *mut Self::Lock) -> bool {
        // SAFETY: `try_lock` asks for a lock that is alive and may be taken.
        unsafe { sys::shim_spin_trylock(lock) }
    }
}

impl TryKind for Read {
    #[inline(always)]
    unsafe fn try_lock(lock: *mut Self::Lock) -> bool {
        // SAFETY: `try_lock` asks for a lock that is alive and may be taken.
        unsafe { sys::shim_read_trylock(lock) }
    }
}
