//! Fault: the result of an attempt to take a lock decides without a fence.
#![no_std]

unsafe extern "C" {
    safe fn outside(value: u64) -> u64;
    safe fn _spin_trylock(lock: *mut u64) -> bool;
}

/// Tries to take a lock.
#[unsafe(no_mangle)]
pub extern "C" fn planted_bare_trylock(lock: *mut u64) -> u64 {
    if _spin_trylock(lock) { outside(1) } else { 0 }
}
