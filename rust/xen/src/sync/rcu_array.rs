//! Arrays that readers find without a lock, and that writers replace as a whole.
//!
//! 1. A writer allocates the next array ([`New`]) and publishes it ([`Pointer`]), so that a reader
//!    sees the rows as they were written.
//! 2. A reader, in an RCU section, loads the pointer once and uses that array to the end of the
//!    section, whatever is published meanwhile.
//! 3. The array that was replaced is freed a grace period later, when no reader can have it.
//!
//! A row with interior mutability may change in place; what that means is up to its type.

use crate::base::memory;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::slice;
use irq_core::publish::Pointer;
use xen_sys as sys;

/// What an array begins with; the rows lie behind it.
#[repr(C)]
struct Header {
    /// First, because C frees the array by the address of this.
    rcu: UnsafeCell<sys::rcu_head>,
    count: usize,
}

/// The field of an object that leads to the array that readers find, or is null.
///
/// For as long as `'a` the object lives, and nothing but [`Self::publish`] writes the field.
pub struct Published<'a, T> {
    field: &'a Pointer<Header>,
    rows: PhantomData<T>,
}

impl<'a, T> Published<'a, T> {
    /// Takes a field of an object of Xen's.
    ///
    /// # Safety
    ///
    /// The field lives as long as the result. It is null, or [`Self::publish`] stored it for rows
    /// of this type; nothing else writes it while there are readers or writers.
    #[inline]
    pub unsafe fn new<P>(field: *mut *mut P) -> Self {
        Self {
            // SAFETY: The field is alive and aligned; a `Pointer` is a pointer in memory, and all
            // access it as one.
            field: unsafe { &*field.cast::<Pointer<Header>>() },
            rows: PhantomData,
        }
    }

    /// The rows that readers find; none where nothing is published.
    ///
    /// # Safety
    ///
    /// An RCU section lasts for as long as `'r`, or the lock of the writers is held.
    #[inline]
    pub unsafe fn rows<'r>(&self) -> &'r [T]
    where
        'a: 'r,
    {
        let Some(array) = self.field.get() else {
            return &[];
        };
        // SAFETY: `publish` stored the array, which has as many rows as it says and is freed a
        // grace period after another took its place.
        unsafe { slice::from_raw_parts(array.add(1).cast::<T>().as_ptr(), array.as_ref().count) }
    }

    /// Has readers find another array from now on, or none. The one before is freed when no reader
    /// can have it any more.
    ///
    /// # Safety
    ///
    /// The lock of the writers is held, and rows of the array before are used in RCU sections
    /// alone from here on.
    pub unsafe fn publish(&self, array: Option<New<T>>) {
        if let Some(old) = self.field.replace(array.map(New::into_raw)) {
            // SAFETY: The array is one of Xen's allocator and begins with the head; no new reader
            // finds it.
            unsafe { sys::shim_call_rcu_xfree(old.as_ref().rcu.get()) };
        }
    }
}

/// An array that nothing leads to yet; dropped, it is freed.
pub struct New<T> {
    array: NonNull<Header>,
    rows: PhantomData<T>,
}

impl<T> New<T> {
    /// Allocates the array of these rows, of which there are `most` at most; `None` where there is
    /// no memory. Rows are not dropped with it.
    ///
    /// Context: IRQs on.
    pub fn allocate(most: usize, rows: impl Iterator<Item = T>) -> Option<Self> {
        const { assert!(align_of::<T>() <= align_of::<Header>()) };
        let (layout, _) = Layout::array::<T>(most)
            .and_then(|rows| Layout::new::<Header>().extend(rows))
            .ok()?;
        let array = memory::zalloc(layout)?.cast::<Header>();
        // SAFETY: The memory is this function's alone, and has a place for each row behind the
        // header, at the alignment of both.
        unsafe {
            let first = array.add(1).cast::<T>();
            for (number, row) in rows.take(most).enumerate() {
                first.add(number).write(row);
                (*array.as_ptr()).count = number + 1;
            }
        }
        Some(Self {
            array,
            rows: PhantomData,
        })
    }

    fn into_raw(self) -> NonNull<Header> {
        let array = self.array;
        core::mem::forget(self);
        array
    }
}

impl<T> Drop for New<T> {
    fn drop(&mut self) {
        // SAFETY: `allocate` allocated it, and nothing leads to it.
        unsafe { sys::xfree(self.array.as_ptr().cast()) };
    }
}
