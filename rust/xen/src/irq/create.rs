//! IRQs that are created and destroyed, and the array of all.

use crate::arch::cpu::{CpuVariables, current, this_cpu_number};
use crate::base::boot::Booting;
use crate::base::errno::Errno;
use crate::base::view::{field, set_field};
use crate::irq::cpus::Cpus;
use crate::irq::handler::Status;
use crate::irq::place;
use crate::irq::table::{self, Vectors};
use crate::objects::cpumask::CpuMask;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use core::sync::atomic::{AtomicI8, Ordering, fence};
use irq_core::irq::cpus::CpuSet;
use irq_core::irq::vectors::{FIRST_DYNAMIC, MOVE_CLEAN_UP};
use xen_sys as sys;

/// How many guests may share an IRQ, unless a boot option says.
const MOST_GUESTS: u8 = 32;

/// An IRQ of a message that this CPU alone has to do with: nothing refers to it.
pub struct Reserved(IrqDesc<'static>);

impl Reserved {
    /// Reserves the first that is free.
    pub fn first() -> Option<Self> {
        let free = |desc: &IrqDesc| {
            // SAFETY: The byte is a part of the descriptor, and others access it by atomic
            // instructions.
            let used = unsafe { AtomicI8::from_ptr(&raw mut (*desc.as_ptr()).arch.used) };
            let (free, reserved) = (sys::IRQ_UNUSED as i8, sys::IRQ_RESERVED as i8);
            used.compare_exchange(free, reserved, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
        };
        IrqDesc::of_messages().find(free).map(Self)
    }

    /// Returns whether a domain may use it because it had the IRQ created.
    pub fn has_creator(&self) -> bool {
        field!(self.0, arch.creator_domid) != Domain::NO_ID
    }

    /// Its descriptor.
    pub fn desc(&self) -> IrqDesc<'static> {
        self.0
    }

    /// Allocates what its descriptor needs, if that was not done before.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    pub fn initialize(&self) -> Result<(), Errno> {
        // SAFETY: The descriptor is Xen's, and nothing else refers to it yet.
        Errno::check(unsafe { sys::init_one_irq_desc(self.0.as_ptr()) })
    }

    /// Makes it free again.
    pub fn free(self) {
        set_field!(self.0, arch.used)(sys::IRQ_UNUSED as i8);
    }

    /// The IRQ, once it has a vector.
    pub fn created(self) -> CreatedIrq {
        CreatedIrq(self.0)
    }
}

/// An IRQ that was created, and that one owner destroys.
pub struct CreatedIrq(IrqDesc<'static>);

impl CreatedIrq {
    /// Takes over an IRQ of C's; `None` where no IRQ of a message has the number.
    ///
    /// # Safety
    ///
    /// `create_irq()` returned the number, and `destroy_irq()` was not called for it since.
    pub unsafe fn from_number(irq: u32) -> Option<Self> {
        IrqDesc::numbered(irq)
            .filter(|desc| desc.is_of_message())
            .map(Self)
    }

    /// Its number, for C, which owns it from now on.
    pub fn into_number(self) -> i32 {
        self.0.irq()
    }

    /// Its descriptor.
    pub fn desc(&self) -> IrqDesc<'static> {
        self.0
    }

    /// Lets the domain of the current vCPU use it.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`]; then the domain is returned as well.
    pub fn permit_access(&self) -> Result<(), (Domain<'static>, Errno)> {
        let domain = current().domain();
        self.set_access(domain, true)
            .map_err(|errno| (domain, errno))?;
        set_field!(self.0, arch.creator_domid)(domain.id());
        Ok(())
    }

    /// No longer lets the domain that had it created use it. `complain` is called where that fails.
    pub fn deny_access(&self, complain: impl FnOnce(Domain<'_>, Errno)) {
        let creator = field!(self.0, arch.creator_domid);
        if creator == Domain::NO_ID {
            return;
        }
        Domain::with_id(creator, |domain| {
            if let Err(errno) = self.set_access(domain, false) {
                complain(domain, errno);
            }
        });
        set_field!(self.0, arch.creator_domid)(Domain::NO_ID);
    }

    /// Lets a domain use it, or no longer.
    fn set_access(&self, domain: Domain<'_>, allow: bool) -> Result<(), Errno> {
        // SAFETY: A view's domain is alive, and its set of IRQs has a lock of its own.
        let changed = unsafe { sys::shim_irq_access(domain.as_ptr(), self.0.number(), allow) };
        Errno::check(changed)
    }
}

/// Takes what of Xen's handles an IRQ, if anything does.
pub fn take_request(desc: IrqDesc<'static>, held: HeldDesc<'_>) -> TakenAction {
    xen_assert!(desc.irq() == held.irq());
    let action = field!(held, action);
    if desc.irq() != held.irq() || action.is_null() || held.has(Status::GUEST) {
        return TakenAction { desc, owned: None };
    }
    set_field!(held, action)(core::ptr::null_mut());
    // SAFETY: Without GUEST it is a `struct irqaction`, which is not freed while it is in use. That
    // of a serial port is a part of another object (`setup_irq()`).
    let is_owned = unsafe { (*action).free_on_release };
    TakenAction {
        desc,
        owned: is_owned.then_some(action),
    }
}

/// What handled an IRQ; a CPU may still do so by it.
#[must_use = "what is allocated has to be freed"]
pub struct TakenAction {
    desc: IrqDesc<'static>,
    owned: Option<*mut sys::irqaction>,
}

impl TakenAction {
    /// Waits until no CPU handles the IRQ.
    ///
    /// Context: the descriptor's lock is not held, which a handler takes when it returns.
    pub fn wait(self) -> IdleAction {
        loop {
            fence(Ordering::SeqCst);
            if !self.desc.has(Status::IN_PROGRESS) {
                return IdleAction(self.owned);
            }
            core::hint::spin_loop();
        }
    }
}

/// What handled an IRQ, by which no CPU does so any more.
#[must_use = "what is allocated has to be freed"]
pub struct IdleAction(Option<*mut sys::irqaction>);

impl IdleAction {
    /// Frees it, if it was allocated.
    ///
    /// Context: IRQs on.
    pub fn free(self) {
        if let Some(action) = self.0 {
            // SAFETY: `request_irq()` allocated it. `take_request` took it from the descriptor,
            // with the lock held under which a CPU looks for it and sets IN_PROGRESS; CPUs that had
            // found it before were waited for.
            unsafe { sys::xfree(action.cast()) };
        }
    }
}

/// The CPUs of a node; `None` where the node has none.
pub fn cpus_of_node(node: u8) -> Option<Cpus<'static>> {
    if u32::from(node) >= sys::XEN_IRQ_NODES as u32 {
        return None;
    }
    let sets = (&raw const sys::node_to_cpumask).cast::<sys::cpumask_t>();
    // SAFETY: The set is an element of an array of Xen's, and nothing writes to a set of this type.
    let cpus = Cpus::of(unsafe { CpuMask::from_raw(sets.add(node.into()).cast_mut()) }?);
    (!cpus.is_empty()).then_some(cpus)
}

