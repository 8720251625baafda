//! Pages of device memory that are mapped at fixed addresses (`asm/fixmap.h`).

use core::ptr::{read_volatile, write_volatile};
use xen_sys as sys;

/// A device's page that msi.c keeps mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(u32);

impl Page {
    /// Takes an index of the fixed mappings, as msi.c stores it.
    pub const fn new(index: u32) -> Self {
        Self(index)
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
