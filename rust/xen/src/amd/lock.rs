//! Tables whose lock is held, and what is done with their entries.

use super::table::{Kept, Raw};
use super::users::{Alone, Users};
use super::{Requester, log};
use crate::errno::Errno;
use crate::spin::IrqLocked;
use crate::wide;
use core::ptr::NonNull;
use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::Block;
use irq_core::remap::update::{self, Table};
use irq_hw::amd::{Irte32, Irte128};

/// The table of a requester, as an IOMMU uses it.
#[derive(Clone, Copy)]
pub struct RequesterTable<'a>(pub(super) Users<'a>);

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
        Ok(TableLock {
            table: self.0.requester.lock_table().ok_or(Errno::NOSPC)?,
            users: self.0,
        })
    }
}

impl Requester {
    /// Takes the lock of its table; `None` where it has no table.
    #[inline(always)]
    pub fn lock_table<'a>(self) -> Option<Locked<'a>> {
        // SAFETY: The lock lives as long as the requester.
        let lock = unsafe { IrqLocked::take(self.lock()) };
        let kept = NonNull::new(self.kept())?;
        Some(Locked {
            // SAFETY: It was allocated with the table and goes with it, under the lock, which is held, and whoever uses it
            // holds that.
            kept: unsafe { &mut *kept.as_ptr() },
            _lock: lock,
        })
    }
}

/// A table whose lock is held, with IRQs off.
pub struct Locked<'a> {
    kept: &'a mut Kept,
    _lock: IrqLocked<'a>,
}

impl Locked<'_> {
    /// Returns whether there is an entry of that number, and it is in use.
    #[inline]
    fn is_in_use(&self, index: usize) -> bool {
        self.kept.slots.holds(Block::one(index))
    }

    /// The interrupt that an entry delivers; `None` where it delivers none.
    #[inline]
    pub fn interrupt(&self, index: usize) -> Option<Interrupt> {
        if !self.is_in_use(index) {
            return None;
        }
        // SAFETY: The entry is in use, so the table has it; the lock is held.
        let entry = unsafe { self.kept.entries.entry(index) };
        match self.kept.entries {
            Raw::Narrow(_) => Interrupt::of_irte32(Irte32::new([entry[0]])),
            Raw::Wide(_) => Interrupt::of_irte128(Irte128::new(entry)),
        }
    }
}

/// A table whose lock is held, with IRQs off, and who has it read.
pub struct TableLock<'a> {
    table: Locked<'a>,
    users: Users<'a>,
}

impl<'a> TableLock<'a> {
    /// An entry that is in use; the table again where it is not, or there is none of that number.
    #[inline(always)]
    pub fn entry(self, index: usize) -> Result<EntryLock<'a>, Self> {
        if self.table.is_in_use(index) {
            Ok(EntryLock { table: self, index })
        } else {
            Err(self)
        }
    }

    /// Takes a block for `count` entries into use; none of them is valid. Returns the first; `None` where none is left, or
    /// `count` is not 1 to 32.
    #[inline(always)]
    pub fn allocate(self, count: u32) -> Option<EntryLock<'a>> {
        let block = self.table.kept.slots.allocate(count as usize)?;
        Some(EntryLock {
            index: block.first(),
            table: self,
        })
    }

    /// Gives the block back that begins at `first` and has `count` messages. Nothing happens where it is not in use.
    #[inline]
    pub fn release(self, first: usize, count: u32) {
        let Some(block) = Block::of(first, count as usize) else {
            return;
        };
        let Self { table, users } = self;
        let Kept {
            slots,
            entries,
            alone,
        } = table.kept;
        match *entries {
            Raw::Narrow(entries) => {
                let mut memory = Memory {
                    entries,
                    users,
                    alone,
                };
                update::release(slots, &mut memory, block)
            }
            Raw::Wide(entries) => {
                let mut memory = Memory {
                    entries,
                    users,
                    alone,
                };
                update::release(slots, &mut memory, block)
            }
        };
    }
}

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

    /// Has it deliver an interrupt.
    #[inline(always)]
    pub fn set(&mut self, interrupt: Interrupt) {
        let users = self.table.users;
        let Kept { entries, alone, .. } = &mut *self.table.table.kept;
        match *entries {
            Raw::Narrow(entries) => {
                let [entry] = interrupt.irte32().raw();
                let mut memory = Memory {
                    entries,
                    users,
                    alone,
                };
                update::set(&mut memory, self.index, entry as u32);
            }
            Raw::Wide(entries) => {
                let entry = interrupt.irte128().raw();
                let mut memory = Memory {
                    entries,
                    users,
                    alone,
                };
                update::set(&mut memory, self.index, entry);
            }
        }
    }
}

/// Entries of a table, and who has an IOMMU read them. Indices are those of entries in use, so the table has them.
struct Memory<'a, E> {
    entries: NonNull<E>,
    users: Users<'a>,
    alone: &'a mut Alone,
}

impl Table for Memory<'_, u32> {
    type Entry = u32;
    type New = u32;

    // An entry that is not valid is not kept.
    const CACHES_ABSENT: bool = false;

    #[inline]
    fn entry(&mut self, index: usize) -> u32 {
        // SAFETY: The entry is in use, and tables are aligned to a page.
        unsafe { self.entries.add(index).read_volatile() }
    }

    #[inline]
    fn replace(&mut self, index: usize, _old: u32, new: u32) {
        // SAFETY: As above; the lock keeps other writers away.
        unsafe { self.entries.add(index).write_volatile(new) };
    }

    // IOMMUs read tables through the processors' caches.
    #[inline]
    fn write_back(&mut self, _index: usize) {}

    #[inline(always)]
    fn invalidate(&mut self, _block: Block) {
        self.users.forget(self.alone);
    }
}

impl Table for Memory<'_, [u64; 2]> {
    type Entry = [u64; 2];
    type New = [u64; 2];

    const CACHES_ABSENT: bool = false;

    #[inline]
    fn entry(&mut self, index: usize) -> [u64; 2] {
        // SAFETY: The entry is in use, and tables are aligned to a page.
        unsafe { wide::read(self.entries.add(index).as_ptr()) }
    }

    #[inline]
    fn replace(&mut self, index: usize, old: [u64; 2], new: [u64; 2]) {
        // SAFETY: As above; the lock keeps other writers away. IOMMUs are not used on processors without the instruction.
        let seen = unsafe { wide::exchange(self.entries.add(index).as_ptr(), old, new) };
        // Half by half: rustc compares arrays as one number of 128 bits, which would want an aligned stack.
        let is_old = seen[0] == old[0] && seen[1] == old[1];
        if !is_old {
            log::entry_changed(seen, old);
        }
        xen_assert!(is_old);
    }

    #[inline]
    fn write_back(&mut self, _index: usize) {}

    #[inline(always)]
    fn invalidate(&mut self, _block: Block) {
        self.users.forget(self.alone);
    }
}
