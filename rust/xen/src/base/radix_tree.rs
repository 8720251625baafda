//! Radix trees whose items are numbers (`xen/radix-tree.h`).

use crate::base::errno::Errno;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{NonNull, without_provenance_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use xen_sys as sys;

/// A tree that leads from numbers to numbers, for who may change it.
#[derive(Clone, Copy)]
pub struct NumberTree<'a> {
    root: NonNull<sys::radix_tree_root>,
    life: PhantomData<(&'a (), *mut ())>,
}

/// A number as an item, which is neither null nor a pointer to a node.
fn item(number: i32) -> *mut c_void {
    without_provenance_mut((i64::from(number) << 2 | 2).cast_unsigned() as usize)
}

/// The number that an item is.
fn number(item: *mut c_void) -> i32 {
    (item.addr().cast_signed() >> 2) as i32
}

/// An index, as C extends it.
fn extended(index: i32) -> u64 {
    i64::from(index).cast_unsigned()
}

impl NumberTree<'_> {
    /// Takes a tree of C's.
    ///
    /// # Safety
    ///
    /// The root is initialized and lives as long as the result; the tree's items are numbers. For
    /// as long, this CPU holds the lock under which the tree changes, or nothing else can reach it.
    pub const unsafe fn new(root: NonNull<sys::radix_tree_root>) -> Self {
        Self {
            root,
            life: PhantomData,
        }
    }

    /// What an index leads to; `None` where there is no item.
    pub fn get(self, index: i32) -> Option<i32> {
        // SAFETY: `new` asks for a tree that nothing else changes, and any index may be looked for.
        let found = unsafe { sys::radix_tree_lookup(self.root.as_ptr(), extended(index)) };
        (!found.is_null()).then(|| number(found))
    }

    /// Adds an item.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// [`Errno::EXIST`] where there is one, which stays; [`Errno::NOMEM`].
    pub fn insert(self, index: i32, number: i32) -> Result<(), Errno> {
        // SAFETY: `new` asks for a tree that nothing else changes. The item is no pointer that
        // could be followed.
        Errno::check(unsafe {
            sys::radix_tree_insert(self.root.as_ptr(), extended(index), item(number))
        })
    }

    /// Changes an item that is there.
    pub fn replace(self, index: i32, number: i32) {
        // SAFETY: `new` asks for a tree that nothing else changes. The slot of an item is aligned,
        // and readers without a lock read it in one piece.
        unsafe {
            let slot = sys::radix_tree_lookup_slot(self.root.as_ptr(), extended(index));
            xen_assert!(!slot.is_null());
            if !slot.is_null() {
                AtomicPtr::from_ptr(slot).store(item(number), Ordering::Release);
            }
        }
    }

    /// Removes an item, if there is one.
    pub fn remove(self, index: i32) {
        // SAFETY: `new` asks for a tree that nothing else changes. A node is freed a grace period
        // after it left the tree, and the item is no pointer.
        unsafe { sys::radix_tree_delete(self.root.as_ptr(), extended(index)) };
    }
}
