//! Tables whose lock is held, and what is done with their entries.

use super::table::{Kept, Raw};
use super::{Iommu, Requester, Served, log, tables_per_requester};
use crate::arch::wide;
use crate::base::errno::Errno;
use crate::remap;
use crate::sync::lock::IrqLocked;
use core::hint::cold_path;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use irq_core::remap::Place;
use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::{Block, Slots};
use irq_core::remap::update::{self, Cleared, Table};
use xen_sys as sys;

/// The table of a requester, as an IOMMU uses it.
#[derive(Clone, Copy)]
pub struct RequesterTable<'a> {
    pub(super) iommu: Iommu<'a>,
    pub(super) requester: Requester,
    /// Another requester whose ID messages may bear that go through the table, or the same.
    pub(super) other: Requester,
}

impl<'a> RequesterTable<'a> {
    /// Takes its lock.
    ///
    /// # Errors
    ///
    /// [`Errno::NOSPC`] where there is no table.
    #[inline(always)]
    pub fn lock(self) -> Result<TableLock<'a>, Errno> {
        Ok(TableLock {
            table: self.requester.lock_table().ok_or(Errno::NOSPC)?,
            of: self,
        })
    }

    /// Frees the block that begins at `first` and has `count` messages. Nothing happens where it is
    /// not in use, or there is no table.
    ///
    /// The entries are cleared under the lock, invalidated without it, and freed under it again,
    /// unless another table took the place of this one in between.
    #[doc(alias = "free_intremap_entry")]
    #[inline]
    pub fn release(self, first: usize, count: u32) {
        let (Some(block), Ok(table)) = (Block::of(first, count as usize), self.lock()) else {
            return;
        };
        let kept = table.table.kept;
        let Some(cleared) = table.clear(block) else {
            return;
        };
        let unused = cleared.invalidate(|_| self.invalidate(kept));
        if let Ok(table) = self.lock()
            && table.table.kept == kept
        {
            unused.free(table.table.slots);
        }
    }

    /// Invalidates what the IOMMU caches of the table that `kept` is of, for each requester that
    /// uses it; returns when that has completed. No lock need be held.
    ///
    /// The IOMMU's device table says whose messages go through a table, and other files write it.
    /// Before they point an entry of it to this table for a function of the same device, they give
    /// the function the pointer that is compared here. A function that gets it after the comparison
    /// finds the new entries: they were replaced before, by a full barrier.
    #[inline]
    fn invalidate(self, kept: NonNull<Kept>) {
        // Where it is switched off it caches nothing, and takes no commands.
        if !self.iommu.is_enabled() {
            return;
        }
        let own = self.requester.id();
        self.iommu.flush(own);
        let mut is_told = self.other.id() == own;
        // Where all requesters have the same table, it is not asked which of them use it.
        if tables_per_requester() {
            self.requester.for_each_user(kept.as_ptr(), |user| {
                if user.id() != own {
                    cold_path();
                    self.iommu.flush(user.id());
                    is_told |= user.id() == self.other.id();
                }
            });
        }
        if !is_told {
            cold_path();
            self.iommu.flush(self.other.id());
        }
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

impl Iommu<'_> {
    /// Invalidates what it caches of the table of a requester.
    #[inline]
    fn flush(self, id: u16) {
        // SAFETY: The IOMMU is one of Xen's, which are never freed, and there is a requester of
        // this ID.
        unsafe { sys::amd_iommu_flush_intremap(self.as_ptr(), id) };
    }
}

impl Requester {
    /// Takes the lock of its table; `None` where it has no table.
    #[inline(always)]
    pub fn lock_table<'a>(self) -> Option<Locked<'a>> {
        // SAFETY: The lock is a part of what Xen keeps of the requester, or a variable; neither is
        // ever freed.
        let lock = unsafe { IrqLocked::take(self.lock()) };
        // SAFETY: The lock is that of its table.
        Some(unsafe { Locked::new(NonNull::new(self.kept())?, lock) })
    }
}

