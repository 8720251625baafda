//! Tables as debug key `V` shows them.

use super::table::{Kept, Raw, order};
use super::{Iommu, Requester, iommus};
use crate::spin::IrqLocked;
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
    /// The lock is that of the table.
    unsafe fn new<'a>(kept: NonNull<Kept>, iommu: Iommu, lock: IrqLocked<'a>) -> Entries<'a> {
        // SAFETY: The caller says so.
        let raw = unsafe { kept.as_ref() }.entries;
        Entries {
            raw,
            count: 1 << order(raw.start(), iommu),
            _lock: lock,
        }
    }

    /// Those that are not clear, with their numbers.
    pub fn set(&self) -> impl Iterator<Item = (usize, [u64; 2])> {
        (0..self.count)
            // SAFETY: The table has that many.
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
    pub fn entries<'a>(self, iommu: Iommu<'a>) -> Option<Entries<'a>> {
        // SAFETY: The lock lives as long as the requester.
        let lock = unsafe { IrqLocked::take(self.lock()) };
        // SAFETY: The lock is that of its table.
        Some(unsafe { Entries::new(NonNull::new(self.kept())?, iommu, lock) })
    }
}

/// The entries of the table that all requesters share; `None` where each has its own.
pub fn shared_entries() -> Option<Entries<'static>> {
    let iommu = iommus().next()?;
    // SAFETY: The variable is written while Xen boots.
    let kept = unsafe { (&raw const sys::shared_intremap_inuse).read_volatile() };
    let kept = NonNull::new(kept)?.cast();
    // SAFETY: The lock is a variable, and that of the table.
    Some(unsafe {
        let lock = IrqLocked::take(&raw mut sys::shim_shared_intremap_lock);
        Entries::new(kept, iommu, lock)
    })
}

/// Has `xen_irq_amd_iommu_dump_intremap_table()` called for each requester that firmware lists.
pub fn for_each_requester() {
    // SAFETY: The requesters that are listed stay.
    unsafe { sys::shim_dump_intremap_tables() };
}
