//! Who uses a table: the IOMMU has to forget for all of them what it keeps of it.
//!
//! Whose messages go through a table is what the IOMMU's device table says, and other files write that. They hand the
//! pointers of [`Kept`](super::table::Kept) on, too, to functions of the same device, without a word. But they have to ask
//! how large a table is whenever they point an entry of the device table to it, and then it is looked again.

use super::{Iommu, Requester, tables_per_requester};
use core::sync::atomic::{AtomicU64, Ordering};
use xen_sys as sys;

/// How often an entry of a device table was pointed to a remapping table, counted from 1.
static POINTED: AtomicU64 = AtomicU64::new(1);

/// Notes that an entry of a device table is about to point to a remapping table.
pub(super) fn note_pointer() {
    POINTED.fetch_add(1, Ordering::SeqCst);
}

/// What [`POINTED`] was when a table was last seen to have no more than one user; zero for never.
pub(super) struct Alone(u64);

/// Who uses a table, as an IOMMU sees it.
#[derive(Clone, Copy)]
pub(super) struct Users<'a> {
    pub(super) iommu: Iommu<'a>,
    pub(super) requester: Requester,
    /// Another ID of the segment that messages may bear which go through the table, or the same.
    pub(super) other: u16,
}

impl Users<'_> {
    /// Makes the IOMMU forget what it keeps of the table, for all requesters that use it. The table's lock is held.
    #[inline(always)]
    pub(super) fn forget(self, alone: &mut Alone) {
        if !self.iommu.is_enabled() {
            return;
        }
        let Self {
            iommu,
            requester,
            other,
        } = self;
        flush(iommu, requester.id());
        // Whoever is pointed to the table after this was read finds it changed: to flush is a barrier.
        if alone.0 != POINTED.load(Ordering::Relaxed) || other != requester.id() {
            forget_for_others(iommu, requester, other, alone);
        }
    }
}

/// The same, for all but the requester. Where that turns out to be the only one, it is noted.
#[cold]
#[inline(never)]
fn forget_for_others(iommu: Iommu, requester: Requester, other: u16, alone: &mut Alone) {
    let now = POINTED.load(Ordering::Relaxed);
    let mut is_other_told = other == requester.id();
    let mut is_alone = is_other_told;
    // Where all requesters have the same table, there is nobody to speak of.
    if tables_per_requester() {
        requester.for_each_user(requester.kept(), |user| {
            if user.id() != requester.id() {
                flush(iommu, user.id());
                is_alone = false;
                is_other_told |= user.id() == other;
            }
        });
    }
    if !is_other_told {
        flush(iommu, other);
    }
    if is_alone {
        alone.0 = now;
    }
}

#[inline]
fn flush(iommu: Iommu, id: u16) {
    // SAFETY: The IOMMU is alive, and there is a requester of this ID.
    unsafe { sys::amd_iommu_flush_intremap(iommu.as_ptr(), id) };
}
