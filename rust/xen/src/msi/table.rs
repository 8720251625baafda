//! What Xen keeps of a function's MSI-X table while interrupts are set up in it.
//!
//! Some of it is private to Rust: `rust` in `struct arch_msix`, which C allocates zeroed, and never
//! copies.

use super::config;
use super::register_lock::RegisterLock;
use crate::base::view::{field, set_field};
use crate::objects::arch_msix::Msix;
use irq_core::msi::generation::Seen;
use irq_core::msi::place::{Pages, Table};
use irq_core::msi::window::Windows;
use static_assertions::const_assert;
use xen_sys as sys;

// So that the index of a mapping has room.
const_assert!(sys::XEN_IRQ_FIXED_PAGES <= 1 << u16::BITS);

impl Msix<'_> {
    /// What is kept of its windows.
    pub fn windows(self, _: &RegisterLock) -> Windows {
        Windows::from_bits(field!(self, __bindgen_anon_1.rust.windows))
    }

    /// Keeps it.
    pub fn set_windows(self, windows: Windows, _: &RegisterLock) {
        set_field!(self, __bindgen_anon_1.rust.windows)(windows.to_bits());
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

    /// Notes where the table and the pending bits are.
    pub fn set_places(self, table: Table, pending: Pages) {
        self.set_table_pages(table.pages());
        set_field!(self, __bindgen_anon_1.rust.table_offset)((table.address % 4096) as u16);
        self.set_pending_pages(pending);
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
