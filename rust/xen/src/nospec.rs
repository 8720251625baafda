//! Barriers against speculation, at the places where C has them (`asm/nospec.h`, XSA-453).

use core::arch::asm;
use xen_sys as sys;

/// Emits an `lfence` that Xen's alternatives patching removes where `feature` is set.
macro_rules! lfence_unless {
    ($feature:expr) => {
        // SAFETY: A fence, and a record of it of the form that `apply_alternatives()` reads.
        unsafe {
            asm!(
                "771: lfence",
                "772:",
                ".pushsection .altinstructions, \"a\", @progbits",
                ".long 771b - .",
                ".long 773f - .",
                ".word {feature}",
                ".byte 772b - 771b",
                ".byte 0",
                ".byte 0",
                ".byte 0",
                ".popsection",
                ".pushsection .altinstr_replacement, \"ax\", @progbits",
                "773:",
                ".popsection",
                feature = const $feature,
                options(nostack, preserves_flags),
            )
        }
    };
}

/// Keeps what follows from running ahead of a lock that was just taken.
#[inline(always)]
pub fn block_lock_speculation() {
    lfence_unless!(sys::XEN_IRQ_SC_NO_LOCK_HARDEN);
}

/// Returns a condition, with both of its outcomes shut to speculation.
#[inline(always)]
pub fn evaluate(condition: bool) -> bool {
    if condition {
        lfence_unless!(sys::XEN_IRQ_SC_NO_BRANCH_HARDEN);
    } else {
        lfence_unless!(sys::XEN_IRQ_SC_NO_BRANCH_HARDEN);
    }
    condition
}

/// Returns `slice[index]`, and element 0 while it is speculated that the index is out of bounds.
///
/// # Safety
///
/// The index is below the slice's length.
#[inline(always)]
pub unsafe fn get_unchecked<T>(slice: &[T], index: usize) -> &T {
    let mask: usize;
    // SAFETY: Two register instructions: the mask is all ones where the index is below the length, else zero.
    unsafe {
        asm!(
            "cmp {index}, {len}",
            "sbb {mask}, {mask}",
            index = in(reg) index,
            len = in(reg) slice.len(),
            mask = lateout(reg) mask,
            options(pure, nomem, nostack),
        )
    };
    // SAFETY: The caller says so; the mask changes nothing then.
    unsafe { slice.get_unchecked(index & mask) }
}
