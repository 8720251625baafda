//! Pages of device memory that are mapped at fixed addresses (`asm/fixmap.h`).

use crate::mmio;
use core::ptr::{read_volatile, write_volatile};
use xen_sys as sys;

/// Some registers of a device that Xen keeps mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(usize);

impl Register {
    /// Takes their address, as it was stored.
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    /// Their address.
    pub(crate) const fn address(self) -> usize {
        self.0
    }

    /// Reads 32 bits, so many bytes from the first.
    #[inline]
    pub fn read32(self, offset: u64) -> u32 {
        // SAFETY: They stay mapped while there is a descriptor that leads to them, and any may be read.
        unsafe { mmio::read32((self.0 + offset as usize) as *const u32) }
    }

    /// Writes 32 bits, so many bytes from the first.
    #[inline]
    pub fn write32(self, offset: u64, value: u32) {
        // SAFETY: As above; the rooms write entries of MSI-X tables alone.
        unsafe { mmio::write32((self.0 + offset as usize) as *mut u32, value) };
    }

    /// The page that they lie in.
    pub fn page(self) -> Page {
        let distance = (sys::XEN_IRQ_FIXADDR_TOP as usize).wrapping_sub(self.0 & !0xfff);
        Page((distance >> 12) as u32)
    }
}

/// A device's page that msi.c keeps mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(u32);

impl Page {
    /// Takes an index of the fixed mappings, as msi.c stores it.
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its index.
    pub const fn index(self) -> u32 {
        self.0
    }

    /// The registers that lie at a physical address within it.
    pub fn register(self, address: u64) -> Register {
        Register(self.at::<u8>(address) as usize)
    }

    /// The address of the byte that lies at a guest's address within its page.
    #[inline]
    fn at<T>(self, guest_address: u64) -> *mut T {
        let page = sys::XEN_IRQ_FIXADDR_TOP - (u64::from(self.0) << 12);
        (page + guest_address % 4096) as *mut T
    }

    /// Reads 1, 2, 4 or 8 aligned bytes at a guest's address within its page; `None` for another length.
    #[inline]
    pub fn read(self, guest_address: u64, len: u32) -> Option<u64> {
        // SAFETY: The page stays mapped while the device has interrupts set up, and any register may be read.
        unsafe {
            Some(match len {
                1 => read_volatile(self.at::<u8>(guest_address)).into(),
                2 => read_volatile(self.at::<u16>(guest_address)).into(),
                4 => read_volatile(self.at::<u32>(guest_address)).into(),
                8 => read_volatile(self.at::<u64>(guest_address)),
                _ => return None,
            })
        }
    }

    /// Writes 1, 2, 4 or 8 aligned bytes at a guest's address within its page; another length does nothing.
    #[inline]
    pub fn write(self, guest_address: u64, len: u32, value: u64) {
        // SAFETY: As above; the caller has made sure that neither the table nor the pending bits are written.
        unsafe {
            match len {
                1 => write_volatile(self.at(guest_address), value as u8),
                2 => write_volatile(self.at(guest_address), value as u16),
                4 => write_volatile(self.at(guest_address), value as u32),
                8 => write_volatile(self.at(guest_address), value),
                _ => {}
            }
        }
    }
}