/// Allocates the sets of CPUs of a descriptor (`arch_init_one_irq_desc()`).
///
/// # Errors
///
/// [`Errno::NOMEM`]; then none is allocated.
///
/// # Safety
///
/// The IRQ has no sets yet, and no other CPU allocates some: `init_one_irq_desc()` initializes it,
/// for the one CPU that runs at boot or that has reserved it ([`Reserved::first`]).
#[doc(alias = "arch_init_one_irq_desc")]
pub unsafe fn allocate_sets(desc: IrqDesc<'_>) -> Result<(), Errno> {
    // SAFETY: The descriptor is alive, and `allocate_sets` asks for one without sets, so that none
    // is lost here or freed while it is in use.
    unsafe {
        let arch = &raw mut (*desc.as_ptr()).arch;
        if !sys::shim_alloc_cpumask(&raw mut (*arch).old_cpu_mask) {
            return Err(Errno::NOMEM);
        }
        if !sys::shim_alloc_cpumask(&raw mut (*arch).pending_mask) {
            sys::shim_free_cpumask(&raw mut (*arch).old_cpu_mask);
            return Err(Errno::NOMEM);
        }
        // Last: a CPU that comes online looks for this one (`setup_vector_irq()`), and the one that
        // it finds stays.
        if !sys::shim_zalloc_cpumask(&raw mut (*arch).cpu_mask) {
            sys::shim_free_cpumask(&raw mut (*arch).pending_mask);
            sys::shim_free_cpumask(&raw mut (*arch).old_cpu_mask);
            return Err(Errno::NOMEM);
        }
    }
    place::set_nowhere(desc);
    set_field!(desc, arch.creator_domid)(Domain::NO_ID);
    Ok(())
}

/// Allocates the descriptors of all IRQs, and sets those of PICs and IO-APICs up
/// (`init_irq_data()`).
///
/// # Errors
///
/// [`Errno::NOMEM`].
#[doc(alias = "init_irq_data")]
pub fn initialize(_: Booting<'_>) -> Result<(), Errno> {
    // SAFETY: This is the CPU.
    if let Some(variables) = unsafe { CpuVariables::of(this_cpu_number()) } {
        Vectors::of(variables).reset();
    }
    let count = IrqDesc::count();
    let bytes = u64::from(count) * size_of::<sys::irq_desc>() as u64;
    // SAFETY: While Xen boots nothing else uses the variable. Zero bytes are descriptors.
    let array = unsafe {
        let array = sys::_xzalloc(bytes, align_of::<sys::irq_desc>() as u64);
        (&raw mut sys::irq_desc).write(array.cast());
        array
    };
    if array.is_null() {
        return Err(Errno::NOMEM);
    }
    for (irq, desc) in IrqDesc::all().enumerate() {
        set_field!(desc, irq)(irq as i32);
    }
    for desc in IrqDesc::of_pins() {
        // SAFETY: Nothing else refers to the descriptor yet.
        Errno::check(unsafe { sys::init_one_irq_desc(desc.as_ptr()) })?;
    }
    let most_guests = &raw mut sys::irq_max_guests;
    // SAFETY: While Xen boots nothing else uses the variable.
    unsafe {
        if most_guests.read() == 0 {
            most_guests.write(MOST_GUESTS);
        }
    }
    // Vectors of system calls and hypercalls, where there are any; the vector of the HPET, until it
    // is known whether that needs it.
    let fixed = [
        sys::XEN_IRQ_SYSCALL_VECTOR,
        sys::XEN_IRQ_HYPERCALL_VECTOR,
        sys::XEN_IRQ_HPET_VECTOR,
    ];
    let fixed = fixed.map(|vector| vector as u8).into_iter();
    for vector in fixed.filter(|vector| *vector != 0) {
        table::reserved().insert(vector);
    }
    // None below that of the clean-up, see there.
    for vector in FIRST_DYNAMIC..=MOVE_CLEAN_UP {
        table::reserved().insert(vector);
    }
    Ok(())
}
