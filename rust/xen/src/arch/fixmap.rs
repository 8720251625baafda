//! Pages of device memory that are mapped at fixed addresses (`asm/fixmap.h`).

use crate::arch::mmio;
use core::marker::PhantomData;
use core::ptr::{read_volatile, write_volatile};
use xen_sys as sys;

/// The registers of an entry of an MSI-X table, which stay mapped for as long as this may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register<'a> {
    address: usize,
    life: PhantomData<&'a ()>,
}

impl Register<'_> {
    /// Takes their address, as it was stored.
    ///
    /// # Safety
    ///
    /// From there on the 16 bytes of an entry are mapped, for as long as the result lives.
    pub const unsafe fn new(address: usize) -> Self {
        Self {
            address,
            life: PhantomData,
        }
    }

    /// Their address.
    pub const fn address(self) -> usize {
        self.address
    }

    /// One of the entry's four words, so many bytes from the first.
    #[inline]
    fn word(self, offset: u64) -> *mut u32 {
        (self.address + (offset as usize & 0xc)) as *mut u32
    }

    /// Reads the word that lies so many bytes from the first.
    #[inline]
    pub fn read32(self, offset: u64) -> u32 {
        // SAFETY: `new` asks for four words that are mapped, and this is one of them.
        unsafe { mmio::read32(self.word(offset)) }
    }

    /// Writes the word that lies so many bytes from the first.
    #[inline]
    pub fn write32(self, offset: u64, value: u32) {
        // SAFETY: `new` asks for four words that are mapped, and this is one of them.
        unsafe { mmio::write32(self.word(offset), value) };
    }
}

/// One 32-bit word of a device's memory, which stays mapped for as long as this may live.
#[derive(Clone, Copy, Debug)]
pub struct Word32<'a> {
    place: *mut u32,
    life: PhantomData<&'a ()>,
}

impl Word32<'_> {
    /// Takes its address.
    ///
    /// # Safety
    ///
    /// It is aligned, and mapped for as long as the result lives.
    pub const unsafe fn new(place: *mut u32) -> Self {
        Self {
            place,
            life: PhantomData,
        }
    }

    /// Reads it.
    pub fn read(self) -> u32 {
        // SAFETY: `new` asks for a word that is mapped.
        unsafe { mmio::read32(self.place) }
    }

    /// Writes it.
    pub fn write(self, value: u32) {
        // SAFETY: `new` asks for a word that is mapped.
        unsafe { mmio::write32(self.place, value) };
    }
}

/// The index of the fixed mapping that an address lies in.
pub const fn index_of(address: usize) -> u32 {
    let distance = (sys::XEN_IRQ_FIXADDR_TOP as usize).wrapping_sub(address & !0xfff);
    (distance >> 12) as u32
}

/// A device's page that Xen has mapped.
#[derive(Debug)]
pub struct Page(u32);

impl Page {
    /// Takes an index of the fixed mappings.
    ///
    /// # Safety
    ///
    /// A device's page is mapped there, for as long as the result lives.
    pub const unsafe fn new(index: u32) -> Self {
        Self(index)
    }

    /// The address of the byte that lies at a guest's, or at a physical address within its page.
    #[inline]
    pub fn at<T>(&self, address: u64) -> *mut T {
        let page = sys::XEN_IRQ_FIXADDR_TOP - (u64::from(self.0) << 12);
        (page + address % 4096) as *mut T
    }

    /// Reads 1, 2, 4 or 8 bytes at a guest's address within its page; `None` for another length, or
    /// where they are not aligned.
    #[inline]
    pub fn read(&self, guest_address: u64, len: u32) -> Option<u64> {
        if !guest_address.is_multiple_of(len.into()) {
            return None;
        }
        // SAFETY: `new` asks for a page that is mapped; what is aligned lies in it as a whole, and
        // any register may be read.
        unsafe {
            Some(match len {
                1 => read_volatile(self.at::<u8>(guest_address)).into(),
                2 => read_volatile(self.at::<u16>(guest_address)).into(),
                4 => read_volatile(self.at::<u32>(guest_address)).into(),
                8 => read_volatile(self.at::<u64>(guest_address)),
                _ => {
                    xen_assert!(false);
                    return None;
                }
            })
        }
    }

    /// Writes 1, 2, 4 or 8 bytes at a guest's address within its page; another length does nothing,
    /// nor do bytes that are not aligned.
    #[inline]
    pub fn write(&self, guest_address: u64, len: u32, value: u64) {
        if !guest_address.is_multiple_of(len.into()) {
            return;
        }
        // SAFETY: `new` asks for a page that is mapped; what is aligned lies in it as a whole, and
        // what a device makes of a write concerns none of Xen's memory.
        unsafe {
            match len {
                1 => write_volatile(self.at(guest_address), value as u8),
                2 => write_volatile(self.at(guest_address), value as u16),
                4 => write_volatile(self.at(guest_address), value as u32),
                8 => write_volatile(self.at(guest_address), value),
                _ => xen_assert!(false),
            }
        }
    }
}
