//! This CPU: the structure at the top of its stack (`asm/current.h`) and its per-CPU variables
//! (`xen/percpu.h`).

#[cfg(hvm)]
use crate::objects::vcpu::HvmVcpu;
use crate::objects::vcpu::Vcpu;
use core::arch::asm;
#[cfg(hvm)]
use core::marker::PhantomData;
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

/// Says that the vCPU that this CPU runs is one of HVM (or PVH): it takes no register.
#[cfg(hvm)]
#[derive(Clone, Copy)]
pub struct CurrentHvm(PhantomData<*mut ()>);

#[cfg(hvm)]
impl CurrentHvm {
    /// Stands for what the caller of an export knows; debug builds check it.
    ///
    /// # Safety
    ///
    /// The domain of the current vCPU is one of HVM (or PVH); the value does not outlive the call.
    #[inline]
    pub unsafe fn new() -> Self {
        xen_assert!(current().domain().was_created_as_hvm());
        Self(PhantomData)
    }

    /// The vCPU.
    #[inline]
    pub fn vcpu<'a>(self) -> HvmVcpu<'a> {
        // SAFETY: `new` asks for a vCPU of HVM.
        unsafe { HvmVcpu::new(current()) }
    }
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
