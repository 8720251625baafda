//! What Xen keeps of a function's MSI-X table while interrupts are set up in it.
//!
//! Some of it is private to Rust: `rust` in `struct arch_msix`, which C allocates zeroed, and never
//! copies.

use super::config;
use super::desc::RegisterLock;
use crate::base::view::{field, set_field};
use crate::objects::msix::Msix;
use irq_core::msi::generation::Seen;
use irq_core::msi::mask::Masks;
use irq_core::msi::place::{Pages, Table};
use irq_core::msi::window::Windows;
use static_assertions::const_assert;
use xen_sys as sys;

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
        Windows::from_bits(field!(self, __bindgen_anon_1.rust.windows))
    }

    /// Keeps it.
    pub fn set_windows(self, windows: Windows, _: &RegisterLock) {
        set_field!(self, __bindgen_anon_1.rust.windows)(windows.to_bits());
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
            address: first << 12 | u64::from(field!(self, __bindgen_anon_1.rust.table_offset)),
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
        set_field!(self, __bindgen_anon_1.rust.table_offset)((table.address % 4096) as u16);
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
        config::still_holds(field!(self, __bindgen_anon_1.rust.ready))
    }

    /// Notes that it was seen so in a generation that had begun before.
    pub fn note_ready(self, generation: Seen) {
        set_field!(self, __bindgen_anon_1.rust.ready)(generation.number());
    }

    /// The next that asks looks at the device.
    pub fn forget_ready(self) {
        // The number 0 never holds.
        set_field!(self, __bindgen_anon_1.rust.ready)(0);
    }
}
