//! Interrupt remapping tables: 256 to 2048 entries, all of 32 or all of 128 bits.

use super::{Device, Iommu, Requester, log};
use crate::errno::Errno;
use crate::memory;
use crate::remap::usable_entries;
use crate::spin::IrqLocked;
use crate::wide;
use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use irq_core::remap::entry::{Format, Interrupt};
use irq_core::remap::slots::{Block, Slots};
use irq_core::remap::update::{self, Table};
use xen_sys as sys;

const PAGE_SIZE: usize = 4096;

/// The logarithm of how many entries a table has.
pub fn order(table: NonNull<c_void>, iommu: Iommu) -> u32 {
    // SAFETY: Tables are allocated in whole pages by `allocate_table`, which notes how many.
    let pages = unsafe { sys::shim_page_order(table.as_ptr()) };
    pages + PAGE_SIZE.ilog2() - iommu.format().size().ilog2()
}

impl<'a> Iommu<'a> {
    /// Allocates a table of at least that many entries, or the largest for 0, of which nothing is in use. Returns it, and
    /// what knows which entries are in use.
    ///
    /// Context: as for `xmalloc()`.
    pub fn allocate_table(self, entries: u32) -> Option<(NonNull<c_void>, NonNull<c_void>)> {
        const MOST: usize = Slots::<1>::ENTRIES;
        let entries = match entries as usize {
            entries @ 1..MOST => entries,
            _ => MOST,
        };
        let bytes = (entries * self.format().size()).next_multiple_of(PAGE_SIZE);
        let pages = (bytes / PAGE_SIZE).next_power_of_two().ilog2();

        let slots = memory::zalloc(Layout::new::<Slots<1>>())?.cast::<Slots<1>>();
        // SAFETY: Any number of pages may be asked for.
        let table = NonNull::new(unsafe { sys::alloc_xenheap_pages(pages, 0) });
        let Some(table) = table else {
            // SAFETY: Nobody else knows of it.
            unsafe { sys::xfree(slots.as_ptr().cast()) };
            return None;
        };
        // SAFETY: The pages are of this table, which nobody uses yet; zero bytes are slots of which none is in use.
        unsafe {
            sys::shim_clear_pages(table.as_ptr(), pages);
            sys::shim_set_page_order(table.as_ptr(), pages);
            (*slots.as_ptr()).limit(usable_entries(1 << order(table, self)));
        }
        Some((table, slots.cast()))
    }

    /// The table that IO-APIC pins of a device go through.
    #[inline]
    pub fn table_of_pins(self, device: Device) -> Option<RequesterTable<'a>> {
        let requester = Requester::of(device)?.of_interrupts()?;
        Some(RequesterTable {
            iommu: self,
            requester,
            other: requester,
        })
    }

    /// The table that MSIs of a device go through. They may bear either of two IDs, and one table has to serve both.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] where two tables would have to; [`Errno::NOSPC`] where there is none.
    #[inline]
    pub fn table_of_messages(self, device: Device) -> Result<RequesterTable<'a>, Errno> {
        let own = Requester::of(device).ok_or(Errno::NOSPC)?;
        let accesses = own.of_accesses(device.segment).ok_or(Errno::NOSPC)?;
        let interrupts = own.of_interrupts().ok_or(Errno::NOSPC)?;
        let (requester, other) = if accesses.table().is_null() {
            (interrupts, accesses)
        } else {
            (accesses, interrupts)
        };
        let is_one = other.table().is_null() || other.table() == requester.table();
        xen_assert!(is_one);
        if !is_one {
            return Err(Errno::INVAL);
        }
        Ok(RequesterTable {
            iommu: self,
            requester,
            other,
        })
    }
}

/// The table of a requester, as an IOMMU uses it.
#[derive(Clone, Copy)]
pub struct RequesterTable<'a> {
    iommu: Iommu<'a>,
    requester: Requester,
    /// Another ID that messages may bear which go through the table, or the same.
    other: Requester,
}

