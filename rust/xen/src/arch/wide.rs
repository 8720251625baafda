//! Sixteen bytes that other agents see change in one piece.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Replaces 16 bytes in one piece if they are as they were before. Returns what they were.
///
/// # Safety
///
/// They are mapped, aligned to 16 bytes, and the processor has CMPXCHG16B.
#[inline]
pub unsafe fn exchange(place: *mut [u64; 2], old: [u64; 2], new: [u64; 2]) -> [u64; 2] {
    let (seen_low, seen_high): (u64, u64);
    // SAFETY: `exchange` asks for bytes that are mapped and aligned, and for the instruction. LLVM
    // keeps RBX for itself, so it is put back; the address has a register of its own, for of those
    // that LLVM may choose RBX is one.
    unsafe {
        asm!(
            "xchg {new_low}, rbx",
            "lock cmpxchg16b [rdi]",
            "mov rbx, {new_low}",
            new_low = inout(reg) new[0] => _,
            in("rdi") place,
            in("rcx") new[1],
            inout("rax") old[0] => seen_low,
            inout("rdx") old[1] => seen_high,
            options(nostack),
        );
    }
    [seen_low, seen_high]
}

/// Reads 16 bytes that no other CPU writes at the moment.
///
/// # Safety
///
/// They are mapped and aligned to 8 bytes.
#[inline]
pub unsafe fn read(place: *const [u64; 2]) -> [u64; 2] {
    let half = place.cast_mut().cast::<u64>();
    // SAFETY: `read` asks for halves that are mapped and aligned. Hardware reads them at the same
    // time, so they are used as atomics.
    unsafe {
        [
            AtomicU64::from_ptr(half).load(Ordering::Relaxed),
            AtomicU64::from_ptr(half.add(1)).load(Ordering::Relaxed),
        ]
    }
}
