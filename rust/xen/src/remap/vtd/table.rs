//! The interrupt remapping table of an IOMMU.

use super::Iommu;
use crate::arch::wide;
use crate::base::errno::Errno;
use crate::base::view::{field, set_field};
use crate::remap::usable_entries;
use crate::sync::lock::IrqLocked;
use crate::sync::once::{Once, Zeroed};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use irq_core::remap::entry::{Apic, Verified};
use irq_core::remap::slots::{Block, Slots};
use irq_core::remap::update::{self, Table};
use irq_hw::vtd::Source;
use xen_sys as sys;

const ENTRIES: usize = sys::XEN_IRQ_IREMAP_ENTRIES as usize;
const ENTRY_SIZE: usize = size_of::<[u64; 2]>();
const ENTRIES_OF_PAGE: usize = 4096 / ENTRY_SIZE;
/// Groups of entries in use, so that there are as many as entries.
const GROUPS: usize = ENTRIES / Slots::<1>::MOST;

/// The most IOMMUs that there may be; others than the first of these are not used.
const MAX_IOMMUS: usize = 1024;

/// What is kept of a table.
pub(super) struct InUse {
    /// Which entries are in use; used under the lock of the IOMMU's table alone.
    slots: UnsafeCell<Slots<GROUPS>>,
    /// Whether the IOMMU takes 32-bit destinations from it: extended interrupt mode.
    pub(super) extended_mode: AtomicBool,
}

// SAFETY: `slots` is used under the lock of its IOMMU's table alone (`Iommu::take_lock`).
unsafe impl Sync for InUse {}

// SAFETY: Zero bytes are slots of a table without entries, and false.
unsafe impl Zeroed for InUse {}

/// By the index of the IOMMU.
static IN_USE: [Once<InUse>; MAX_IOMMUS] = [const { Once::empty() }; MAX_IOMMUS];

impl<'a> Iommu<'a> {
    /// Allocates a table, of which nothing is in use, unless there is one.
    ///
    /// Context: as for `xmalloc()`, where there is none.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    pub fn make_table(self) -> Result<(), Errno> {
        if self.has_table() {
            return Ok(());
        }
        let in_use = self.in_use().and_then(Once::make).ok_or(Errno::NOMEM)?;
        {
            let _lock = self.take_lock();
            // SAFETY: `InUse` is changed under the table's lock alone, which is held.
            unsafe { &mut *in_use.slots.get() }.limit(usable_entries(ENTRIES));
        }
        // SAFETY: The pages are all of the table.
        let address =
            unsafe { sys::alloc_pgtable_maddr(sys::XEN_IRQ_IREMAP_PAGES, field!(self, node)) };
        if address == 0 {
            return Err(Errno::NOMEM);
        }
        set_field!(self, intremap.num)(0);
        set_field!(self, intremap.maddr)(address);
        Ok(())
    }

    pub(super) fn in_use(self) -> Option<&'static Once<InUse>> {
        IN_USE.get(self.index() as usize)
    }

    /// Takes the lock of its table; `None` where it has no table.
    #[inline]
    pub fn lock_table(self) -> Option<TableLock<'a>> {
        self.has_table().then(|| TableLock {
            iommu: self,
            _lock: self.take_lock(),
        })
    }

    #[inline]
    fn take_lock(self) -> IrqLocked<'a> {
        // SAFETY: The lock is a field of Xen's structure of the IOMMU, which is never freed.
        unsafe { IrqLocked::take(&raw mut (*self.as_ptr()).intremap.lock) }
    }

    /// Invalidates what it caches of a block's entries; returns when it has.
    #[inline]
    fn invalidate(self, block: Block) {
        let largest = self.capability().largest_handle_mask();
        let mask = (block.log2() as u8).min(largest);
        // A command's entries are aligned to their number, as the block is.
        for first in block.entries().step_by(1 << mask) {
            // SAFETY: The IOMMU is one of Xen's, and those are never freed. The call ends when the
            // IOMMU is done; Xen waits for that without end.
            unsafe { sys::iommu_flush_iec_index(self.as_ptr(), mask, first as u16) };
        }
    }
}

/// A table whose lock is held, with IRQs off.
pub struct TableLock<'a> {
    iommu: Iommu<'a>,
    _lock: IrqLocked<'a>,
}

impl<'a> TableLock<'a> {
    /// Takes a block for `count` entries into use; none of them is present. `None` where none is
    /// left, or `count` is not 1 to 32.
    #[doc(alias = "alloc_remap_entry")]
    pub fn allocate(&mut self, count: u32) -> Option<usize> {
        let block = self.slots()?.allocate(count as usize)?;
        self.count(block.count() as u32);
        Some(block.first())
    }

    /// How long destinations of its entries are.
    ///
    /// That is as the IOMMU was told, and not as the local APICs are addressed: firmware may have
    /// left those in x2APIC mode where the IOMMU takes 8 bits.
    #[inline]
    pub fn format(&self) -> Apic {
        let in_use = self.iommu.in_use().and_then(Once::get);
        if in_use.is_some_and(|in_use| in_use.extended_mode.load(Ordering::Relaxed)) {
            Apic::X2
        } else {
            Apic::X
        }
    }