impl<'a> RequesterTable<'a> {
    /// Takes its lock.
    ///
    /// What an IOMMU keeps of a changed entry is invalidated before the lock is dropped, which takes the IOMMU's lock
    /// within this one. C takes them one after the other. Nobody takes them the other way round: while an IOMMU's lock is
    /// held, `enable_iommu()` alone comes here, by way of the affinity of that IOMMU's own interrupt, and an IOMMU's
    /// messages are not remapped.
    ///
    /// # Errors
    ///
    /// [`Errno::NOSPC`] where there is no table.
    #[inline(always)]
    pub fn lock(self) -> Result<TableLock<'a>, Errno> {
        // SAFETY: The lock lives as long as the requester.
        let lock = unsafe { IrqLocked::take(self.requester.lock()) };
        let table = NonNull::new(self.requester.table()).ok_or(Errno::NOSPC)?;
        let slots = NonNull::new(self.requester.slots()).ok_or(Errno::NOSPC)?;
        Ok(TableLock {
            // SAFETY: The slots were allocated with the table and go with it, under the lock, which is held, and whoever uses
            // them holds it.
            slots: unsafe { &mut *slots.as_ptr() },
            memory: Memory {
                entries: Raw {
                    table,
                    format: self.iommu.format(),
                },
                iommu: self.iommu,
                requester: self.requester,
                other: self.other,
            },
            _lock: lock,
        })
    }
}

/// A table whose lock is held, with IRQs off.
pub struct TableLock<'a> {
    slots: &'a mut Slots<1>,
    memory: Memory<'a>,
    _lock: IrqLocked<'a>,
}

impl TableLock<'_> {
    /// Takes a block for `count` entries into use; none of them is valid. `None` where none is left, or `count` is not 1 to
    /// 32.
    #[inline]
    pub fn allocate(&mut self, count: u32) -> Option<usize> {
        self.slots.allocate(count as usize).map(Block::first)
    }

    /// Returns whether there is an entry of that number, and it is in use.
    #[inline]
    fn is_in_use(&self, index: usize) -> bool {
        self.slots.holds(Block::one(index))
    }

    /// The interrupt that an entry delivers; `None` where it delivers none.
    #[inline]
    pub fn interrupt(&mut self, index: usize) -> Option<Interrupt> {
        if !self.is_in_use(index) {
            return None;
        }
        Interrupt::of_amd(self.memory.entry(index), self.memory.entries.format)
    }

    /// Has an entry that is in use deliver an interrupt. Returns whether it is in use; else nothing happens.
    #[inline]
    pub fn set(&mut self, index: usize, interrupt: Interrupt) -> bool {
        let is_in_use = self.is_in_use(index);
        if is_in_use {
            let entry = interrupt.amd(self.memory.entries.format);
            update::set(&mut self.memory, index, entry);
        }
        is_in_use
    }

    /// Gives the block back that begins at `first` and has `count` messages. Nothing happens where it is not in use.
    #[inline]
    pub fn release(&mut self, first: usize, count: u32) {
        if let Some(block) = Block::of(first, count as usize) {
            update::release(self.slots, &mut self.memory, block);
        }
    }
}

/// The memory of a table.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    pub(super) table: NonNull<u8>,
    pub(super) format: Format,
}

impl Raw {
    #[inline]
    fn place(self, index: usize) -> *mut u8 {
        self.table.as_ptr().wrapping_add(index * self.format.size())
    }

    /// Reads an entry; a narrow one is the lower half of the first word.
    ///
    /// # Safety
    ///
    /// The table has one of that number.
    #[inline]
    pub(super) unsafe fn entry(self, index: usize) -> [u64; 2] {
        let place = self.place(index);
        // SAFETY: The caller says so; tables are aligned to a page.
        unsafe {
            match self.format {
                Format::Narrow => [place.cast::<u32>().read_volatile().into(), 0],
                Format::Wide => wide::read(place.cast()),
            }
        }
    }
}

