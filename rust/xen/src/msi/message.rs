//! Messages before they are remapped.

use crate::base::errno::Errno;
use crate::base::view::{field, set_field};
use crate::objects::msi_desc::MsiDesc;
use crate::remap;
use crate::remap::message::MsiMsg;
use irq_core::remap::Rewrite;
use irq_hw::msi::{Address, Data};
use xen_sys as sys;

/// A message as Xen means it, before it is remapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// The address.
    pub address: u64,
    /// The data.
    pub data: u32,
    /// The destination's APIC ID, all bits of it.
    pub destination: u32,
}

impl Message {
    /// Returns it with another vector and destination.
    #[must_use]
    pub fn to(self, vector: u8, destination: u32) -> Self {
        Self {
            address: Address::new(self.address)
                .with_destination(destination as u8)
                .raw(),
            data: Data::new(self.data).with_vector(vector).raw(),
            destination,
        }
    }

    pub(crate) fn to_c(self) -> sys::msi_msg {
        sys::msi_msg {
            __bindgen_anon_1: sys::msi_msg__bindgen_ty_1 {
                address: self.address,
            },
            data: self.data,
            dest32: self.destination,
        }
    }

    fn from_c(raw: &sys::msi_msg) -> Self {
        Self {
            // SAFETY: Any bits are an address.
            address: unsafe { raw.__bindgen_anon_1.address },
            data: raw.data,
            destination: raw.dest32,
        }
    }
}

/// Composes a message in the way in which Xen addresses its local APICs.
pub fn compose(vector: u8, destination: u32) -> Message {
    // SAFETY: Both ask what was chosen while Xen booted.
    let (logical, lowest) = unsafe {
        (
            sys::shim_msi_is_logical(),
            sys::shim_msi_is_lowest_priority(),
        )
    };
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

impl MsiMsg<'_> {
    /// Writes all of it.
    pub fn write(self, message: Message) {
        self.set(message.address, message.data);
        set_field!(self, dest32)(message.destination);
    }
}

impl MsiDesc<'_> {
    /// The message that it was last given, before it was remapped.
    #[inline]
    pub fn message(self) -> Message {
        Message {
            address: field!(self, msg.__bindgen_anon_1.address),
            data: field!(self, msg.data),
            destination: field!(self, msg.dest32),
        }
    }

    /// Notes the message that it is given, and has it remapped where interrupts are: returns what
    /// the device has to send, and whether its registers have to be written at all.
    ///
    /// Context: the lock of the IRQ's descriptor is held, IRQs off.
    ///
    /// # Errors
    ///
    /// What the IOMMU's driver returns.
    #[inline]
    pub fn remap(self, message: Message) -> Result<(Message, Rewrite), Errno> {
        set_field!(self, msg.__bindgen_anon_1.address)(message.address);
        set_field!(self, msg.data)(message.data);
        set_field!(self, msg.dest32)(message.destination);
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

    /// Gives its entry of the remapping table back, where interrupts are remapped.
    ///
    /// Context: IRQs on; the sender is quiet.
    pub fn release_remapping(self) {
        if remap::wanted() {
            // SAFETY: The descriptor is alive. There is nothing to be done about an error.
            let _ = unsafe { sys::shim_update_ire_from_msi(self.as_ptr(), core::ptr::null_mut()) };
        }
    }
}
