//! Sixteen bytes that other agents see change in one piece.

use core::arch::asm;

/// Replaces 16 bytes in one piece. Only the caller writes them; others read.
///
/// # Safety
///
/// They are mapped, aligned to 16 bytes, and the processor has CMPXCHG16B.
#[inline]
pub(crate) unsafe fn replace(place: *mut [u64; 2], new: [u64; 2]) {
    // SAFETY: `replace` asks for what both need. Nothing else writes the bytes, so two reads are as
    // good as one.
    let seen_is_old = unsafe {
        let old = read(place);
        exchange(place, old, new) == old
    };
    xen_assert!(seen_is_old);
}

/// Replaces 16 bytes in one piece if they are as they were before. Returns what they were.
///
/// # Safety
///
/// They are mapped, aligned to 16 bytes, and the processor has CMPXCHG16B.
#[inline]
pub(crate) unsafe fn exchange(place: *mut [u64; 2], old: [u64; 2], new: [u64; 2]) -> [u64; 2] {
    let (seen_low, seen_high): (u64, u64);
    // SAFETY: `exchange` asks for mapped, aligned bytes and for the instruction. LLVM keeps RBX for
    // itself, so it is put back; the address has a register of its own, for of those that LLVM may
    // choose RBX is one.
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

/// Reads 16 bytes that nobody else writes at the moment.
///
/// # Safety
///
/// They are mapped and aligned to 8 bytes.
#[inline]
pub(crate) unsafe fn read(place: *const [u64; 2]) -> [u64; 2] {
    let half = place.cast::<u64>();
    // SAFETY: `read` asks for mapped and aligned bytes.
    unsafe { [half.read_volatile(), half.add(1).read_volatile()] }
}
