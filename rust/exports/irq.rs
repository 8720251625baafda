//! What `arch/x86/irq.c` offers of vectors, of IRQs that are created and destroyed, of moves, of
//! interrupts that Xen or guests handle, and of pirqs. Prototypes: `asm/irq.h`, `xen/irq.h`,
//! `xen/domain.h`, `asm/apic.h`, and c-shim/shim.h for what c-shim/irq.c and the rest of irq.c
//! call.

use core::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::AtomicU8;
use irq::allocate::{self, Kind};
use irq::pirqs::{self, Source};
use irq::{create, deliver, emulated, evacuate, guests, own};
use xen::arch::cpu::{CpuVariables, this_cpu_number};
use xen::base::boot::Booting;
use xen::base::bug::assertion_failed;
use xen::base::errno::{Errno, to_c};
use xen::irq::cpus::Cpus;
use xen::irq::create as objects;
use xen::irq::direct;
use xen::irq::guests::LockedGuest;
use xen::irq::interrupt::Interrupt;
use xen::irq::pirq_log;
use xen::irq::pirqs::{Pirqs, PrivateMaps};
use xen::irq::place::{self, PlacedDesc};
use xen::irq::rate_limit;
use xen::irq::request::{Function, NewAction};
use xen::irq::stack::OwnStack;
use xen::irq::table::{VectorLock, Vectors};
use xen::objects::cpumask::CpuMask;
use xen::objects::domain::Domain;
use xen::objects::irq_desc::{HeldDesc, IrqDesc, LockedDesc};
use xen::objects::msi_info::Request;
use xen::objects::pci_dev::DeviceList;
use xen::objects::pirq::{self, PirqView, lock_desc_of};
use xen::objects::vcpu::Vcpu;
use xen::sync::irqs::{INTERRUPT_FLAG, IrqsOff};
use xen::sync::rwlock::EventLock;
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
/// `create_irq()` returned the number, and the IRQ was not destroyed since.
#[unsafe(no_mangle)]
unsafe extern "C" fn destroy_irq(irq: c_uint) {
    // SAFETY: Who creates an IRQ destroys it, once: `msi_free_irq()`, HPET, IOMMUs, ns16550.c.
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

/// See [`deliver::deliver`].
///
/// # Safety
///
/// The frame is that of the interrupt, and IRQs are off.
#[unsafe(no_mangle)]
unsafe extern "C" fn do_IRQ(regs: *mut sys::cpu_user_regs) {
    // SAFETY: `common_interrupt` and `vmx_do_extint()` pass the frame on their stack, with IRQs
    // off.
    let mut interrupt = unsafe { Interrupt::begin(regs) };
    deliver::deliver(&mut interrupt);
}

/// See [`guests::defer`].
///
/// # Safety
///
/// The descriptor is Xen's and locked, with IRQs off.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_defer_eoi(desc: *const sys::irq_desc, vector: u32) -> bool {
    // SAFETY: `end_nonmaskable_irq()` is the `end` of handlers, which is called with the lock held
    // and IRQs off.
    guests::defer(held!(desc), vector as u8, unsafe { IrqsOff::new() })
}

/// See [`guests::set_ready`].
///
/// # Safety
///
/// The descriptor is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_set_eoi_ready(desc: *const sys::irq_desc) {
    // SAFETY: `on_selected_cpus()` has this called with IRQs off.
    guests::set_ready(view!(IrqDesc, desc), unsafe { IrqsOff::new() });
}

/// See [`guests::time_out`].
///
/// # Safety
///
/// The descriptor is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_guest_eoi_timer(desc: *const sys::irq_desc) {
    guests::time_out(view!(IrqDesc, desc));
}

/// See [`rate_limit::enable_all`].
#[unsafe(no_mangle)]
extern "C" fn xen_irq_ratelimit_timer() {
    rate_limit::enable_all();
}

