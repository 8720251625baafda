//! How tables are allocated and freed.

use super::requester::{FUNCTIONS, count};
use super::table::{Kept, MOST, PAGE_SIZE, Raw};
use super::{Iommu, Pins, Requester, iommus};
use crate::base::memory;
use crate::remap::usable_entries;
use crate::sync::lock::IrqLocked;
use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use irq_core::remap::entry::Format;
use xen_sys as sys;

/// The logarithm of how many entries a table has, for an entry of a device table that is about to
/// point there. No IOMMU serves an ID that firmware lists as an alias alone; all have the same
/// format.
///
/// # Safety
///
/// The table was allocated by [`Iommu::allocate_table`], and is not freed meanwhile.
#[doc(alias = "amd_iommu_intremap_table_order")]
pub unsafe fn order_of_user(table: NonNull<c_void>, iommu: Option<Iommu>) -> u32 {
    // SAFETY: Tables are allocated in whole pages, of which there is a record; `allocate_table`
    // notes there how many they are.
    let pages = unsafe { sys::shim_page_order(table.as_ptr()) };
    let iommu = iommu.or_else(|| iommus().next());
    let format = iommu.map_or(Format::Narrow, Iommu::format);
    pages + PAGE_SIZE.ilog2() - format.size().ilog2()
}

impl<'a> Iommu<'a> {
    /// Allocates a table of at least that many entries, or the largest for 0, of which nothing is
    /// in use. Returns it, and what knows which entries are in use.
    ///
    /// No pin is remapped before there is a table, so what is kept of pins is allocated here, too.
    ///
    /// Context: as for `xmalloc()`.
    #[doc(alias = "amd_iommu_alloc_intremap_table")]
    pub fn allocate_table(self, entries: u32) -> Option<(NonNull<c_void>, NonNull<c_void>)> {
        let entries = match entries as usize {
            entries @ 1..MOST => entries,
            _ => MOST,
        };
        xen_assert!(count().is_multiple_of(FUNCTIONS));
        let bytes = (entries * self.format().size()).next_multiple_of(PAGE_SIZE);
        let pages = (bytes / PAGE_SIZE).next_power_of_two().ilog2();

        Pins::make()?;
        let kept = memory::zalloc(Layout::new::<Kept>())?.cast::<Kept>();
        // SAFETY: Any number of pages may be asked for.
        let table = NonNull::new(unsafe { sys::alloc_xenheap_pages(pages, 0) });
        let Some(table) = table else {
            // SAFETY: It was just allocated, and nothing else points to it.
            unsafe { sys::xfree(kept.as_ptr().cast()) };
            return None;
        };
        // SAFETY: Both were just allocated, and nothing else points to them. Zero bytes are slots
        // of a table without entries.
        unsafe {
            sys::shim_clear_pages(table.as_ptr(), pages);
            sys::shim_set_page_order(table.as_ptr(), pages);
            (&raw mut (*kept.as_ptr()).entries).write(Raw::new(table, self.format()));
            (&raw mut (*kept.as_ptr()).pages).write(pages);
            let kept = kept.as_ref();
            (*kept.slots.get()).limit(usable_entries(kept.count()));
        }
        Some((table, kept.cast()))
    }
}

impl Requester {
    /// Gives up its table. That is freed with the lowest function that uses it, and then no other
    /// one of the device uses it any more.
    ///
    /// Context: as for `xfree()`.
    ///
    /// # Safety
    ///
    /// Nothing uses an entry of the table, and no entry of the device table points to it.
    #[doc(alias = "amd_iommu_free_intremap_table")]
    pub unsafe fn free_table(self) {
        // SAFETY: The lock is a part of what Xen keeps of the requester, or a variable; neither is
        // ever freed.
        let lock = unsafe { IrqLocked::take(self.lock()) };
        let kept = self.kept();
        let mut lowest = self.id();
        self.for_each_user(kept, |user| lowest = lowest.min(user.id()));
        if kept.is_null() || lowest != self.id() {
            return self.forget_table();
        }
        self.for_each_user(kept, Self::forget_table);
        drop(lock);
        // SAFETY: `free_table` asks that no entry of the device table points to it, and from here
        // on no requester does: who takes the lock finds a null pointer.
        unsafe { free(kept) };
    }
}

/// Frees the table that all requesters share.
///
/// # Safety
///
/// Xen boots with one CPU, and no IOMMU is used after all.
#[doc(alias = "amd_iommu_free_intremap_table")]
pub unsafe fn free_shared_table() {
    // SAFETY: No other CPU runs that could use the variables, nor an IOMMU that could use the
    // table.
    unsafe {
        free(
            (&raw const sys::shared_intremap_inuse)
                .read_volatile()
                .cast(),
        );
        (&raw mut sys::shared_intremap_table).write_volatile(ptr::null_mut());
        (&raw mut sys::shared_intremap_inuse).write_volatile(ptr::null_mut());
    }
}

/// Frees a table and what is kept of it, if there is one.
///
/// # Safety
///
/// There is no other pointer to what is kept, and no IOMMU uses the table.
unsafe fn free(kept: *mut Kept) {
    let Some(kept) = NonNull::new(kept) else {
        return;
    };
    // SAFETY: Both were allocated by `allocate_table`, and nothing else points to them. For other
    // users of the pages the noted order would mean something else, so it is cleared.
    unsafe {
        let table = kept.as_ref().entries.start().as_ptr();
        sys::xfree(kept.as_ptr().cast());
        let pages = sys::shim_page_order(table);
        sys::shim_set_page_order(table, 0);
        sys::free_xenheap_pages(table, pages);
    }
}
