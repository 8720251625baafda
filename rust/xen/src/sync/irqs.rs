//! Whether interrupts may come.

use core::arch::asm;
use core::marker::PhantomData;

/// IRQs are off on this CPU, for as long as the value may live.
#[derive(Clone, Copy)]
pub struct IrqsOff<'a>(PhantomData<(&'a (), *mut ())>);

impl IrqsOff<'_> {
    /// Stands for what the caller of an export has done.
    ///
    /// # Safety
    ///
    /// IRQs are off on this CPU, and for longer than the result lives.
    pub const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// The bit of the flags register that lets interrupts come.
pub const INTERRUPT_FLAG: u64 = 0x200;

/// Lets interrupts come on this CPU, if they were let by these flags.
///
/// # Safety
///
/// Nothing that lives on asks for IRQs to be off.
#[inline]
pub unsafe fn restore(flags: u64) {
    if flags & INTERRUPT_FLAG != 0 {
        // SAFETY: `restore` asks that interrupts may come.
        unsafe { asm!("sti", options(nostack)) };
    }
}

/// Keeps interrupts from this CPU.
#[inline]
pub fn disable() {
    // SAFETY: What is done with IRQs on can be done with IRQs off, but waiting for other CPUs,
    // which asks for IRQs to be on where it is done.
    unsafe { asm!("cli", options(nostack)) };
}

/// Returns whether interrupts may come on this CPU.
pub fn are_on() -> bool {
    let flags: u64;
    // SAFETY: This reads the flags register, by way of the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags & INTERRUPT_FLAG != 0
}
