//! Sets of CPUs, and the APIC IDs that reach them (`xen/cpumask.h`, `asm/genapic.h`).

use crate::arch::cpu::{cpu_ids, this_cpu};
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
        // SAFETY: The set is a variable of Xen's, which is only read. The scratch set is this CPU's
        // own.
        unsafe {
            let online = CpuMask::from_raw((&raw const sys::cpu_online_map).cast_mut())?;
            Self::destination([self, online], scratch())
        }
    }

    /// Chooses the APIC ID that reaches those of the CPUs that are in all sets; `None` where none
    /// is.
    ///
    /// # Safety
    ///
    /// Nothing else uses the set at `scratch`.
    pub unsafe fn destination<const N: usize>(
        sets: [CpuMask<'_>; N],
        scratch: *mut sys::cpumask_t,
    ) -> Option<u32> {
        let words = words() as usize;
        let mut any = 0;
        // SAFETY: Sets have a bit for each CPU that there can be, and other CPUs change their words
        // by atomic instructions. `destination` asks for a scratch set that is this CPU's alone.
        unsafe {
            for word in 0..words {
                let of_set = |set: CpuMask<'_>| u64::load(set.as_ptr().cast::<u64>().add(word));
                let common = sets.iter().fold(!0, |all, set| all & of_set(*set));
                u64::store(scratch.cast::<u64>().add(word), common);
                any |= common;
            }
            (any != 0).then(|| sys::shim_cpu_mask_to_apicid(scratch))
        }
    }
}

/// How many words a set has.
pub const WORDS: usize = size_of::<sys::cpumask_t>() / size_of::<u64>();

/// How many words of a set are in use. Small sets are used whole, as Xen does (`nr_cpumask_bits`).
#[inline(always)]
pub fn words() -> u32 {
    const SMALL: u32 = 4;
    let all = WORDS as u32;
    if all <= SMALL {
        all
    } else {
        cpu_ids().div_ceil(u64::BITS)
    }
}

/// This CPU's scratch set, which is allocated before the CPU comes online and stays while it runs.
pub fn scratch() -> *mut sys::cpumask_t {
    // SAFETY: The variable is this CPU's own.
    unsafe { CpuMaskVar::set(this_cpu(&raw mut sys::per_cpu__scratch_cpumask)) }
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
