//! Objects that are made once, when Xen boots, and stay.

use crate::base::memory;
use core::alloc::Layout;
use core::ptr::NonNull;
use irq_core::publish::Pointer;

/// A type of which zero bytes are a value.
///
/// # Safety
///
/// All fields of the type may be zero: numbers, atomics, flags, pointers, cells of those.
pub unsafe trait Zeroed: Sync {}

/// An object, or none yet.
pub struct Once<T: 'static>(Pointer<T>);

impl<T: Zeroed> Once<T> {
    /// None yet.
    pub const fn empty() -> Self {
        Self(Pointer::empty())
    }

    /// The object, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: What is stored there was made by `make`, and is never freed.
        self.0.get().map(|object| unsafe { object.as_ref() })
    }

    /// Makes the object of zero bytes, unless there is one. `None` where there is no memory.
    ///
    /// Context: as for `xmalloc()`; one CPU at a time.
    pub fn make(&self) -> Option<&'static T> {
        if self.get().is_none() {
            let object: NonNull<T> = memory::zalloc(Layout::new::<T>())?.cast();
            self.0.replace(Some(object));
        }
        self.get()
    }
}
