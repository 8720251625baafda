//! Fault: an invalid instruction without a bug frame.
#![no_std]
#![feature(core_intrinsics)]
#![allow(internal_features)]

/// Aborts for zero.
#[unsafe(no_mangle)]
pub extern "C" fn planted_trap(value: u64) -> u64 {
    if value == 0 {
        core::intrinsics::abort();
    }
    value - 1
}
