//! Fault: two functions that call each other.
#![no_std]

unsafe extern "C" {
    safe fn outside(value: u64) -> u64;
}

/// Calls [`planted_pong`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn planted_ping(value: u64) -> u64 {
    if outside(value) == 0 {
        0
    } else {
        planted_pong(value - 1).wrapping_add(outside(1))
    }
}

/// Calls [`planted_ping`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn planted_pong(value: u64) -> u64 {
    planted_ping(value).wrapping_mul(outside(2))
}
