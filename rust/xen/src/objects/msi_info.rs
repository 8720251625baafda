//! What is asked for where an interrupt of a device is set up (`struct msi_info`).

use crate::base::view::{field, view};
use xen_sys as sys;

view! {
    /// A request for a block of messages of an MSI, or for an entry of an MSI-X table.
    Request, sys::msi_info
}

impl Request<'_> {
    /// Returns whether it is for an entry of a table.
    pub fn is_for_table(self) -> bool {
        self.table_base() != 0
    }

    /// The physical address that dom0 believes the table's base address register to hold.
    pub fn table_base(self) -> u64 {
        field!(self, table_base)
    }

    /// The number of the table's entry.
    pub fn entry(self) -> u32 {
        field!(self, entry_nr) as u32
    }

    /// How many messages the block has.
    pub fn messages(self) -> u32 {
        field!(self, entry_nr) as u32
    }

    /// The IRQ of the entry, or of the first message.
    pub fn irq(self) -> i32 {
        field!(self, irq)
    }
}