/// A table, the IOMMU that reads it, and who has it read. Indices are those of entries in use, so the table has them.
struct Memory<'a> {
    entries: Raw,
    iommu: Iommu<'a>,
    requester: Requester,
    /// Another ID that messages may bear which go through the table, or the same.
    other: Requester,
}

impl Table for Memory<'_> {
    type Entry = [u64; 2];
    type New = [u64; 2];

    // An entry that is not valid is not kept.
    const CACHES_ABSENT: bool = false;

    #[inline]
    fn entry(&mut self, index: usize) -> [u64; 2] {
        // SAFETY: The entry is in use.
        unsafe { self.entries.entry(index) }
    }

    #[inline]
    fn replace(&mut self, index: usize, entry: [u64; 2]) {
        let place = self.entries.place(index);
        match self.entries.format {
            // SAFETY: The entry is in use; the lock keeps other writers away.
            Format::Narrow => unsafe { place.cast::<u32>().write_volatile(entry[0] as u32) },
            Format::Wide => {
                let old = self.entry(index);
                // SAFETY: As above. IOMMUs are not used on processors without the instruction.
                let seen = unsafe { wide::exchange(place.cast(), old, entry) };
                // Half by half: rustc compares arrays as one number of 128 bits, which would want an aligned stack.
                let is_old = seen[0] == old[0] && seen[1] == old[1];
                if !is_old {
                    log::entry_changed(seen, old);
                }
                xen_assert!(is_old);
            }
        }
    }

    // IOMMUs read tables through the processors' caches.
    #[inline]
    fn write_back(&mut self, _index: usize) {}

    /// Makes the IOMMU forget what it keeps of the table, for all requesters that use it.
    #[inline]
    fn invalidate(&mut self, _block: Block) {
        if !self.iommu.is_enabled() {
            return;
        }
        // SAFETY: The IOMMU is alive, and there are requesters of these IDs.
        let flush = |id| unsafe { sys::amd_iommu_flush_intremap(self.iommu.as_ptr(), id) };
        let other = self.other.id();
        let mut is_other_flushed = false;
        for sharer in self.requester.sharers().iter() {
            flush(sharer.id());
            is_other_flushed |= sharer.id() == other;
        }
        if !is_other_flushed {
            flush(other);
        }
    }
}

impl Requester {
    /// Gives up its table. That is freed with the lowest function that uses it, and then no other one of the device uses it
    /// any more.
    ///
    /// Context: as for `xfree()`; no entry is in use, and the IOMMU does not use the table.
    pub fn free_table(self) {
        // SAFETY: The lock lives as long as the requester.
        let lock = unsafe { IrqLocked::take(self.lock()) };
        let (table, slots) = (self.table(), self.slots());
        if !self.is_lowest() {
            return self.forget_table();
        }
        self.sharers().iter().for_each(Self::forget_table);
        drop(lock);
        // SAFETY: Nobody knows of them any more.
        unsafe { free(table.cast(), slots.cast()) };
    }
}

/// Frees the table that all requesters share.
///
/// Context: boot, when no IOMMU is used after all.
pub fn free_shared_table() {
    // SAFETY: Nobody else uses the variables at that time, nor what they point to.
    unsafe {
        free(
            (&raw const sys::shared_intremap_table).read_volatile(),
            (&raw const sys::shared_intremap_inuse)
                .read_volatile()
                .cast(),
        );
        (&raw mut sys::shared_intremap_table).write_volatile(ptr::null_mut());
        (&raw mut sys::shared_intremap_inuse).write_volatile(ptr::null_mut());
    }
}

/// Frees a table and what knows which entries are in use; each may be null.
///
/// # Safety
///
/// They are those of [`Iommu::allocate_table`], and nobody uses them any more.
unsafe fn free(table: *mut c_void, slots: *mut c_void) {
    // SAFETY: The caller says so. For other users of the pages the order would mean something else.
    unsafe {
        sys::xfree(slots);
        if !table.is_null() {
            let pages = sys::shim_page_order(table);
            sys::shim_set_page_order(table, 0);
            sys::free_xenheap_pages(table, pages);
        }
    }
}
