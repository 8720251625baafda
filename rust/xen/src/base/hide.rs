//! Values of which the compiler is to know nothing (Xen's `OPTIMIZER_HIDE_VAR()`), where what it
//! makes of its knowledge takes more instructions on a hot path: 9 of 43 in the row "deliver,
//! fixed" of `cargo xtask bench`.

use crate::base::errno::{Errno, to_c};
#[cfg(hvm)]
use crate::objects::vcpu::{HvmVcpu, Vcpu};
use core::arch::asm;

/// Hides what a function is about to return. Its callers cannot put a constant in the place of
/// that, and so jump to the function where they would call it and return the constant.
#[inline(always)]
pub fn result(result: Result<(), Errno>) -> Result<(), Errno> {
    let mut word = to_c(result);
    // SAFETY: No instruction.
    unsafe { asm!("/* {0:e} */", inout(reg) word, options(pure, nomem, nostack, preserves_flags)) };
    Errno::check(word)
}

/// Hides which vCPU this is. Addresses in it are computed anew, and not kept in a register
/// meanwhile.
#[cfg(hvm)]
#[inline(always)]
pub fn vcpu(vcpu: HvmVcpu) -> HvmVcpu {
    let mut raw = vcpu.as_ptr();
    // SAFETY: No instruction.
    unsafe { asm!("/* {0} */", inout(reg) raw, options(pure, readonly, nostack, preserves_flags)) };
    // SAFETY: The pointer is that of the view, which is not null and lives as long.
    unsafe { HvmVcpu::new(Vcpu::from_raw(raw).unwrap_unchecked()) }
}
