//! Registers of devices, by plain moves: what stands for a device may understand no other
//! instruction, and rustc folds a read into the instruction that uses it.

use core::arch::asm;

/// Reads a register of 32 bits.
///
/// # Safety
///
/// It is mapped, and may be read.
#[inline]
pub unsafe fn read32(register: *const u32) -> u32 {
    let value;
    // SAFETY: One load, from a register that `read32` asks to be mapped.
    unsafe {
        asm!("mov {value:e}, [{register}]", value = out(reg) value, register = in(reg) register,
             options(nostack, preserves_flags));
    }
    value
}

/// Writes a register of 32 bits.
///
/// # Safety
///
/// It is mapped, and may be written.
#[inline]
pub unsafe fn write32(register: *mut u32, value: u32) {
    // SAFETY: One store, to a register that `write32` asks to be mapped.
    unsafe {
        asm!("mov [{register}], {value:e}", value = in(reg) value, register = in(reg) register,
             options(nostack, preserves_flags));
    }
}

/// Writes a register of 64 bits.
///
/// # Safety
///
/// It is mapped, and may be written.
#[inline]
pub unsafe fn write64(register: *mut u64, value: u64) {
    // SAFETY: One store, to a register that `write64` asks to be mapped.
    unsafe {
        asm!("mov [{register}], {value}", value = in(reg) value, register = in(reg) register,
             options(nostack, preserves_flags));
    }
}