/// Takes the lock of the table that all requesters share; `None` where each has its own.
pub fn lock_shared_table() -> Option<Locked<'static>> {
    // SAFETY: The variable is written while Xen boots, and so before a debug key is handled.
    let kept = unsafe { (&raw const sys::shared_intremap_inuse).read_volatile() };
    let kept = NonNull::new(kept)?.cast();
    // SAFETY: The lock is a variable, and that of the table.
    Some(unsafe {
        Locked::new(
            kept,
            IrqLocked::take(&raw mut sys::shim_shared_intremap_lock),
        )
    })
}

/// A table whose lock is held, with IRQs off.
pub struct Locked<'a> {
    entries: Raw,
    slots: &'a mut Slots<1>,
    /// Tells the table from others after it was unlocked.
    kept: NonNull<Kept>,
    _lock: IrqLocked<'a>,
}

impl<'a> Locked<'a> {
    /// The table that `kept` is of.
    ///
    /// # Safety
    ///
    /// The lock is that of the table, which is freed under it alone.
    #[inline(always)]
    unsafe fn new(kept: NonNull<Kept>, lock: IrqLocked<'a>) -> Self {
        // SAFETY: It was allocated with the table, which is freed under the lock that is held.
        let of_table: &'a Kept = unsafe { kept.as_ref() };
        Self {
            entries: of_table.entries,
            // SAFETY: It is used under the lock alone, which is held as long as the result lives.
            slots: unsafe { &mut *of_table.slots.get() },
            kept,
            _lock: lock,
        }
    }

    /// The entries that are not clear, with their numbers; a narrow one is the lower half of the
    /// first word.
    #[doc(alias = "get_intremap_entry")]
    pub fn set_entries(&self) -> impl Iterator<Item = (usize, [u64; 2])> {
        // SAFETY: The lock of the table is held, so it is not freed.
        let count = unsafe { self.kept.as_ref() }.count();
        let entries = self.entries;
        let read = move |index| match entries {
            Raw::Narrow(entries) => [Memory(entries).entry(index).into(), 0],
            Raw::Wide(entries) => Memory(entries).entry(index),
        };
        (0..count)
            .map(move |index| (index, read(index)))
            .filter(|(_, entry)| *entry != [0; 2])
    }

    /// Returns whether they have 128 bits.
    pub fn is_wide(&self) -> bool {
        matches!(self.entries, Raw::Wide(_))
    }
}

/// A table whose lock is held, with IRQs off, and whose it is.
pub struct TableLock<'a> {
    table: Locked<'a>,
    of: RequesterTable<'a>,
}

impl<'a> TableLock<'a> {
    /// An entry that is in use; the table again where it is not, or there is none of that number.
    #[inline(always)]
    pub fn entry(self, index: usize) -> Result<EntryLock<'a>, Self> {
        if self.table.slots.holds(Block::one(index)) {
            Ok(EntryLock { table: self, index })
        } else {
            Err(self)
        }
    }

    /// Makes an entry that delivers an interrupt, in the table's format.
    ///
    /// # Errors
    ///
    /// [`Errno::RANGE`] where an entry of that format cannot name the destination: short ones have
    /// 8 bits, whatever mode the local APICs are in, and all of them set mean every CPU. Xen uses
    /// long entries where all IOMMUs take 32 bits (XT), and nowhere else.
    #[inline(always)]
    pub fn entry_for(&self, interrupt: Interrupt) -> Result<NewEntry, Errno> {
        Ok(NewEntry(match self.table.entries {
            Raw::Narrow(_) => {
                let [entry] = interrupt.irte32(remap::apic()).ok_or(Errno::RANGE)?.raw();
                [entry, 0]
            }
            Raw::Wide(_) => interrupt.irte128().raw(),
        }))
    }

    /// Takes a block for `count` entries into use; none of them is valid. Returns the first; `None`
    /// where none is left, or `count` is not 1 to 32.
    #[doc(alias = "alloc_intremap_entry")]
    #[inline(always)]
    pub fn allocate(self, count: u32) -> Option<EntryLock<'a>> {
        let block = self.table.slots.allocate(count as usize)?;
        Some(EntryLock {
            index: block.first(),
            table: self,
        })
    }

    /// Clears the entries of a block, and unlocks the table. `None` where not all are in use.
    #[inline]
    fn clear(self, block: Block) -> Option<Cleared> {
        let slots = self.table.slots;
        match self.table.entries {
            Raw::Narrow(entries) => update::clear(slots, &mut Memory(entries), block),
            Raw::Wide(entries) => update::clear(slots, &mut Memory(entries), block),
        }
    }
}

