//! I/O ports.

use core::arch::asm;

/// Writes a byte to a port.
///
/// # Safety
/// What the device behind the port does must not harm the running kernel.
pub unsafe fn out8(port: u16, value: u8) {
    // SAFETY: the instruction itself touches no memory; the effect is the caller's promise.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags)) }
}

/// Reads a byte from a port.
///
/// # Safety
/// As for [`out8`].
pub unsafe fn in8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: as in `out8`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nostack, preserves_flags)) }
    value
}

/// Writes a doubleword to a port.
///
/// # Safety
/// As for [`out8`].
pub unsafe fn out32(port: u16, value: u32) {
    // SAFETY: as in `out8`.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nostack, preserves_flags))
    }
}

/// Reads a doubleword from a port.
///
/// # Safety
/// As for [`out8`].
pub unsafe fn in32(port: u16) -> u32 {
    let value: u32;
    // SAFETY: as in `out8`.
    unsafe {
        asm!("in eax, dx", in("dx") port, out("eax") value, options(nostack, preserves_flags))
    }
    value
}

/// Writes a word to a port.
///
/// # Safety
/// As for [`out8`].
pub unsafe fn out16(port: u16, value: u16) {
    // SAFETY: as in `out8`.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nostack, preserves_flags)) }
}

/// Reads a word from a port.
///
/// # Safety
/// As for [`out8`].
pub unsafe fn in16(port: u16) -> u16 {
    let value: u16;
    // SAFETY: as in `out8`.
    unsafe { asm!("in ax, dx", in("dx") port, out("ax") value, options(nostack, preserves_flags)) }
    value
}

/// Writes all bytes to a port with one string instruction.
///
/// # Safety
/// As for [`out8`].
pub unsafe fn out_all(port: u16, bytes: &[u8]) {
    // SAFETY: reads exactly `bytes`; the effect is the caller's promise. The direction flag is
    // clear, as the ABI demands.
    unsafe {
        asm!("rep outsb", in("dx") port, inout("rsi") bytes.as_ptr() => _, inout("rcx") bytes.len() => _,
            options(nostack, readonly, preserves_flags));
    }
}