    /// Reads an entry; its page is mapped until it is set.
    ///
    /// # Errors
    ///
    /// [`Errno::FAULT`] beyond the table's end.
    #[inline]
    pub fn entry(self, index: usize) -> Result<EntryLock<'a>, Errno> {
        let mut page = self.page(index).ok_or(Errno::FAULT)?;
        Ok(EntryLock {
            old: page.entry(index),
            page,
            index,
            table: self,
        })
    }

    /// Reads whose messages may use an entry; `None` where that is not said, or there is none.
    fn source(&self, index: usize) -> Option<Source> {
        Source::of(self.page(index)?.entry(index))
    }

    /// Gives the block back that begins at `first` and has `count` messages. Nothing happens where
    /// it is not in use.
    #[doc(alias = "free_remap_entry")]
    pub fn release(&mut self, first: usize, count: u32) {
        let Some(block) = Block::of(first, count as usize) else {
            return;
        };
        // A block does not reach beyond its first entry's page.
        let (Some(mut page), Some(slots)) = (self.page(first), self.slots()) else {
            return;
        };
        let Some(cleared) = update::clear(slots, &mut page, block) else {
            return;
        };
        cleared
            .invalidate(|block| page.iommu.invalidate(block))
            .free(slots);
        self.count((block.count() as u32).wrapping_neg());
    }

    /// What knows which entries are in use.
    fn slots(&mut self) -> Option<&mut Slots<GROUPS>> {
        let in_use = self.iommu.in_use()?.get()?;
        // SAFETY: The table's lock is held as long as `self` lives, which the result borrows.
        Some(unsafe { &mut *in_use.slots.get() })
    }

    /// Maps the page that an entry is in; `None` beyond the table's end.
    #[inline]
    fn page(&self, index: usize) -> Option<Page<'a>> {
        if index >= ENTRIES {
            return None;
        }
        let offset = (index & !(ENTRIES_OF_PAGE - 1)) * ENTRY_SIZE;
        let address = field!(self.iommu, intremap.maddr) + offset as u64;
        Some(Page {
            iommu: self.iommu,
            // SAFETY: The table has that page.
            entries: unsafe { sys::map_vtd_domain_page(address) }.cast(),
        })
    }

    /// Changes the number that debug key `V` compares with what it finds.
    fn count(&self, by: u32) {
        let count = field!(self.iommu, intremap.num);
        set_field!(self.iommu, intremap.num)(count.wrapping_add(by));
    }
}

/// An entry of a table whose lock is held, with IRQs off.
pub struct EntryLock<'a> {
    page: Page<'a>,
    index: usize,
    old: [u64; 2],
    // Dropped last: the page is unmapped under the lock.
    table: TableLock<'a>,
}

impl EntryLock<'_> {
    /// Its number.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// How long its destination is: see [`TableLock::format`].
    #[inline]
    pub fn format(&self) -> Apic {
        self.table.format()
    }

    /// Whose messages may use it, or else the entry that is that far below, the first of the same
    /// block. `None` where neither says.
    #[inline]
    pub fn source(&self, number_in_block: usize) -> Option<Source> {
        Source::of(self.old).or_else(|| {
            let first = self.index.checked_sub(number_in_block)?;
            (first != self.index).then(|| self.table.source(first))?
        })
    }

    /// Sets it and invalidates what the IOMMU caches of it; then unlocks the table.
    #[doc(alias = "update_irte")]
    #[inline]
    pub fn set(mut self, new: Verified) {
        update::change(&mut self.page, self.index, self.old, new)
            .invalidate(|block| self.table.iommu.invalidate(block));
    }
}

/// A page of a table, mapped while its lock is held. Indices are those of entries that are in it;
/// others wrap.
struct Page<'a> {
    iommu: Iommu<'a>,
    entries: *mut [u64; 2],
}

impl Page<'_> {
    #[inline]
    fn place(&self, index: usize) -> *mut [u64; 2] {
        self.entries.wrapping_add(index % ENTRIES_OF_PAGE)
    }
}

impl Table for Page<'_> {
    type Entry = [u64; 2];
    type New = Verified;

    // What is absent may be kept in caching mode; upstream invalidates without asking for it.
    const CACHES_ABSENT: bool = true;

    #[inline]
    fn entry(&mut self, index: usize) -> [u64; 2] {
        // SAFETY: The page is mapped, and the lock keeps writers away.
        unsafe { wide::read(self.place(index)) }
    }

    #[inline]
    fn replace(&mut self, index: usize, old: [u64; 2], new: [u64; 2]) {
        // SAFETY: The page is mapped, entries are aligned, and remapping is not enabled on
        // processors without the instruction.
        let seen = unsafe { wide::exchange(self.place(index), old, new) };
        // The lock keeps other writers away.
        xen_assert!(seen == old);
    }

    #[inline]
    fn write_back(&mut self, index: usize) {
        // SAFETY: A flag that is written while Xen boots.
        if unsafe { (&raw const sys::iommu_non_coherent).read_volatile() } {
            // SAFETY: The page is mapped.
            unsafe { sys::cache_writeback(self.place(index).cast(), ENTRY_SIZE as u32) };
        }
    }
}

impl Drop for Page<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The page was mapped here.
        unsafe { sys::unmap_vtd_domain_page(self.entries.cast()) };
    }
}
