//! What Xen keeps of a function's MSI-X table while interrupts are set up in it.
//!
//! Some of it is private to Rust. It lies where C has `table_idx`, which msi.c alone uses: C
//! allocates the structure zeroed, and never copies it.

use super::config;
use super::desc::RegisterLock;
use crate::base::view::{Word, field, set_field};
use crate::objects::msix::Msix;
use core::ffi::c_int;
use irq_core::msi::generation::Seen;
use irq_core::msi::mask::Masks;
use irq_core::msi::place::{Pages, Table};
use irq_core::msi::window::Windows;
use static_assertions::const_assert;
use xen_sys as sys;

/// What is ours.
#[repr(C)]
pub(super) struct Own {
    /// The generation in which the function was last seen ready.
    known: u32,
    /// The windows of the function.
    windows: u32,
    /// Where the table begins in its first page.
    table_offset: u16,
    /// The mapping of each page of the table.
    pub(super) pages: [u16; sys::XEN_IRQ_MSIX_TABLE_PAGES as usize],
}

const_assert!(size_of::<Own>() <= size_of::<[c_int; sys::XEN_IRQ_MSIX_TABLE_PAGES as usize]>());
const_assert!(align_of::<Own>() <= align_of::<c_int>());
// So that the index of a mapping has room.
const_assert!(sys::XEN_IRQ_FIXED_PAGES <= 1 << u16::BITS);

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

    /// What is kept of its windows.
    pub fn windows(self, _: &RegisterLock) -> Windows {
        // SAFETY: `own` is a part of the structure, which is alive as a view's.
        Windows::from_bits(unsafe { u32::load(&raw const (*self.own()).windows) })
    }

    /// Keeps it.
    pub fn set_windows(self, windows: Windows, _: &RegisterLock) {
        // SAFETY: `own` is a part of the structure, which is alive as a view's.
        unsafe { u32::store(&raw mut (*self.own()).windows, windows.to_bits()) };
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

    /// Where the table is, as it was found when the first interrupt was set up; `None` while none
    /// is. What the device says of it since then does not matter.
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

    /// Returns whether the function was seen enabled and decoding memory, and nothing has been
    /// written to configuration space since.
    #[inline]
    pub fn is_known_ready(self) -> bool {
        // SAFETY: `own` is a part of the structure, which is alive as a view's.
        config::still_holds(unsafe { u32::load(&raw const (*self.own()).known) })
    }

    /// Notes that it was seen so in a generation that had begun before.
    pub fn note_ready(self, generation: Seen) {
        self.set_known(generation.number());
    }

    /// The next that asks looks at the device.
    pub fn forget_ready(self) {
        // The number 0 never holds.
        self.set_known(0);
    }

    #[inline]
    fn set_known(self, number: u32) {
        // SAFETY: `own` is a part of the structure, which is alive as a view's.
        unsafe { u32::store(&raw mut (*self.own()).known, number) };
    }

    fn table_offset(self) -> u16 {
        // SAFETY: `own` is a part of the structure, which is alive as a view's.
        unsafe { u16::load(&raw const (*self.own()).table_offset) }
    }

    fn set_table_offset(self, offset: u16) {
        // SAFETY: `own` is a part of the structure, which is alive as a view's.
        unsafe { u16::store(&raw mut (*self.own()).table_offset, offset) };
    }

    /// What is ours.
    #[inline]
    pub(super) fn own(self) -> *mut Own {
        // SAFETY: The place lies in the structure, and no reference to it is made.
        unsafe { (&raw mut (*self.as_ptr()).table_idx).cast() }
    }
}
