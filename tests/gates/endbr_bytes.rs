//! Fault: the bytes of ENDBR64 inside another instruction.
#![no_std]

/// Returns a constant that spells ENDBR64.
#[unsafe(no_mangle)]
pub extern "C" fn planted_endbr_bytes() -> u32 {
    0xfa1e_0ff3
}