/// See [`OwnStack::is_empty`].
#[unsafe(no_mangle)]
extern "C" fn cpu_has_pending_apic_eoi() -> bool {
    // SAFETY: `errata_c6_workaround()` is called with IRQs off, before the CPU sleeps.
    !OwnStack::of(unsafe { IrqsOff::new() }).is_empty()
}

/// See [`guests::leave`].
#[unsafe(no_mangle)]
extern "C" fn fixup_eoi() {
    // SAFETY: `__cpu_disable()` calls this with IRQs off.
    guests::leave(unsafe { IrqsOff::new() });
}

/// The descriptor of an IRQ that Xen is to handle, or no longer; C crashes where there is none.
fn numbered_unsigned(irq: c_uint) -> Option<IrqDesc<'static>> {
    let desc = IrqDesc::numbered(irq);
    xen_assert!(desc.is_some());
    desc
}

/// See [`own::request`].
///
/// # Safety
///
/// The handler may be called until the IRQ is released.
#[unsafe(no_mangle)]
unsafe extern "C" fn request_irq(
    irq: c_uint,
    irqflags: c_uint,
    handler: Option<Function>,
    devname: *const c_char,
    dev_id: *mut c_void,
) -> c_int {
    xen_assert!(irqflags == 0);
    let (Some(desc), Some(handler)) = (IrqDesc::numbered(irq), handler) else {
        return Errno::INVAL.negative();
    };
    // SAFETY: C passes a function and a text of its own; the device's object stays until the IRQ is
    // released.
    let action = unsafe { NewAction::allocate(handler, devname, dev_id) };
    to_c(own::request(desc, action))
}

/// See [`own::set_up`].
///
/// # Safety
///
/// The action is one of C's, which stays, and which no IRQ has.
#[unsafe(no_mangle)]
unsafe extern "C" fn setup_irq(irq: c_uint, irqflags: c_uint, new: *mut sys::irqaction) -> c_int {
    xen_assert!(irqflags == 0);
    // SAFETY: The actions are variables of i8259.c, time.c and ns16550.c, which stay.
    let action = unsafe { NewAction::from_c(new) };
    let (Some(desc), Some(action)) = (numbered_unsigned(irq), action) else {
        return Errno::INVAL.negative();
    };
    let result = own::set_up(desc, action);
    result.map_or_else(|_| Errno::BUSY.negative(), |()| 0)
}

/// See [`own::release`].
#[unsafe(no_mangle)]
extern "C" fn release_irq(irq: c_uint, _dev_id: *const c_void) {
    if let Some(desc) = numbered_unsigned(irq) {
        own::release(desc);
    }
}

/// A locked descriptor, for C: what the flags register was before goes to `flags`, if C wants it.
///
/// # Safety
///
/// `flags` is null or a variable of C's.
unsafe fn locked_to_c(
    locked: Option<LockedDesc<'static>>,
    flags: *mut c_ulong,
) -> *mut sys::irq_desc {
    let Some((desc, before)) = locked.map(LockedDesc::into_c) else {
        return null_mut();
    };
    if !flags.is_null() {
        // SAFETY: It is a variable of C's.
        unsafe { flags.write(before) };
    }
    desc
}

/// See [`lock_desc_of`].
///
/// # Safety
///
/// The domain is Xen's; the flags are a variable of C's or none.
#[unsafe(no_mangle)]
unsafe extern "C" fn domain_spin_lock_irq_desc(
    d: *const sys::domain,
    pirq: c_int,
    pflags: *mut c_ulong,
) -> *mut sys::irq_desc {
    let locked = lock_desc_of(view!(Domain, d), pirq);
    // SAFETY: C passes a variable or none.
    unsafe { locked_to_c(locked, pflags) }
}

/// See [`PirqView::lock_own_desc`].
///
/// # Safety
///
/// The pirq is Xen's; the flags are a variable of C's or none.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_spin_lock_irq_desc(
    pirq: *const sys::pirq,
    pflags: *mut c_ulong,
) -> *mut sys::irq_desc {
    let locked = view!(PirqView, pirq).lock_own_desc();
    // SAFETY: C passes a variable or none.
    unsafe { locked_to_c(locked, pflags) }
}

