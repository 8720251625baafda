//! Memory-mapped registers, read and written by one instruction of exactly the width asked for.
//!
//! Inline assembly rather than volatile pointers: the width, the alignment (or lack of it) and the
//! string instructions are what is being tested, so they must not be left to the compiler.

use core::arch::asm;

/// A mapped window of registers.
#[derive(Clone, Copy)]
pub struct Window {
    base: usize,
}

impl Window {
    /// Takes the window at a virtual address.
    ///
    /// # Safety
    /// The registers that will be used must be mapped there, uncached, and be a device's: no Rust
    /// object lives there.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    /// The same registers, starting at `offset`.
    pub const fn at(self, offset: usize) -> Self {
        Self {
            base: self.base + offset,
        }
    }

    /// The virtual address.
    pub const fn address(self) -> usize {
        self.base
    }

    /// Reads one byte.
    pub fn read8(self, offset: usize) -> u8 {
        let value: u8;
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov {}, byte ptr [{}]", out(reg_byte) value, in(reg) self.base + offset, options(nostack, preserves_flags))
        }
        value
    }

    /// Reads two bytes.
    pub fn read16(self, offset: usize) -> u16 {
        let value: u16;
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov {:x}, word ptr [{}]", out(reg) value, in(reg) self.base + offset, options(nostack, preserves_flags))
        }
        value
    }

    /// Reads four bytes.
    pub fn read32(self, offset: usize) -> u32 {
        let value: u32;
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov {:e}, dword ptr [{}]", out(reg) value, in(reg) self.base + offset, options(nostack, preserves_flags))
        }
        value
    }

    /// Reads eight bytes.
    pub fn read64(self, offset: usize) -> u64 {
        let value: u64;
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov {}, qword ptr [{}]", out(reg) value, in(reg) self.base + offset, options(nostack, preserves_flags))
        }
        value
    }

    /// Writes one byte.
    pub fn write8(self, offset: usize, value: u8) {
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov byte ptr [{}], {}", in(reg) self.base + offset, in(reg_byte) value, options(nostack, preserves_flags))
        }
    }

    /// Writes two bytes.
    pub fn write16(self, offset: usize, value: u16) {
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov word ptr [{}], {:x}", in(reg) self.base + offset, in(reg) value, options(nostack, preserves_flags))
        }
    }

    /// Writes four bytes.
    pub fn write32(self, offset: usize, value: u32) {
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov dword ptr [{}], {:e}", in(reg) self.base + offset, in(reg) value, options(nostack, preserves_flags))
        }
    }

    /// Writes eight bytes.
    pub fn write64(self, offset: usize, value: u64) {
        // SAFETY: the window's promise.
        unsafe {
            asm!("mov qword ptr [{}], {}", in(reg) self.base + offset, in(reg) value, options(nostack, preserves_flags))
        }
    }

    /// Writes doublewords by one `rep movsd`.
    pub fn write_rep32(self, offset: usize, values: &[u32]) {
        // SAFETY: reads exactly `values`, writes inside the window.
        unsafe {
            asm!("rep movsd", inout("rsi") values.as_ptr() => _, inout("rdi") self.base + offset => _, inout("rcx") values.len() => _,
                options(nostack, preserves_flags));
        }
    }

    /// Writes quadwords by one `rep movsq`.
    pub fn write_rep64(self, offset: usize, values: &[u64]) {
        // SAFETY: reads exactly `values`, writes inside the window.
        unsafe {
            asm!("rep movsq", inout("rsi") values.as_ptr() => _, inout("rdi") self.base + offset => _, inout("rcx") values.len() => _,
                options(nostack, preserves_flags));
        }
    }

    /// Reads doublewords by one `rep movsd`.
    pub fn read_rep32(self, offset: usize, values: &mut [u32]) {
        // SAFETY: reads inside the window, writes exactly `values`.
        unsafe {
            asm!("rep movsd", inout("rsi") self.base + offset => _, inout("rdi") values.as_mut_ptr() => _, inout("rcx") values.len() => _,
                options(nostack, preserves_flags));
        }
    }

    /// Reads quadwords by one `rep movsq`.
    pub fn read_rep64(self, offset: usize, values: &mut [u64]) {
        // SAFETY: reads inside the window, writes exactly `values`.
        unsafe {
            asm!("rep movsq", inout("rsi") self.base + offset => _, inout("rdi") values.as_mut_ptr() => _, inout("rcx") values.len() => _,
                options(nostack, preserves_flags));
        }
    }
}
