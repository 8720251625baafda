//! What is asked for where an interrupt of a device is set up (`struct msi_info`).

use crate::base::view::{field, set_field, view};
use crate::objects::pci_sbdf::Sbdf;
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

    /// Where the function is.
    pub fn function(self) -> Sbdf {
        // SAFETY: The request is alive as a view's, and any bits are an address.
        Sbdf::new(unsafe { core::ptr::read(&raw const (*self.as_ptr()).sbdf) })
    }

    /// Notes the IRQ.
    pub fn set_irq(self, irq: i32) {
        set_field!(self, irq)(irq);
    }

    /// Notes how many messages the block has, or could have.
    pub fn set_messages(self, messages: u32) {
        set_field!(self, entry_nr)(messages.cast_signed());
    }
}
