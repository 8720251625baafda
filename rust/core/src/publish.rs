//! Pointers to what readers find without a lock.
//!
//! 1. A writer writes an object that no reader can find, and then publishes it: a store with
//!    release order. The load of a reader, with acquire order, pairs with it, so a reader finds the
//!    object as it was written, or one that was there before.
//! 2. What was there before is handed back to the writer. Readers that found it may use it until
//!    the grace period is over that begins after the store.

use core::ptr::{self, NonNull};
#[cfg(not(test))]
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicPtr;

/// A pointer to an object that is published, or to none.
///
/// It is a pointer in memory, as C has it.
#[derive(Debug)]
#[repr(transparent)]
pub struct Pointer<T>(AtomicPtr<T>);

impl<T> Pointer<T> {
    /// Nothing is published.
    #[cfg(not(test))]
    pub const fn empty() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The object that is published, with all that was written before it was.
    #[inline]
    pub fn get(&self) -> Option<NonNull<T>> {
        NonNull::new(self.0.load(Ordering::Acquire))
    }

    /// Publishes another object, or none. Returns the one before.
    ///
    /// Context: one writer at a time.
    #[inline]
    pub fn replace(&self, object: Option<NonNull<T>>) -> Option<NonNull<T>> {
        // No other CPU writes, so that the store needs not be an exchange.
        let before = self.0.load(Ordering::Relaxed);
        let object = object.map_or(ptr::null_mut(), NonNull::as_ptr);
        self.0.store(object, Ordering::Release);
        NonNull::new(before)
    }
}

#[cfg(test)]
mod tests;
