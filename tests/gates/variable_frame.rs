//! Fault: a frame whose size depends on an argument.
#![no_std]

/// Lowers the stack pointer by its argument.
#[unsafe(no_mangle)]
pub extern "C" fn planted_variable_frame(size: u64) {
    // SAFETY: the stack pointer is what it was, afterwards.
    unsafe { core::arch::asm!("sub {0}, %rsp", "add {0}, %rsp", in(reg) size, options(att_syntax)) }
}