/// An entry as [`TableLock::entry_for`] makes it; a short one is the lower half of the first word.
pub struct NewEntry([u64; 2]);

/// An entry in use of a table whose lock is held, with IRQs off.
pub struct EntryLock<'a> {
    table: TableLock<'a>,
    index: usize,
}

impl EntryLock<'_> {
    /// Its number.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its number, and whose table it is of.
    #[inline]
    pub fn place(&self) -> Place {
        Place {
            requester: self.table.of.requester.id(),
            index: self.index,
        }
    }

    /// Sets it and unlocks the table; then invalidates what the IOMMU caches of it, and returns
    /// when it has.
    #[doc(alias = "update_intremap_entry")]
    #[inline(always)]
    pub fn set(self, NewEntry(entry): NewEntry) {
        let TableLock { table, of } = self.table;
        let stale = match table.entries {
            Raw::Narrow(entries) => update::set(&mut Memory(entries), self.index, entry[0] as u32),
            Raw::Wide(entries) => update::set(&mut Memory(entries), self.index, entry),
        };
        let kept = table.kept;
        drop(table);
        stale.invalidate(|_| of.invalidate(kept));
    }
}

/// Entries of a table whose lock is held. Indices are those of entries that the table has.
struct Memory<E>(NonNull<E>);

impl Memory<u32> {
    #[inline]
    fn word(&self, index: usize) -> &AtomicU32 {
        // SAFETY: The table has the entry; tables are aligned to a page, and all words of them are
        // used as atomics.
        unsafe { AtomicU32::from_ptr(self.0.add(index).as_ptr()) }
    }
}

impl Table for Memory<u32> {
    type Entry = u32;
    type New = u32;

    // An entry that is not valid is not cached.
    const CACHES_ABSENT: bool = false;

    #[inline]
    fn entry(&mut self, index: usize) -> u32 {
        self.word(index).load(Ordering::Relaxed)
    }

    #[inline]
    fn replace(&mut self, index: usize, _old: u32, new: u32) {
        // A full barrier: see `RequesterTable::invalidate`.
        self.word(index).store(new, Ordering::SeqCst);
    }

    // IOMMUs read tables through the processors' caches.
    #[inline]
    fn write_back(&mut self, _index: usize) {}
}

impl Table for Memory<[u64; 2]> {
    type Entry = [u64; 2];
    type New = [u64; 2];

    const CACHES_ABSENT: bool = false;

    #[inline]
    fn entry(&mut self, index: usize) -> [u64; 2] {
        // SAFETY: The table has the entry; tables are aligned to a page.
        unsafe { wide::read(self.0.add(index).as_ptr()) }
    }

    #[inline]
    fn replace(&mut self, index: usize, old: [u64; 2], new: [u64; 2]) {
        // SAFETY: The table has the entry, and tables are aligned to a page. The
        // table's lock keeps other writers away. IOMMUs are not used on processors without the
        // instruction (`remap::require_wide_exchange`).
        let seen = unsafe { wide::exchange(self.0.add(index).as_ptr(), old, new) };
        // Half by half: rustc compares arrays as one number of 128 bits, which would want an
        // aligned stack.
        let is_old = seen[0] == old[0] && seen[1] == old[1];
        if !is_old {
            log::entry_changed(seen, old);
        }
        xen_assert!(is_old);
    }

    #[inline]
    fn write_back(&mut self, _index: usize) {}
}
