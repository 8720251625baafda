//! What Xen keeps of a function's MSI-X table while interrupts are set up in it.
//!
//! Two words are ours alone: where the table begins in its first page, and the epoch in which the function was last seen ready. They lie
//! in the padding at the end of `struct arch_msix`, which C allocates zeroed and never copies.

use super::config;
use crate::msix::Msix;
use crate::view::{field, set_field};
use core::mem::offset_of;
use irq_core::host::epoch::Seen;
use irq_core::host::mask::Masks;
use irq_core::host::place::{Pages, Table};
use xen_sys as sys;

/// Where the epoch is.
const KNOWN: usize = size_of::<sys::arch_msix>() - size_of::<u32>();
/// Where the offset of the table is.
const TABLE_OFFSET: usize = KNOWN - size_of::<u16>();
/// The last member of C's.
const LAST: usize = offset_of!(sys::arch_msix, warned_kind);

const _: () = assert!(
    TABLE_OFFSET >= LAST + size_of::<sys::arch_msix__bindgen_ty_2>()
        && KNOWN.is_multiple_of(align_of::<u32>())
        && TABLE_OFFSET.is_multiple_of(align_of::<u16>()),
    "struct arch_msix has no room for what is remembered of a function"
);

impl Msix<'_> {
    /// Who wants all messages of the function masked.
    #[inline]
    pub fn mask_all(self) -> Masks {
        Masks {
            host: field!(self, host_maskall),
            guest: field!(self, guest_maskall),
        }
    }

    /// Notes whether the host does.
    pub fn set_host_mask_all(self, mask: bool) {
        set_field!(self, host_maskall)(mask);
    }

    /// Notes whether the owner does.
    pub fn set_guest_mask_all(self, mask: bool) {
        set_field!(self, guest_maskall)(mask);
    }

    /// Notes that one more entry is set up, or that the function is prepared.
    pub fn add_user(self) {
        set_field!(self, used_entries)(self.used().wrapping_add(1));
    }

    /// Notes that there is one less; returns whether it was the last.
    pub fn remove_user(self) -> bool {
        let left = self.used().wrapping_sub(1);
        set_field!(self, used_entries)(left);
        left == 0
    }

    /// Where the table is, as it was found when the first interrupt was set up; `None` while none is. What the device says of it since
    /// then does not matter.
    pub fn table(self) -> Option<Table> {
        let first = field!(self, table.first);
        (first != 0).then(|| Table {
            address: first << 12 | u64::from(self.table_offset()),
            entries: self.entries(),
        })
    }

    /// The pages of the table, and those of the pending bits.
    pub fn pages(self) -> [Pages; 2] {
        [
            Pages {
                first: field!(self, table.first),
                last: field!(self, table.last),
            },
            Pages {
                first: field!(self, pba.first),
                last: field!(self, pba.last),
            },
        ]
    }

    /// Notes where the table and the pending bits are.
    pub fn set_places(self, table: Table, pending: Pages) {
        self.set_table_pages(table.pages());
        self.set_table_offset((table.address % 4096) as u16);
        self.set_pending_pages(pending);
    }

    /// Notes the pages of the table; none for page 0.
    pub fn set_table_pages(self, pages: Pages) {
        set_field!(self, table.first)(pages.first);
        set_field!(self, table.last)(pages.last);
    }

    /// Notes the pages of the pending bits; none for page 0.
    pub fn set_pending_pages(self, pages: Pages) {
        set_field!(self, pba.first)(pages.first);
        set_field!(self, pba.last)(pages.last);
    }

    /// Returns whether the function was seen enabled and decoding memory, and nothing has been written to configuration space since.
    #[inline]
    pub fn is_known_ready(self) -> bool {
        // SAFETY: The word is a part of the structure, aligned, and read in one piece.
        config::still_holds(unsafe { self.own::<u32>(KNOWN).read_volatile() })
    }

    /// Notes that it was seen so in an epoch that had begun before.
    pub fn note_ready(self, epoch: Seen) {
        // SAFETY: As above.
        unsafe { self.own::<u32>(KNOWN).write_volatile(epoch.number()) };
    }

    /// Has whoever asks next look at the device.
    pub fn forget_ready(self) {
        // SAFETY: As above; the number 0 never holds.
        unsafe { self.own::<u32>(KNOWN).write_volatile(0) };
    }

    fn table_offset(self) -> u16 {
        // SAFETY: The word is a part of the structure, aligned, and read in one piece.
        unsafe { self.own::<u16>(TABLE_OFFSET).read_volatile() }
    }

    fn set_table_offset(self, offset: u16) {
        // SAFETY: As above.
        unsafe { self.own::<u16>(TABLE_OFFSET).write_volatile(offset) };
    }

    /// A word of ours.
    #[inline]
    fn own<T>(self, at: usize) -> *mut T {
        self.as_ptr().wrapping_byte_add(at).cast()
    }
}
