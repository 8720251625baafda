//! What `arch/x86/irq.c` offers of vectors, of IRQs that are created and destroyed, and of moves.
//! Prototypes: `asm/irq.h`, `xen/irq.h`, `asm/apic.h`, and c-shim/shim.h for what c-shim/irq.c
//! calls.

use core::ffi::{c_int, c_uint};
use core::sync::atomic::AtomicU8;
use irq::{create, evacuate};
use xen::arch::cpu::{CpuVariables, this_cpu_number};
use xen::base::boot::Booting;
use xen::base::bug::assertion_failed;
use xen::base::errno::{Errno, to_c};
use xen::irq::cpus::Cpus;
use xen::irq::create as objects;
use xen::irq::direct;
use xen::irq::place::{self, PlacedDesc};
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
        // SAFETY: The lock of the IRQ's descriptor is held by `do_IRQ()`, which calls the handlers'
        // `ack` and `end`, and those `irq_complete_move()`, `move_masked_irq()` and
        // `move_native_irq()`; by `pirq_set_affinity()` and `hvm_migrate_pirq()`, which call
        // `irq_set_affinity()`; and wherever a handler's `set_affinity`, which calls
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

/// The descriptor of an IRQ; C crashes where there is none.
fn numbered(irq: c_int) -> Option<IrqDesc<'static>> {
    let desc = u32::try_from(irq).ok().and_then(IrqDesc::numbered);
    xen_assert!(desc.is_some());
    desc
}

/// What C crashes on: there are more vectors of high priority to be allocated than there are.
macro_rules! some_vector {
    ($vector:expr) => {
        match $vector {
            Some(vector) => vector,
            None => assertion_failed("vector\0", concat!(file!(), "\0"), line!()),
        }
    };
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
    let Some(desc) = numbered(irq) else {
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
    let (lock, irqs) = unsafe { (VectorLock::held_by_caller(), IrqsOff::new()) };
    let variables = CpuVariables::own(irqs);
    xen_assert!(variables.cpu() == cpu);
    irq::set_up(Vectors::of(variables), &lock);
}

/// See [`irq::bind_vector`].
///
/// # Safety
///
/// The set is one of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bind_irq_vector(
    irq: c_int,
    vector: c_int,
    mask: *const sys::cpumask_t,
) -> c_int {
    let vector = u8::try_from(vector);
    xen_assert!(vector.is_ok());
    let (Some(desc), Ok(vector), Some(cpus)) = (numbered(irq), vector, cpus!(mask)) else {
        return Errno::INVAL.negative();
    };
    to_c(irq::bind_vector(desc, vector, cpus))
}

/// See [`irq::clear_vector`].
#[unsafe(no_mangle)]
extern "C" fn clear_irq_vector(irq: c_int) {
    if let Some(desc) = numbered(irq) {
        irq::clear_vector(desc);
    }
}

/// See [`create::create`].
#[unsafe(no_mangle)]
extern "C" fn create_irq(node: u32, grant_access: u32) -> c_int {
    let node = Some(node as u8).filter(|node| u32::from(*node) != sys::NUMA_NO_NODE);
    match create::create(node, grant_access as u8 != 0) {
        Ok(irq) => irq.into_number(),
        Err(errno) => errno.negative(),
    }
}

/// See [`create::destroy`].
///
/// # Safety
///
/// `create_irq()` returned the number, and the IRQ was not destroyed since. The timer of a binding
/// of guests, if it has one, does not run.
#[unsafe(no_mangle)]
unsafe extern "C" fn destroy_irq(irq: c_uint) {
    // SAFETY: Who creates an IRQ destroys it, once. `unmap_domain_pirq()` unbinds the guest before
    // `msi_free_irq()`; `create_irq()`'s other callers (HPET, IOMMUs, ns16550.c) have none. Where
    // dom0 removes a function whose interrupts are bound, `pci_cleanup_msi()` of msi.c unbinds
    // no guest, nor does ours what XSM does not let go: a timer of such a binding that still runs
    // does so in freed memory, as upstream's, until bindings are in Rust as well.
    let irq = unsafe { objects::CreatedIrq::from_number(irq) };
    xen_assert!(irq.is_some());
    if let Some(irq) = irq {
        create::destroy(irq);
    }
}

