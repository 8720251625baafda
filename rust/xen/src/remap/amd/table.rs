//! Interrupt remapping tables: 256 to 2048 entries, all of 32 or all of 128 bits.

use super::lock::RequesterTable;
use super::requester::{FUNCTIONS, Served, count};
use super::{Iommu, Pins, Requester};
use crate::arch::wide;
use crate::base::errno::Errno;
use crate::base::memory;
use crate::remap::usable_entries;
use crate::sync::spin::IrqLocked;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};
use irq_core::remap::entry::Format;
use irq_core::remap::slots::Slots;
use irq_hw::amd::MSI_INDEX;
use xen_sys as sys;

const PAGE_SIZE: usize = 4096;
/// The most entries of a table: as many as a message can name.
const MOST: usize = MSI_INDEX as usize + 1;

/// What is kept of a table: `intremap_inuse` of each requester that uses it points here.
pub(super) struct Kept {
    /// Which entries are in use. Used under the table's lock alone.
    pub(super) slots: UnsafeCell<Slots<1>>,
    /// Never changes, like what follows.
    pub(super) entries: Raw,
    /// How many pages it has, as a logarithm.
    pages: u32,
}

impl Kept {
    /// How many entries the table has.
    #[doc(alias = "intremap_table_entries")]
    pub(super) fn count(&self) -> usize {
        (PAGE_SIZE << self.pages) / self.entries.format().size()
    }
}

/// The memory of a table.
#[derive(Clone, Copy)]
pub(super) enum Raw {
    /// With entries of 32 bits.
    Narrow(NonNull<u32>),
    /// With entries of 128 bits.
    Wide(NonNull<[u64; 2]>),
}

impl Raw {
    fn new(start: NonNull<c_void>, format: Format) -> Self {
        match format {
            Format::Narrow => Self::Narrow(start.cast()),
            Format::Wide => Self::Wide(start.cast()),
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Narrow(_) => Format::Narrow,
            Self::Wide(_) => Format::Wide,
        }
    }

    /// Its first byte.
    pub(super) fn start(self) -> NonNull<c_void> {
        match self {
            Self::Narrow(first) => first.cast(),
            Self::Wide(first) => first.cast(),
        }
    }

    /// Reads an entry; a narrow one is the lower half of the first word.
    ///
    /// # Safety
    ///
    /// The table has one of that number, and its lock is held.
    #[doc(alias = "get_intremap_entry")]
    #[inline]
    pub(super) unsafe fn entry(self, index: usize) -> [u64; 2] {
        // SAFETY: `entry` asks for one that the table has, whose lock is held; tables are aligned
        // to a page.
        unsafe {
            match self {
                Self::Narrow(first) => {
                    let word = AtomicU32::from_ptr(first.add(index).as_ptr());
                    [word.load(Ordering::Relaxed).into(), 0]
                }
                Self::Wide(first) => wide::read(first.add(index).as_ptr()),
            }
        }
    }
}

/// The logarithm of how many entries a table has, for an entry of a device table that is about to
/// point there.
///
/// # Safety
///
/// The table was allocated by [`Iommu::allocate_table`], and is not freed meanwhile.
#[doc(alias = "amd_iommu_intremap_table_order")]
pub unsafe fn order_of_user(table: NonNull<c_void>, iommu: Iommu) -> u32 {
    // SAFETY: Tables are allocated in whole pages, of which there is a record; `allocate_table`
    // notes there how many they are.
    let pages = unsafe { sys::shim_page_order(table.as_ptr()) };
    pages + PAGE_SIZE.ilog2() - iommu.format().size().ilog2()
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

impl<'a> Served<'a> {
    /// The table that its IO-APIC pins go through.
    #[inline]
    pub fn table_of_pins(self) -> RequesterTable<'a> {
        let requester = self.own.of_interrupts();
        RequesterTable {
            iommu: self.iommu,
            requester,
            other: requester,
        }
    }

    /// The table that its MSIs go through. They may bear either of two IDs, and one table has to
    /// serve both.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] where two tables would have to, [`Errno::NODEV`] where the IOMMU has none
    /// for the messages: see [`Requester::is_copy`].
    #[inline]
    pub fn table_of_messages(self) -> Result<RequesterTable<'a>, Errno> {
        let (accesses, interrupts) = (self.of_accesses(), self.own.of_interrupts());
        let mut table = RequesterTable {
            iommu: self.iommu,
            requester: accesses,
            other: interrupts,
        };
        if accesses.id() != interrupts.id() {
            let (own, others) = (accesses.kept(), interrupts.kept());
            if own.is_null() {
                (table.requester, table.other) = (interrupts, accesses);
            } else {
                let is_one = others.is_null() || others == own;
                xen_assert!(is_one);
                if !is_one {
                    return Err(Errno::INVAL);
                }
            }
        }
        if table.requester.is_copy() {
            return Err(Errno::NODEV);
        }
        Ok(table)
    }
}

impl<'a> Served<'a> {
    /// The table that entries of its MSIs are in, by the ID of the requester that has it.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] where there is no requester of that ID.
    #[inline(always)]
    pub fn table_of(self, requester: u16) -> Result<RequesterTable<'a>, Errno> {
        let interrupts = self.own.of_interrupts();
        Ok(RequesterTable {
            iommu: self.iommu,
            requester: self.own.other(requester).ok_or(Errno::INVAL)?,
            other: if interrupts.id() == requester {
                self.of_accesses()
            } else {
                interrupts
            },
        })
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
