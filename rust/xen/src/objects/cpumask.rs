//! Sets of CPUs, and the APIC IDs that reach them (`xen/cpumask.h`, `asm/genapic.h`).

use crate::arch::cpu::cpu_ids;
use crate::base::view::{Word, view};
use xen_sys as sys;

view! {
    /// A set of CPUs.
    CpuMask, sys::cpumask_t
}

impl CpuMask<'_> {
    /// Chooses the APIC ID that reaches those of the CPUs that are online; `None` where none is.
    ///
    /// Context: this CPU's scratch set is not in use.
    pub fn online_destination(self) -> Option<u32> {
        let words = cpu_ids().div_ceil(64) as usize;
        // SAFETY: Sets have a bit for each CPU that there can be, and other CPUs change their words
        // by atomic instructions. The scratch set is this CPU's own.
        unsafe {
            let online = (&raw const sys::cpu_online_map).cast::<u64>();
            let wanted = self.as_ptr().cast::<u64>();
            let scratch = sys::shim_scratch_cpumask();
            let mut any = 0;
            for word in 0..words {
                let both = u64::load(wanted.add(word)) & u64::load(online.add(word));
                u64::store(scratch.cast::<u64>().add(word), both);
                any |= both;
            }
            (any != 0).then(|| sys::shim_cpu_mask_to_apicid(scratch))
        }
    }
}

/// `cpumask_var_t`: a pointer to a set, or the set itself where Xen is configured for few CPUs.
pub trait CpuMaskVar {
    /// The set; a null pointer where none was allocated.
    ///
    /// # Safety
    ///
    /// The pointer is to a variable that is alive.
    unsafe fn set(variable: *mut Self) -> *mut sys::cpumask_t;
}

impl CpuMaskVar for *mut sys::cpumask_t {
    #[inline(always)]
    unsafe fn set(variable: *mut Self) -> *mut sys::cpumask_t {
        // SAFETY: `set` asks for a variable that is alive, and C aligns it.
        unsafe { Self::load(variable) }
    }
}

impl CpuMaskVar for [sys::cpumask_t; 1] {
    #[inline(always)]
    unsafe fn set(variable: *mut Self) -> *mut sys::cpumask_t {
        variable.cast()
    }
}
