//! Barriers against speculation, at the places where C has them (`asm/nospec.h`, XSA-453).
//!
//! The gate "speculation fences" proves on the object that each stands behind its branch or lock.

use core::arch::asm;
use xen_sys as sys;

/// Emits an `lfence` that Xen's alternatives patching removes where `feature` is set.
///
/// Arms of a branch need different texts: LLVM merges equal ones into a fence before the branch.
macro_rules! lfence_unless {
    ($feature:expr, $text:literal) => {
        // SAFETY: A fence, and a record of it of the form that `apply_alternatives()` reads.
        unsafe {
            asm!(
                concat!("771: lfence # ", $text),
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

/// Returns a condition by a branch that has a fence on each of its ways.
///
/// The ways return constants, so that the caller's decision is this branch and no second one.
macro_rules! evaluate {
    ($condition:expr, $feature:expr) => {
        if $condition {
            lfence_unless!($feature, "true");
            true
        } else {
            lfence_unless!($feature, "false");
            false
        }
    };
}

/// Keeps what follows from running ahead of a lock that was just taken.
#[inline(always)]
pub fn block_lock_speculation() {
    lfence_unless!(sys::XEN_IRQ_SC_NO_LOCK_HARDEN, "lock");
}

/// Returns whether a lock was taken, with both outcomes shut to speculation
/// (C: `lock_evaluate_nospec()`).
#[inline(always)]
pub fn evaluate_lock(taken: bool) -> bool {
    evaluate!(taken, sys::XEN_IRQ_SC_NO_LOCK_HARDEN)
}

/// Returns a condition, with both outcomes shut to speculation (C: `evaluate_nospec()`).
///
/// It is to be asked where it decides: a result that is kept and branched on later has no fence
/// behind that branch.
#[inline(always)]
pub fn evaluate(condition: bool) -> bool {
    evaluate!(condition, sys::XEN_IRQ_SC_NO_BRANCH_HARDEN)
}

/// Returns an index that is below a length, and 0 while it is speculated that it is not.
#[inline(always)]
pub fn bounded(index: usize, length: usize) -> usize {
    let mask: usize;
    // SAFETY: Two register instructions: the mask is all ones where the index is below the length,
    // else zero.
    unsafe {
        asm!(
            "cmp {index}, {len}",
            "sbb {mask}, {mask}",
            index = in(reg) index,
            len = in(reg) length,
            mask = lateout(reg) mask,
            options(pure, nomem, nostack),
        )
    };
    index & mask
}
