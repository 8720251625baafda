//! How messages are composed and remapped.

use crate::base::errno::Errno;
use crate::base::view::Word;
use crate::objects::msi_desc::{HeldMsi, KeptMsi};
use crate::objects::msi_msg::Message;
use crate::remap;
use irq_core::remap::Rewrite;
use irq_hw::msi::{Address, Data};
use xen_sys as sys;

/// Composes a message in the way in which Xen addresses its local APICs.
pub fn compose(vector: u8, destination: u32) -> Message {
    // SAFETY: The variable is written while Xen boots on one CPU.
    let (mode, delivery) = unsafe {
        (
            Word::load(&raw const sys::genapic.int_dest_mode),
            Word::load(&raw const sys::genapic.int_delivery_mode),
        )
    };
    let (logical, lowest) = (mode != 0, delivery == sys::dest_LowestPrio as _);
    Message {
        address: Address::interrupt(logical, lowest)
            .with_destination(destination as u8)
            .raw(),
        data: Data::edge(lowest).with_vector(vector).raw(),
        destination,
    }
}

/// Returns whether Xen gives a vector to interrupts of devices.
pub const fn is_for_interrupts(vector: u32) -> bool {
    vector >= sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u32
}

impl HeldMsi<'_> {
    /// Notes the message that it is given, and has it remapped where interrupts are: returns what
    /// the device has to send, and whether its registers have to be written at all.
    ///
    /// Context: IRQs off.
    ///
    /// # Errors
    ///
    /// What the IOMMU's driver returns.
    #[inline]
    pub fn remap(self, message: Message) -> Result<(Message, Rewrite), Errno> {
        self.set_message(message);
        if !remap::wanted() {
            return Ok((message, Rewrite::Needed));
        }
        let mut raw = message.to_c();
        // SAFETY: Both are alive, and they are two.
        match unsafe { sys::shim_update_ire_from_msi(self.as_ptr(), &raw mut raw) } {
            0 => Ok((Message::from_c(&raw), Rewrite::NotNeeded)),
            result if result > 0 => Ok((Message::from_c(&raw), Rewrite::Needed)),
            error => Err(Errno::of(error)),
        }
    }
}

impl KeptMsi<'_> {
    /// Frees its entry of the remapping table, where interrupts are remapped.
    ///
    /// Context: IRQs on; the sender is quiet.
    pub(super) fn release_remapping(self) {
        if remap::wanted() {
            // SAFETY: A lock keeps the descriptor and the function that it leads to, as `KeptMsi`
            // says. There is nothing to be done about an error.
            let _ = unsafe { sys::shim_update_ire_from_msi(self.as_ptr(), core::ptr::null_mut()) };
        }
    }
}
