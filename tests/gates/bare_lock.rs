//! Fault: a lock without a fence behind it.
#![no_std]

unsafe extern "C" {
    safe fn outside(value: u64) -> u64;
    safe fn _spin_lock(lock: *mut u64);
}

/// Takes a lock.
#[unsafe(no_mangle)]
pub extern "C" fn planted_bare_lock(lock: *mut u64, value: *const u64) -> u64 {
    _spin_lock(lock);
    // SAFETY: the lock guards the value.
    if unsafe { *value } > 7 { outside(1) } else { 0 }
}
