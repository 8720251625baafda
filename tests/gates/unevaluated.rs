//! Fault: a condition that C evaluates with fences decides without any.
#![no_std]

unsafe extern "C" {
    safe fn outside(value: u64) -> u64;
    safe fn condition(value: u64) -> bool;
}

/// Decides by a condition that is not hardened.
#[unsafe(no_mangle)]
pub extern "C" fn msixtbl_init(value: u64) -> u64 {
    if condition(value) { outside(1) } else { 0 }
}
