//! Tables as debug key `V` shows them.

use super::Requester;
use super::table::{Kept, Raw};
use crate::sync::lock::IrqLocked;
use core::ptr::NonNull;
use xen_sys as sys;

/// The entries of a table whose lock is held, with IRQs off.
pub struct Entries<'a> {
    raw: Raw,
    count: usize,
    _lock: IrqLocked<'a>,
}

impl Entries<'_> {
    /// Those of a table.
    ///
    /// # Safety
    ///
    /// The lock is that of the table, which is freed under it alone.
    unsafe fn new<'a>(kept: NonNull<Kept>, lock: IrqLocked<'a>) -> Entries<'a> {
        // SAFETY: The table's lock is held, so it is not freed.
        let kept = unsafe { kept.as_ref() };
        Entries {
            raw: kept.entries,
            count: kept.count(),
            _lock: lock,
        }
    }

    /// Those that are not clear, with their numbers.
    pub fn set(&self) -> impl Iterator<Item = (usize, [u64; 2])> {
        (0..self.count)
            // SAFETY: The table has that many, and its lock is held.
            .map(|index| (index, unsafe { self.raw.entry(index) }))
            .filter(|(_, entry)| *entry != [0; 2])
    }

    /// Returns whether they have 128 bits.
    pub fn are_wide(&self) -> bool {
        matches!(self.raw, Raw::Wide(_))
    }
}

impl Requester {
    /// The entries of its table; `None` where it has none.
    pub fn entries<'a>(self) -> Option<Entries<'a>> {
        // SAFETY: The lock is a part of what Xen keeps of the requester, or a variable; neither is
        // ever freed.
        let lock = unsafe { IrqLocked::take(self.lock()) };
        // SAFETY: The lock is that of its table.
        Some(unsafe { Entries::new(NonNull::new(self.kept())?, lock) })
    }
}

/// The entries of the table that all requesters share; `None` where each has its own.
pub fn shared_entries() -> Option<Entries<'static>> {
    // SAFETY: The variable is written while Xen boots, and so before a debug key is handled.
    let kept = unsafe { (&raw const sys::shared_intremap_inuse).read_volatile() };
    let kept = NonNull::new(kept)?.cast();
    // SAFETY: The lock is a variable, and that of the table.
    Some(unsafe {
        let lock = IrqLocked::take(&raw mut sys::shim_shared_intremap_lock);
        Entries::new(kept, lock)
    })
}

/// Has `xen_irq_amd_iommu_dump_intremap_table()` called for each requester that firmware lists.
pub fn for_each_requester() {
    // SAFETY: The requesters that are listed stay.
    unsafe { sys::shim_dump_intremap_tables() };
}
