//! Fault: memory that others write is replaced without a lock of the bus.
#![no_std]

/// Replaces sixteen bytes.
///
/// # Safety
///
/// The place may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn planted_unlocked_pair(place: *mut u64) -> u64 {
    let low;
    // SAFETY: the caller says so.
    unsafe {
        core::arch::asm!(
            "cmpxchg16b [{place}]",
            place = in(reg) place,
            in("rcx") 1,
            inout("rax") 1u64 => low,
            inout("rdx") 2u64 => _,
        );
    }
    low
}

/// Replaces a word.
///
/// # Safety
///
/// The place may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn planted_unlocked_word(place: *mut u64) -> u64 {
    let old;
    // SAFETY: the caller says so.
    unsafe {
        core::arch::asm!(
            "cmpxchg [{place}], rcx",
            place = in(reg) place,
            in("rcx") 1,
            inout("rax") 1u64 => old,
        );
    }
    old
}
