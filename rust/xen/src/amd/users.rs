//! Who uses a table: what the IOMMU caches of it is invalidated for each of them.
//!
//! Whose messages go through a table is what the IOMMU's device table says, and other files write
//! that. They hand the pointers of [`Kept`](super::table::Kept) on, too, to functions of the same
//! device, without a word. But they have to ask how large a table is whenever they point an entry
//! of the device table to it, and then it is looked again.

use super::{Iommu, Requester, tables_per_requester};
use irq_core::remap::users::{Alone, Pointers};
use xen_sys as sys;

/// How often an entry of a device table was pointed to a remapping table.
static POINTERS: Pointers = Pointers::new();

/// Notes that an entry of a device table is about to point to a remapping table.
pub(super) fn note_pointer() {
    POINTERS.count();
}

/// Who may use a table, as an IOMMU sees it.
#[derive(Clone, Copy)]
pub(super) struct Users<'a> {
    pub(super) iommu: Iommu<'a>,
    pub(super) requester: Requester,
    /// Another ID of the segment that messages may bear which go through the table, or the same.
    pub(super) other: u16,
}

/// Who uses a table: found while it is locked, and used after that.
#[must_use = "the IOMMU may use the old entries until they are invalidated"]
pub(super) struct Caches<'a> {
    iommu: Iommu<'a>,
    own: u16,
    /// Other functions of the device, a bit for each.
    functions: u8,
    /// Another ID, or the requester's own.
    other: u16,
}

impl<'a> Users<'a> {
    /// Finds out who they are. The table's lock is held, and the entries were changed before.
    #[inline(always)]
    pub(super) fn find(self, alone: &mut Alone) -> Caches<'a> {
        let own = self.requester.id();
        // An entry is replaced by a locked instruction, a full barrier: see
        // `irq_core::remap::users`.
        if alone.holds(&POINTERS) && self.other == own {
            Caches {
                iommu: self.iommu,
                own,
                functions: 0,
                other: own,
            }
        } else {
            self.find_others(alone)
        }
    }

    /// The same, with all others. Where there are none, that is noted.
    #[cold]
    #[inline(never)]
    fn find_others(self, alone: &mut Alone) -> Caches<'a> {
        let (own, other) = (self.requester.id(), self.other);
        let mut functions = 0u8;
        let mut is_found = other == own;
        alone.look(&POINTERS, || {
            // Where all requesters have the same table, it is not asked which of them use it.
            if tables_per_requester() {
                let kept = self.requester.kept();
                self.requester.for_each_user(kept, |user| {
                    if user.id() != own {
                        functions |= 1 << (user.id() % 8);
                        is_found |= user.id() == other;
                    }
                });
            }
            functions == 0 && other == own
        });
        Caches {
            iommu: self.iommu,
            own,
            functions,
            other: if is_found { own } else { other },
        }
    }
}

impl Caches<'_> {
    /// Invalidates what the IOMMU caches of the table; returns when it has. No lock need be held.
    #[inline(always)]
    pub(super) fn invalidate(self) {
        // Where it is switched off it caches nothing, and takes no commands.
        if !self.iommu.is_enabled() {
            return;
        }
        flush(self.iommu, self.own);
        if self.functions != 0 || self.other != self.own {
            self.invalidate_others();
        }
    }

    #[cold]
    #[inline(never)]
    fn invalidate_others(self) {
        for function in (0..8).filter(|function| self.functions >> function & 1 != 0) {
            flush(self.iommu, self.own & !7 | function);
        }
        if self.other != self.own {
            flush(self.iommu, self.other);
        }
    }
}

#[inline]
fn flush(iommu: Iommu, id: u16) {
    // SAFETY: The IOMMU is one of Xen's, which are never freed, and there is a requester of this
    // ID.
    unsafe { sys::amd_iommu_flush_intremap(iommu.as_ptr(), id) };
}
