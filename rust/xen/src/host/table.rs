//! What Xen keeps of a function's MSI-X table while interrupts are set up in it.

use super::config;
use crate::msix::Msix;
use crate::view::{field, set_field};
use irq_core::host::epoch::Seen;
use irq_core::host::mask::Masks;
use irq_core::host::place::{Pages, Table};

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
            address: first << 12 | u64::from(field!(self, table_offset)),
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
        set_field!(self, table_offset)((table.address % 4096) as u16);
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
        config::still_holds(field!(self, known))
    }

    /// Notes that it was seen so in an epoch that had begun before.
    pub fn note_ready(self, epoch: Seen) {
        set_field!(self, known)(epoch.number());
    }
}
