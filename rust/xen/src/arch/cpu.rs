//! This CPU: the structure at the top of its stack (`asm/current.h`) and its per-CPU variables
//! (`xen/percpu.h`).

use crate::objects::vcpu::Vcpu;
use core::arch::asm;
use xen_sys as sys;

const STACK_SIZE: usize = sys::XEN_IRQ_STACK_SIZE as usize;

#[inline]
fn info() -> *mut sys::cpu_info {
    let sp: usize;
    // SAFETY: This reads the stack pointer and nothing else.
    unsafe { asm!("mov {}, rsp", out(reg) sp, options(pure, nomem, nostack, preserves_flags)) };
    ((sp | (STACK_SIZE - 1)) + 1 - size_of::<sys::cpu_info>()) as *mut sys::cpu_info
}

/// Returns the vCPU that this CPU runs; it stays the same for the whole call, whatever it does.
#[inline]
pub fn current<'a>() -> Vcpu<'a> {
    // SAFETY: Xen keeps the structure at the top of every stack, and a vCPU in it from early boot
    // on.
    unsafe { Vcpu::from_raw((*info()).current_vcpu).unwrap_unchecked() }
}

/// Returns this CPU's instance of a per-CPU variable, which is named by its link-time address.
///
/// The result is stale once the code runs on another CPU, which Xen does not do to code that holds
/// a lock, is in an RCU section or simply does not block.
#[inline]
pub fn this_cpu<T>(variable: *mut T) -> *mut T {
    // SAFETY: Xen keeps the structure at the top of every stack, and writes the offset once, before
    // the CPU runs this.
    let offset = unsafe { (*info()).per_cpu_offset };
    variable.wrapping_byte_add(offset as usize)
}
