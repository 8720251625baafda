//! Fault: an x87 instruction that names no register.
#![no_std]

/// Resets the x87 unit.
#[unsafe(no_mangle)]
pub extern "C" fn planted_x87() {
    // SAFETY: no other code uses the unit.
    unsafe { core::arch::asm!("fninit") }
}
