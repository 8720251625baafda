//! Messages (`struct msi_msg`, `asm/msi.h`).

use crate::base::view::{fixed, set_field, view};
use irq_core::remap::entry::{Apic, Interrupt};
use irq_hw::msi::{Address, Data};
use xen_sys as sys;

view! {
    /// A message; also, where the destination has more than 8 bits, that.
    MsiMsg, sys::msi_msg
}

impl MsiMsg<'_> {
    /// Its address.
    #[inline]
    pub fn address(self) -> Address {
        Address::new(fixed!(self, __bindgen_anon_1.address))
    }

    /// Its data.
    #[inline]
    pub fn data(self) -> Data {
        Data::new(fixed!(self, data))
    }

    /// What it stands for before it is remapped.
    #[inline]
    pub fn interrupt(self, apic: Apic) -> Interrupt {
        let (address, data) = (self.address(), self.data());
        Interrupt {
            vector: data.vector(),
            delivery_mode: data.delivery_mode(),
            logical: address.logical(),
            level_triggered: data.level_triggered(),
            destination: match apic {
                Apic::X => address.destination().into(),
                Apic::X2 => fixed!(self, dest32),
            },
        }
    }

    /// Changes it.
    #[inline]
    pub fn set(self, address: u64, data: u32) {
        set_field!(self, __bindgen_anon_1.address)(address);
        set_field!(self, data)(data);
    }

    /// Writes all of it.
    pub fn write(self, message: Message) {
        self.set(message.address, message.data);
        set_field!(self, dest32)(message.destination);
    }
}

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

    /// As C has it.
    pub fn to_c(self) -> sys::msi_msg {
        sys::msi_msg {
            __bindgen_anon_1: sys::msi_msg__bindgen_ty_1 {
                address: self.address,
            },
            data: self.data,
            dest32: self.destination,
        }
    }

    /// Takes it from C.
    pub fn from_c(raw: &sys::msi_msg) -> Self {
        Self {
            // SAFETY: Any bits are an address.
            address: unsafe { raw.__bindgen_anon_1.address },
            data: raw.data,
            destination: raw.dest32,
        }
    }
}
