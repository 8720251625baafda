//! Fault: an exported function with Rust's name.
#![no_std]

/// Is called `_RNv…`.
#[inline(never)]
pub fn planted_mangled(value: u64) -> u64 {
    value.wrapping_mul(3)
}