/// See [`guests::set_affinity`].
///
/// # Safety
///
/// The domain and the set are Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_set_affinity(
    d: *const sys::domain,
    pirq: c_int,
    mask: *const sys::cpumask_t,
) {
    if let Some(cpus) = cpus!(mask) {
        guests::set_affinity(view!(Domain, d), pirq, cpus);
    }
}

/// See [`guests::is_shared`].
///
/// # Safety
///
/// The domain is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_shared(d: *const sys::domain, pirq: c_int) -> c_int {
    guests::is_shared(view!(Domain, d), pirq).into()
}

/// See [`guests::answer_pirq`].
///
/// # Safety
///
/// The pirq is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_guest_eoi(pirq: *const sys::pirq) {
    guests::answer_pirq(view!(PirqView, pirq));
}

/// See [`guests::answer`].
///
/// # Safety
///
/// Both are Xen's; the descriptor is locked, and the lock is this function's to drop.
#[unsafe(no_mangle)]
unsafe extern "C" fn desc_guest_eoi(desc: *const sys::irq_desc, pirq: *const sys::pirq) {
    let desc: IrqDesc<'static> = view!(IrqDesc, desc);
    // SAFETY: `__msi_pirq_eoi()` and the EOI of pass-through devices lock the descriptor by
    // `pirq_spin_lock_irq_desc()`, with IRQs on before, and leave the lock to this function.
    let locked = unsafe { LockedDesc::from_c(desc, INTERRUPT_FLAG) };
    guests::answer(locked, view!(PirqView, pirq));
}

/// See [`guests::answer_unmasked`].
///
/// # Safety
///
/// The domain is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_guest_unmask(d: *const sys::domain) -> c_int {
    guests::answer_unmasked(view!(Domain, d));
    0
}

/// The event lock of a domain, with which a guest's pirq is bound or unbound.
macro_rules! event_lock {
    ($domain:expr) => {{
        let domain: Domain<'_> = $domain;
        // SAFETY: Event channels and pass-through devices bind and unbind pirqs of the domain with
        // its event lock held for writing.
        unsafe { EventLock::expected_of_caller(domain) }
    }};
}

/// A pirq of the domain whose event lock is held.
macro_rules! guest {
    ($lock:expr, $pirq:expr) => {{
        let pirq = view!(PirqView, $pirq);
        // SAFETY: A pirq that is bound stands for its IRQ, or is held by it, so that it is freed
        // only after it was unbound (`Pirqs::clean_up`); or, where IRQs of a function are destroyed
        // whose pirqs XSM does not let go, after the IRQ was destroyed. A domain's channels are
        // closed and its pirqs unmapped before it is freed.
        unsafe { LockedGuest::new(&$lock, pirq) }
    }};
}

/// See [`guests::bind`].
///
/// # Safety
///
/// The vCPU is Xen's and the pirq one of its domain's, whose event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_guest_bind(
    v: *const sys::vcpu,
    pirq: *const sys::pirq,
    will_share: c_int,
) -> c_int {
    let vcpu = view!(Vcpu, v);
    let lock = event_lock!(vcpu.domain());
    to_c(guests::bind(vcpu, guest!(lock, pirq), will_share != 0))
}

/// See [`guests::unbind`].
///
/// # Safety
///
/// The pirq is one of the domain's, whose event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_guest_unbind(d: *const sys::domain, pirq: *const sys::pirq) {
    let lock = event_lock!(view!(Domain, d));
    guests::unbind(guest!(lock, pirq));
}

/// See [`guests::dump`].
///
/// # Safety
///
/// The descriptor is Xen's and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_dump_guests(desc: *const sys::irq_desc) {
    guests::dump(held!(desc));
}

