//! What `arch/x86/irq.c` offers of vectors and moves. Prototypes: `asm/irq.h`, `xen/irq.h`, and
//! c-shim/shim.h for what irq.c and c-shim/irq.c call.

use core::ffi::{c_int, c_uint};
use xen::arch::cpu::CpuVariables;
use xen::base::errno::Errno;
use xen::irq::cpus::Cpus;
use xen::irq::place::PlacedDesc;
use xen::irq::table::{VectorLock, Vectors};
use xen::objects::cpumask::CpuMask;
use xen::objects::irq_desc::{HeldDesc, IrqDesc};
use xen::sync::irqs::IrqsOff;
use xen::xen_assert;
use xen_sys as sys;

/// Makes what stands for a descriptor whose lock the caller holds.
macro_rules! held {
    ($raw:expr) => {{
        let desc = view!(IrqDesc, $raw);
        // SAFETY: The lock of the IRQ's descriptor is held by `destroy_irq()`,
        // `clear_irq_vector()`, `fixup_irqs()`, `do_IRQ()` (which calls the handlers' `ack`, and
        // those `irq_complete_move()`), and wherever a handler's `set_affinity`, which calls
        // `set_desc_affinity()`, is called: also in `iov_adjust_irq_affinities()` and
        // `amd_iommu_init_late()`.
        unsafe { HeldDesc::new(desc) }
    }};
}

/// The same for one that has been initialized; what the caller returns for another is inside.
macro_rules! placed {
    ($raw:expr $(, $otherwise:expr)?) => {{
        let Some(desc) = PlacedDesc::of(held!($raw)) else {
            xen_assert!(false);
            return $($otherwise)?;
        };
        desc
    }};
}

/// A set of CPUs that C may leave out.
macro_rules! cpus {
    ($raw:expr) => {
        // SAFETY: C passes none, or a set that lives for the call.
        unsafe { CpuMask::from_raw($raw.cast_mut()) }.map(Cpus::of)
    };
}

/// See [`irq::assign_vector`].
///
/// # Safety
///
/// The set is one of C's or none.
#[unsafe(no_mangle)]
unsafe extern "C" fn assign_irq_vector(irq: c_int, mask: *const sys::cpumask_t) -> c_int {
    let desc = u32::try_from(irq).ok().and_then(IrqDesc::numbered);
    let Some(desc) = desc else {
        xen_assert!(false);
        return Errno::INVAL.negative();
    };
    match irq::assign_vector(desc, cpus!(mask)) {
        Ok(vector) => vector.map_or(-1, c_int::from),
        Err(errno) => errno.negative(),
    }
}

/// See [`irq::set_affinity`].
///
/// # Safety
///
/// The descriptor is Xen's and locked; the set is one of C's or none.
#[unsafe(no_mangle)]
unsafe extern "C" fn set_desc_affinity(
    desc: *const sys::irq_desc,
    mask: *const sys::cpumask_t,
) -> c_uint {
    const NONE: c_uint = sys::XEN_IRQ_BAD_APICID as c_uint;
    irq::set_affinity(placed!(desc, NONE), cpus!(mask)).unwrap_or(NONE)
}

/// See [`irq::set_up`].
///
/// # Safety
///
/// The CPU is this one, which is coming online; the vector lock is held, and IRQs are off.
#[unsafe(no_mangle)]
unsafe extern "C" fn setup_vector_irq(cpu: c_uint) {
    // SAFETY: `start_secondary()` calls this on the CPU that comes online, with the vector lock
    // held and IRQs still off.
    let lock = unsafe { VectorLock::held_by_caller() };
    let variables = CpuVariables::own(lock.irqs());
    xen_assert!(variables.cpu() == cpu);
    irq::set_up(Vectors::of(variables), &lock);
}

/// See [`irq::clear`].
///
/// # Safety
///
/// The descriptor is Xen's and locked, and the vector lock is held, with IRQs off.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_clear_vector(desc: *const sys::irq_desc) {
    // SAFETY: `clear_irq_vector()` and `destroy_irq()` hold the vector lock, with IRQs off.
    let lock = unsafe { VectorLock::held_by_caller() };
    irq::clear(placed!(desc), &lock);
}

/// See [`irq::complete`].
///
/// # Safety
///
/// The descriptor is Xen's and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_complete_move(desc: *const sys::irq_desc, vector: u32, cpu: c_uint) {
    irq::complete(placed!(desc), cpu, vector as u8);
}

/// See [`irq::leave`].
///
/// # Safety
///
/// The descriptor is Xen's and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_leave(desc: *const sys::irq_desc, cpu: c_uint) {
    irq::leave(placed!(desc), cpu);
}

/// See [`irq::clean_up`].
///
/// # Safety
///
/// The CPU is this one, and is online.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_move_cleanup(cpu: c_uint) {
    // SAFETY: `irq_move_cleanup_interrupt()` passes the CPU that runs it, as the handler of an
    // interrupt: that has switched IRQs off, until the handler returns.
    let irqs = unsafe { IrqsOff::new() };
    let variables = CpuVariables::own(irqs);
    xen_assert!(variables.cpu() == cpu);
    irq::clean_up(Vectors::of(variables), irqs);
}
