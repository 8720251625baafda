//! The shadow of a table's entries in single pages, so that a large table needs no contiguous
//! memory.

use crate::arch::nospec;
use crate::base::errno::Errno;
use crate::base::memory;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use irq_core::vmsi::shadow::Entry;
use irq_hw::msix::MAX_ENTRIES;
use static_assertions::const_assert_eq;
use xen_sys as sys;

/// Entries of a page.
const PER_PAGE: usize = 4096 / size_of::<Entry>();

/// Pages of the largest table.
const PAGES: usize = MAX_ENTRIES.div_ceil(PER_PAGE);

const_assert_eq!(PAGES, sys::SHIM_PAGES as usize);

/// The pages. The shim frees them, and the object that begins with them, after a grace period.
#[repr(transparent)]
pub(crate) struct Shadow(UnsafeCell<sys::shim_pages>);

impl Shadow {
    /// Allocates the pages of so many entries, of which nothing is known; at least one.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// `INVAL` for more entries than a table can have, `NOMEM`; then nothing stays allocated.
    ///
    /// # Safety
    ///
    /// `this` points to zeroed memory for it that nothing else uses.
    pub(crate) unsafe fn allocate(this: *mut Self, entries: usize) -> Result<(), Errno> {
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(Errno::INVAL);
        }
        let pages = this.cast::<sys::shim_pages>();
        let mut left = entries;
        while left != 0 {
            let count = left.min(PER_PAGE);
            let page = Layout::array::<Entry>(count).ok().and_then(memory::zalloc);
            // SAFETY: `allocate` asks for zeroed memory that nothing else uses; a number below that
            // of the pages of all entries is one of the array's.
            unsafe {
                let Some(page) = page else {
                    Self::free(this);
                    return Err(Errno::NOMEM);
                };
                let number = (*pages).count as usize;
                (&raw mut (*pages).page)
                    .cast::<*mut core::ffi::c_void>()
                    .add(number)
                    .write(page.as_ptr().cast());
                (*pages).count += 1;
            }
            left -= count;
        }
        Ok(())
    }

    /// Frees the pages at once.
    ///
    /// # Safety
    ///
    /// No other CPU has seen them.
    unsafe fn free(this: *mut Self) {
        let pages = this.cast::<sys::shim_pages>();
        // SAFETY: `allocate` noted as many pages as the count says.
        unsafe {
            while (*pages).count != 0 {
                (*pages).count -= 1;
                let number = (*pages).count as usize;
                sys::xfree(
                    (&raw const (*pages).page)
                        .cast::<*mut core::ffi::c_void>()
                        .add(number)
                        .read(),
                );
            }
        }
    }

    /// The entry with a number of `entries`, as many as were allocated.
    ///
    /// # Safety
    ///
    /// The number is below that.
    #[inline]
    pub(crate) unsafe fn get_unchecked(&self, number: usize, entries: usize) -> &Entry {
        let number = nospec::bounded(number, entries);
        // SAFETY: There is a page for each so many entries, which holds as many, zeroed or used as
        // entries alone.
        unsafe {
            let page = (&raw const (*self.0.get()).page).cast::<*const Entry>();
            &*page.add(number / PER_PAGE).read().add(number % PER_PAGE)
        }
    }

    /// Has the pages freed after a grace period, with the object that begins with them.
    ///
    /// # Safety
    ///
    /// The object was allocated by Xen's allocator, and no new reader can find it.
    pub(crate) unsafe fn free_later(&self) {
        // SAFETY: `free_later` asks for an object of Xen's allocator, which it begins with, and
        // that only readers in RCU sections still have.
        unsafe { sys::shim_call_rcu_free_pages(self.0.get()) };
    }
}