/// A domain's event lock, which the caller of an export holds for writing.
macro_rules! held_event_lock {
    ($domain:expr) => {{
        let domain = view!(Domain, $domain);
        // SAFETY: physdev.c, domain.c, hvm/irq.c, event_channel.c, vioapic.c, io_apic.c, vPCI,
        // passthrough and the msi unit take the domain's event lock for writing before they
        // allocate, map, unmap or clean up a pirq, and before an event channel is bound to one.
        unsafe { EventLock::held_by_caller(domain) }
    }};
}

/// The lock that keeps a domain's functions, which the caller of an export holds.
macro_rules! device_list {
    ($domain:expr) => {{
        let domain = view!(Domain, $domain);
        // SAFETY: physdev.c and vPCI hold the domain's `pci_lock` where they map messages; where
        // pirqs are unmapped, physdev.c, vioapic.c and the msi unit hold `pcidevs_lock`, and vPCI
        // one of both.
        unsafe { DeviceList::held_by_caller(domain) }
    }};
}

/// A request of C's for messages, which lives for the call.
macro_rules! request {
    ($raw:expr) => {
        view!(Request, $raw.cast::<sys::msi_info>().cast_const())
    };
}

/// A number of C's, or an error.
fn number_to_c(result: Result<c_int, Errno>) -> c_int {
    result.unwrap_or_else(Errno::negative)
}

/// See [`pirqs::initialize`].
///
/// # Safety
///
/// The domain is Xen's, and new.
#[unsafe(no_mangle)]
unsafe extern "C" fn init_domain_irq_mapping(d: *const sys::domain) -> c_int {
    let domain = view!(Domain, d);
    // SAFETY: `arch_domain_create()` calls this before the domain is in any list.
    let maps = unsafe { PrivateMaps::new(domain) };
    to_c(pirqs::initialize(&maps))
}

/// See [`PrivateMaps::destroy`].
///
/// # Safety
///
/// The domain is Xen's, and nothing else can reach it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn cleanup_domain_irq_mapping(d: *const sys::domain) {
    let domain = view!(Domain, d);
    // SAFETY: `arch_domain_create()` calls this where it fails, and `arch_domain_destroy()` a grace
    // period after the domain left all lists, when its pirqs have been unmapped.
    unsafe { PrivateMaps::new(domain) }.destroy();
}

/// See [`pirq::allocate`].
///
/// # Safety
///
/// The domain is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn alloc_pirq_struct(d: *const sys::domain) -> *mut sys::pirq {
    pirq::allocate(view!(Domain, d)).map_or(null_mut(), NonNull::as_ptr)
}

/// See [`Pirqs::clean_up`].
///
/// # Safety
///
/// The pirq is one of the domain's, whose event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn pirq_cleanup_check(pirq: *const sys::pirq, d: *const sys::domain) {
    Pirqs::of(&held_event_lock!(d)).clean_up(view!(PirqView, pirq));
}

/// See [`allocate::choose_free`].
///
/// # Safety
///
/// The domain is Xen's, and its event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn get_free_pirq(d: *const sys::domain, kind: c_int) -> c_int {
    let kind = if kind.cast_unsigned() == sys::MAP_PIRQ_TYPE_GSI {
        Kind::Pin
    } else {
        Kind::Message
    };
    number_to_c(allocate::choose_free(&held_event_lock!(d), kind).map(|number| number.get()))
}

/// See [`allocate::choose_free_block`].
///
/// # Safety
///
/// The domain is Xen's, and its event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn get_free_pirqs(d: *const sys::domain, nr: c_uint) -> c_int {
    number_to_c(allocate::choose_free_block(&held_event_lock!(d), nr).map(|number| number.get()))
}

/// See [`pirqs::map`].
///
/// # Safety
///
/// The domain is Xen's, and its event lock is held for writing. For messages the data are a
/// request, and a lock is held that keeps the domain's functions.
#[unsafe(no_mangle)]
unsafe extern "C" fn map_domain_pirq(
    d: *const sys::domain,
    pirq: c_int,
    irq: c_int,
    kind: c_int,
    data: *mut c_void,
) -> c_int {
    let source = match kind.cast_unsigned() {
        sys::MAP_PIRQ_TYPE_MSI => Source::Message(request!(data), device_list!(d)),
        sys::MAP_PIRQ_TYPE_MULTI_MSI => Source::Block(request!(data), device_list!(d)),
        _ => Source::Pin,
    };
    to_c(pirqs::map(&held_event_lock!(d), pirq, irq, source).map(|_| ()))
}

