//! Fault: one way of a branch has a fence, and the other has none.
#![no_std]

unsafe extern "C" {
    safe fn outside(value: u64) -> u64;
    safe fn condition(value: u64) -> bool;
}

macro_rules! fence {
    () => {
        // SAFETY: a fence, and data that no program reads.
        unsafe {
            core::arch::asm!(
                "771: lfence",
                "772:",
                ".pushsection .altinstructions, \"a\", @progbits",
                ".long 771b - ., 773f - .",
                ".word 1",
                ".byte 772b - 771b, 0, 0, 0",
                ".popsection",
                ".pushsection .altinstr_replacement, \"ax\", @progbits",
                "773:",
                ".popsection",
            )
        }
    };
}

/// Decides by a condition that is hardened where it holds.
#[unsafe(no_mangle)]
pub extern "C" fn planted_half_fenced(value: u64) -> u64 {
    if condition(value) {
        fence!();
        outside(1)
    } else {
        0
    }
}