/// See [`objects::allocate_sets`].
///
/// # Safety
///
/// The descriptor is Xen's, and not initialized.
#[unsafe(no_mangle)]
unsafe extern "C" fn arch_init_one_irq_desc(desc: *const sys::irq_desc) -> c_int {
    let desc = view!(IrqDesc, desc);
    // SAFETY: `init_one_irq_desc()` calls this where the descriptor has no handler; that is so at
    // boot, with one CPU, and in `create_irq()`, which has reserved the IRQ.
    to_c(unsafe { objects::allocate_sets(desc) })
}

/// See [`objects::initialize`].
#[unsafe(no_mangle)]
extern "C" fn init_irq_data() -> c_int {
    // SAFETY: `__start_xen()` calls this, before there is a second CPU.
    to_c(objects::initialize(unsafe { Booting::new() }))
}

/// See [`place::known_vector`].
#[unsafe(no_mangle)]
extern "C" fn irq_to_vector(irq: c_int) -> c_int {
    let vector = numbered(irq).and_then(place::known_vector);
    vector.map_or(-1, c_int::from)
}

/// See [`VectorLock::lock`].
#[unsafe(no_mangle)]
extern "C" fn lock_vector_lock() {
    // SAFETY: `start_secondary()` calls this with IRQs off.
    VectorLock::lock(unsafe { IrqsOff::new() });
}

/// See [`VectorLock::unlock`].
///
/// # Safety
///
/// This CPU has taken the lock by `lock_vector_lock()`.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlock_vector_lock() {
    // SAFETY: `start_secondary()` calls `lock_vector_lock()` before.
    unsafe { VectorLock::unlock() };
}

/// See [`irq::set_pending_affinity`].
///
/// # Safety
///
/// The descriptor is Xen's and locked; the set is one of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn irq_set_affinity(desc: *const sys::irq_desc, mask: *const sys::cpumask_t) {
    if let Some(cpus) = cpus!(mask) {
        irq::set_pending_affinity(placed!(desc), cpus);
    }
}

/// See [`irq::move_masked`].
///
/// # Safety
///
/// The descriptor is Xen's and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn move_masked_irq(desc: *const sys::irq_desc) {
    irq::move_masked(held!(desc));
}

/// See [`irq::move_native`].
///
/// # Safety
///
/// The descriptor is Xen's and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn move_native_irq(desc: *const sys::irq_desc) {
    irq::move_native(held!(desc));
}

/// See [`direct::allocate_high_priority`].
#[unsafe(no_mangle)]
extern "C" fn alloc_hipriority_vector() -> u8 {
    some_vector!(direct::allocate_high_priority())
}

/// See [`direct::set`].
#[unsafe(no_mangle)]
extern "C" fn set_direct_apic_vector(vector: u32, handler: direct::Handler) {
    direct::set(vector as u8, handler);
}

/// See [`direct::allocate`].
///
/// # Safety
///
/// The vector is a variable of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc_direct_apic_vector(vector: *mut u8, handler: direct::Handler) {
    // SAFETY: C passes a variable that lives as long as Xen, which others only read.
    let vector = unsafe { AtomicU8::from_ptr(vector) };
    some_vector!(direct::allocate(vector, handler));
}

/// See [`irq::free_low_priority`].
#[unsafe(no_mangle)]
extern "C" fn free_lopriority_vector(vector: u32) {
    irq::free_low_priority(vector as u8);
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

/// See [`evacuate::evacuate`].
#[unsafe(no_mangle)]
extern "C" fn fixup_irqs() {
    // SAFETY: `__cpu_disable()` calls this with IRQs off, which it leaves so.
    evacuate::evacuate(this_cpu_number(), unsafe { IrqsOff::new() });
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
