//! Requests of a guest that Xen or a device model emulates (`public/hvm/ioreq.h`).

use crate::base::view::{Word, field, view};
use irq_core::vmsi::snoop::{Source, Write};
use static_assertions::const_assert_eq;
use xen_sys as sys;

view! {
    /// A request.
    Ioreq, sys::ioreq
}

/// A read of memory that the device model has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Guest-physical address.
    pub address: u64,
    /// Bytes.
    pub size: u32,
    /// The answer.
    pub value: u64,
}

impl Ioreq<'_> {
    /// Guest-physical address of the first element.
    #[inline]
    pub fn address(self) -> u64 {
        field!(self, addr)
    }

    /// Bytes of an element.
    #[inline]
    pub fn size(self) -> u32 {
        field!(self, size)
    }

    /// Returns whether it is an access to memory.
    #[inline]
    pub fn is_memory(self) -> bool {
        u32::from(field!(self, type_)) == sys::IOREQ_TYPE_COPY
    }

    /// Returns whether it is a write (or no request at all, which has the same value there).
    #[inline]
    pub fn is_write(self) -> bool {
        self.bits() & Self::DIR == 0
    }

    /// Returns whether it is an access of one element whose value, if it is a write, is in the
    /// request.
    #[inline]
    pub fn is_plain(self) -> bool {
        self.bits() & Self::DATA_IS_PTR == 0 && field!(self, count) == 1
    }

    /// Returns the write that it is, if it is one and really under way; Xen also asks with requests
    /// that are not.
    #[inline]
    pub fn pending_write(self) -> Option<Write> {
        let bits = self.bits() & (Self::STATE | Self::DIR);
        (bits == sys::STATE_IOREQ_READY as u8).then(|| self.write())
    }

    /// Returns the write from memory that it is, or was until the device model carried it out.
    pub fn write_from_memory(self) -> Option<Write> {
        let bits = self.bits() & (Self::DIR | Self::DATA_IS_PTR);
        (bits == Self::DATA_IS_PTR && self.is_memory()).then(|| self.write())
    }

    /// Returns the write whose values it holds, if the device model is done with one.
    pub fn answered_write(self) -> Option<Write> {
        let bits = self.bits() & (Self::STATE | Self::DIR | Self::DATA_IS_PTR);
        (bits == sys::STATE_IORESP_READY as u8 && self.is_memory()).then(|| self.write())
    }

    fn write(self) -> Write {
        let bits = self.bits();
        let data = field!(self, data);
        Write {
            address: self.address(),
            size: self.size(),
            count: field!(self, count),
            descending: bits & Self::DF != 0,
            source: if bits & Self::DATA_IS_PTR != 0 {
                Source::Memory(data)
            } else {
                Source::Value(data)
            },
        }
    }

    /// Returns whether the device model has answered it and the emulator has not taken the answer.
    #[inline]
    pub fn is_answered(self) -> bool {
        self.bits() & Self::STATE == sys::STATE_IORESP_READY as u8
    }

    /// Returns the answer that it holds, if it is a plain read of memory that the device model is
    /// done with.
    #[inline]
    pub fn answered_read(self) -> Option<Answer> {
        let bits = self.bits() & (Self::STATE | Self::DIR | Self::DATA_IS_PTR);
        let is_read = bits == Self::DIR | sys::STATE_IORESP_READY as u8 && self.is_memory();
        (is_read && field!(self, count) == 1).then(|| Answer {
            address: self.address(),
            size: self.size(),
            value: field!(self, data),
        })
    }

    const STATE: u8 = sys::XEN_IRQ_IOREQ_STATE as u8;
    const DATA_IS_PTR: u8 = sys::XEN_IRQ_IOREQ_DATA_IS_PTR as u8;
    const DIR: u8 = sys::XEN_IRQ_IOREQ_DIR as u8;
    const DF: u8 = sys::XEN_IRQ_IOREQ_DF as u8;

    /// The byte of bit-fields.
    #[inline]
    fn bits(self) -> u8 {
        // SAFETY: The request is alive as a view's; the unit of bit-fields is one byte, as the
        // assertion below says, and C writes it as a whole.
        unsafe { u8::load((&raw const (*self.as_ptr())._bitfield_1).cast()) }
    }
}

const_assert_eq!(size_of::<sys::__BindgenBitfieldUnit<[u8; 1]>>(), 1);