/// See [`pirqs::unmap`].
///
/// # Safety
///
/// The domain is Xen's. Its event lock is held for writing, and a lock that keeps its functions.
#[unsafe(no_mangle)]
unsafe extern "C" fn unmap_domain_pirq(d: *const sys::domain, pirq: c_int) -> c_int {
    to_c(pirqs::unmap(&held_event_lock!(d), device_list!(d), pirq))
}

/// See [`pirqs::unmap_all`].
///
/// # Safety
///
/// The domain is Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn free_domain_pirqs(d: *const sys::domain) {
    pirqs::unmap_all(view!(Domain, d));
}

/// See [`emulated::map`].
///
/// # Safety
///
/// The domain is Xen's, and its event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn map_domain_emuirq_pirq(
    d: *const sys::domain,
    pirq: c_int,
    emuirq: c_int,
) -> c_int {
    to_c(emulated::map(&held_event_lock!(d), pirq, emuirq))
}

/// See [`emulated::unmap`].
///
/// # Safety
///
/// The domain is Xen's, and its event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn unmap_domain_pirq_emuirq(d: *const sys::domain, pirq: c_int) -> c_int {
    to_c(emulated::unmap(&held_event_lock!(d), pirq))
}

/// See [`pirqs::bound_to_channel`].
///
/// # Safety
///
/// The domain is Xen's, and its event lock is held for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn arch_evtchn_bind_pirq(d: *const sys::domain, pirq: c_int) {
    pirqs::bound_to_channel(&held_event_lock!(d), pirq);
}

/// A pirq that the caller of an export names, or negative: the one that was mapped takes its place.
///
/// # Safety
///
/// The pirq is a variable of C's.
unsafe fn mapped_to_c(pirq: *mut c_int, map: impl FnOnce(c_int) -> Result<c_int, Errno>) -> c_int {
    // SAFETY: It is a variable of C's.
    match map(unsafe { pirq.read() }) {
        Ok(mapped) => {
            // SAFETY: The same, of which no reference was made.
            unsafe { pirq.write(mapped) };
            0
        }
        Err(errno) => errno.negative(),
    }
}

/// See [`allocate::map_pin`].
///
/// # Safety
///
/// The domain is Xen's, and the pirq a variable of C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn allocate_and_map_gsi_pirq(
    d: *const sys::domain,
    index: c_int,
    pirq_p: *mut c_int,
) -> c_int {
    let domain = view!(Domain, d);
    // SAFETY: physdev.c and vioapic.c pass a variable.
    unsafe { mapped_to_c(pirq_p, |wanted| allocate::map_pin(domain, index, wanted)) }
}

/// See [`allocate::map_messages`].
///
/// # Safety
///
/// The domain is Xen's, and a lock is held that keeps its functions; the pirq is a variable of C's,
/// as is the request.
#[unsafe(no_mangle)]
unsafe extern "C" fn allocate_and_map_msi_pirq(
    d: *const sys::domain,
    index: c_int,
    pirq_p: *mut c_int,
    kind: c_int,
    msi: *mut sys::msi_info,
) -> c_int {
    let list = device_list!(d);
    let is_block = match kind.cast_unsigned() {
        sys::MAP_PIRQ_TYPE_MSI => false,
        sys::MAP_PIRQ_TYPE_MULTI_MSI => true,
        _ => {
            pirq_log::wrong_kind(list.domain(), kind);
            xen_assert!(false);
            return Errno::INVAL.negative();
        }
    };
    let map = |wanted| allocate::map_messages(list, (index, wanted), is_block, request!(msi));
    // SAFETY: physdev.c and vPCI pass a variable.
    unsafe { mapped_to_c(pirq_p, map) }
}
