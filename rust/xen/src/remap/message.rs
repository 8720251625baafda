//! An MSI and its message, where interrupt remapping comes in (`asm/msi.h`).

use crate::base::view::{field, fixed, set_field, view};
use crate::objects::msi_desc::MsiDesc;
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
}

/// A posted-interrupt descriptor that an MSI goes to, and the vector that it sets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Physical address of the descriptor.
    pub descriptor: u64,
    /// The virtual vector.
    pub vector: u8,
}

impl MsiDesc<'_> {
    /// How many messages are set up with it: those of an MSI, at the first of them; none at the
    /// others; else one.
    #[inline]
    pub fn messages(self) -> u32 {
        if u32::from(fixed!(self, msi_attrib.type_)) == sys::PCI_CAP_ID_MSI {
            fixed!(self, __bindgen_anon_1.msi.nvec)
        } else {
            1
        }
    }

    /// Its number among the messages of an MSI; 0 for all others.
    #[inline]
    pub fn number_in_block(self) -> usize {
        // Only the first knows how many there are, and it has the number 0.
        if self.messages() == 0 {
            fixed!(self, msi_attrib.entry_nr).into()
        } else {
            0
        }
    }

    /// The number of the HPET that sends it; no function does.
    pub fn hpet(self) -> u32 {
        fixed!(self, __bindgen_anon_1.hpet_id)
    }

    /// The entry of the remapping table that it uses; `None` where it has none, or what stands
    /// there cannot be one.
    #[inline]
    pub fn entry_in_use(self) -> Option<usize> {
        usize::try_from(field!(self, remap_index)).ok()
    }

    /// Notes the entry that it uses, and the ones after that for the messages that are set up with
    /// it.
    #[inline]
    pub fn use_entries(self, first: Option<usize>) {
        for number in 0..self.messages() as usize {
            let index = first.map_or(-1, |first| (first + number) as i32);
            // SAFETY: The number is below that of the block's messages, which the first alone has.
            let message = unsafe { self.nth(number) };
            set_field!(message, remap_index)(index);
        }
    }

    /// Notes whether its entry has been written, and those of the `count` messages from it on that
    /// are set up with it.
    #[inline]
    pub fn mark_written(self, written: bool, count: u32) {
        if count == 1 {
            return set_field!(self, irte_initialized)(written);
        }
        for number in 0..count.min(self.messages()) as usize {
            // SAFETY: The number is below that of the block's messages, which the first alone has.
            let message = unsafe { self.nth(number) };
            set_field!(message, irte_initialized)(written);
        }
    }

    /// Whom it is posted to, if it is.
    #[inline]
    pub fn posting(self) -> Option<Posting> {
        let descriptor = field!(self, pi_desc);
        (!descriptor.is_null()).then(|| Posting {
            // SAFETY: The descriptor is a part of a vCPU's structure, which Xen maps.
            descriptor: unsafe { sys::shim_virt_to_maddr(descriptor.cast()) },
            vector: field!(self, gvec),
        })
    }
}
