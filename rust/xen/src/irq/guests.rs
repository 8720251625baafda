//! What guests handle of an IRQ: who they are, the CPUs whose EOI is waited for, and the timer that
//! stands in for guests that do not answer.
//!
//! It is one allocation, to which `desc->action` leads while the IRQ has [`Status::GUEST`]: the
//! numbers (`irq_core::irq::guests`), the timer, a place for each guest that there can be, and the
//! set of CPUs behind these. The lock of the descriptor guards all of it. Who takes it from the
//! descriptor frees it, when the lock was dropped and the timer does not run
//! ([`TakenGuests::free`]).
//!
//! Each place holds the domain and its pirq. Both stay until the guest was unbound, for which the
//! lock is taken: so they may be used by who holds it, without a look into the domain's tree.

use crate::base::memory::zalloc;
use crate::base::view::{Word, deref, field, set_field};
use crate::irq::cpus::{Cpus, CpusCopy, DescCpus};
use crate::irq::handler::Status;
use crate::irq::place::PlacedDesc;
use crate::irq::rate_limit;
use crate::irq::stack::OwnStack;
use crate::objects::cpumask::CpuMask;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::HeldDesc;
use crate::objects::pirq::PirqView;
use crate::sync::irqs::IrqsOff;
use crate::sync::rwlock::EventLock;
use core::alloc::Layout;
use core::ptr::NonNull;
use irq_core::irq::cpus::{CpuSet, CpuSetMut};
use irq_core::irq::eoi::Full;
use irq_core::irq::guests::{Acknowledge, Arrival, Done, Guests, Refused, Unbound};
use xen_sys as sys;

/// For how long a guest's EOI is waited for: a millisecond.
const PATIENCE: i64 = 1_000_000;

/// A guest's place.
#[derive(Clone, Copy)]
struct Place {
    domain: *mut sys::domain,
    pirq: *mut sys::pirq,
}

/// The allocation, but for the places and the set of CPUs behind it.
#[repr(C)]
struct Action {
    guests: Guests<DescCpus<'static>>,
    timer: sys::timer,
    places: [Place; 0],
}

/// What an IRQ is bound to: a pirq of a domain.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    domain: Domain<'a>,
    pirq: PirqView<'a>,
}

/// What an IRQ may be bound to, or unbound from, as long as the domain's event lock is held.
#[derive(Clone, Copy)]
pub struct LockedGuest<'l>(Guest<'l>);

deref!(LockedGuest, 0: Guest);

impl<'l> LockedGuest<'l> {
    /// A pirq of the domain whose event lock is held.
    ///
    /// # Safety
    ///
    /// The pirq is one of the domain's. Both stay until the guest was unbound from the IRQ, or the
    /// IRQ was destroyed.
    pub unsafe fn new(lock: &'l EventLock<'_>, pirq: PirqView<'l>) -> Self {
        let domain = lock.domain();
        Self(Guest { domain, pirq })
    }
}

impl<'a> Guest<'a> {
    /// The domain.
    pub fn domain(self) -> Domain<'a> {
        self.domain
    }

    /// The pirq.
    pub fn pirq(self) -> PirqView<'a> {
        self.pirq
    }
}

/// Where the set of CPUs begins in an allocation for as many guests.
fn set_offset(most: u8) -> usize {
    size_of::<Action>() + usize::from(most) * size_of::<Place>()
}

/// An allocation that no IRQ has.
pub struct NewGuests {
    raw: NonNull<Action>,
    most: u8,
}

impl NewGuests {
    /// Allocates it for as many guests. `None` where there is no memory.
    ///
    /// Context: IRQs on, no lock held that is taken with IRQs off.
    pub fn allocate(most: u8) -> Option<Self> {
        let size = set_offset(most) + size_of::<sys::cpumask_t>();
        let layout = Layout::from_size_align(size, align_of::<Action>()).ok()?;
        let raw = zalloc(layout)?.cast();
        Some(Self { raw, most })
    }

    /// Gives it to an IRQ that nothing handles.
    pub fn install(self, desc: HeldDesc<'_>, acknowledge: Acknowledge, shares: bool) {
        xen_assert!(!desc.has_action());
        let (raw, most) = (self.raw.as_ptr(), self.most);
        core::mem::forget(self);
        // SAFETY: The memory is this function's alone, large enough for a set of CPUs at that
        // place, and all zero. The set is used by who uses the allocation.
        unsafe {
            let set = raw.cast::<u8>().add(set_offset(most)).cast();
            let Some(set) = CpuMask::from_raw(set) else {
                return;
            };
            let set = DescCpus(Cpus::of(set));
            (&raw mut (*raw).guests).write(Guests::new(acknowledge, shares, most, set));
            sys::shim_init_eoi_timer(&raw mut (*raw).timer, desc.as_ptr());
        }
        set_field!(desc, action)(raw.cast());
        desc.set(Status::GUEST);
    }
}

impl Drop for NewGuests {
    fn drop(&mut self) {
        // SAFETY: No IRQ has it.
        unsafe { sys::xfree(self.raw.as_ptr().cast()) };
    }
}

/// What guests handle of an IRQ whose descriptor is locked.
pub struct GuestAction<'a> {
    desc: HeldDesc<'a>,
    raw: NonNull<Action>,
}

impl<'a> HeldDesc<'a> {
    /// What guests handle of it; `None` where it is not for guests.
    #[inline(always)]
    pub fn guests(self) -> Option<GuestAction<'a>> {
        if !self.has(Status::GUEST) {
            return None;
        }
        let raw = NonNull::new(field!(self, action).cast())?;
        Some(GuestAction { desc: self, raw })
    }

    /// How an interrupt of it is to be acknowledged that guests handle; `None` where Xen does not
    /// know (`irq_acktype()`).
    #[doc(alias = "irq_acktype")]
    pub fn acknowledge_type(self) -> Option<Acknowledge> {
        // SAFETY: A descriptor that is for a pirq is initialized, so that it has a handler, the
        // name of which ends in NUL; so do the names here.
        let is =
            |name: &core::ffi::CStr| unsafe { sys::shim_type_is(self.as_ptr(), name.as_ptr()) };
        if !self.is_initialized() {
            return None;
        }
        if self.is_unused() || is(c"IO-APIC-edge") || is(c"local-APIC-edge") {
            return Some(Acknowledge::None);
        }
        if let Some(msi) = self.msi_desc() {
            // SAFETY: The MSI stays while the lock is held.
            let maskable = unsafe { sys::msi_maskable_irq(msi.as_ptr()) };
            return Some(if maskable != 0 {
                Acknowledge::None
            } else {
                Acknowledge::Eoi
            });
        }
        if is(c"IO-APIC-level") {
            // SAFETY: As for the name.
            let ends_late = unsafe { sys::shim_is_acked_by_move(self.as_ptr()) };
            return Some(if ends_late {
                Acknowledge::Eoi
            } else {
                Acknowledge::Unmask
            });
        }
        is(c"XT-PIC").then_some(Acknowledge::Unmask)
    }
}

impl<'a> GuestAction<'a> {
    /// The numbers, for one call of their functions, which call nothing that leads here again.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn numbers(&self) -> &mut Guests<DescCpus<'static>> {
        // SAFETY: `install` wrote them, and they are freed after the lock was dropped that the
        // descriptor's value stands for. It guards them, and no function of this module keeps the
        // result beyond one call.
        unsafe { &mut (*self.raw.as_ptr()).guests }
    }

    fn timer(&self) -> *mut sys::timer {
        // SAFETY: As for the numbers.
        unsafe { &raw mut (*self.raw.as_ptr()).timer }
    }

    fn place(&self, index: u8) -> *mut Place {
        // SAFETY: As for the numbers. There are as many places as there can be guests.
        unsafe {
            let first: *mut Place = (&raw mut (*self.raw.as_ptr()).places).cast();
            first.add(index.into())
        }
    }

    /// How many there are.
    #[inline(always)]
    pub fn count(&self) -> u8 {
        self.numbers().count()
    }

    /// How many were told and have not answered.
    pub fn in_flight(&self) -> u8 {
        self.numbers().in_flight()
    }

    /// How an interrupt is acknowledged.
    #[inline(always)]
    pub fn acknowledge(&self) -> Acknowledge {
        self.numbers().acknowledge()
    }

    /// A guest, in the order in which they were bound.
    #[inline(always)]
    fn get(&self, index: u8) -> Option<Guest<'_>> {
        if index >= self.count() {
            return None;
        }
        // SAFETY: `bind` wrote the place, and `LockedGuest::new` asked that what it has stays until
        // `unbind`, which asks for the lock that is held.
        unsafe {
            let place = self.place(index).read();
            let domain = Domain::from_raw(place.domain)?;
            let pirq = PirqView::from_raw(place.pirq)?;
            Some(Guest { domain, pirq })
        }
    }

    /// The guests.
    #[inline(always)]
    pub fn guests(&self) -> impl Iterator<Item = Guest<'_>> {
        (0..self.count()).filter_map(|index| self.get(index))
    }

    /// Binds a guest. `first` says that the IRQ was just given this; else that guest wants to share
    /// it, or not.
    ///
    /// # Errors
    ///
    /// Those of [`Refused`].
    pub fn bind(&self, guest: LockedGuest<'_>, first: bool, shares: bool) -> Result<(), Refused> {
        let index = if first {
            self.numbers().bind_first()
        } else {
            self.numbers().bind(shares)
        }?;
        let place = Place {
            domain: guest.domain.as_ptr(),
            pirq: guest.pirq.as_ptr(),
        };
        // SAFETY: The place is one of those that were allocated, and no other guest's.
        unsafe { self.place(index).write(place) };
        Ok(())
    }

    /// Unbinds a domain; `None` where it is none of the guests.
    pub fn unbind(&self, domain: Domain<'_>) -> Option<Unbound> {
        let guest = self.guests().position(|guest| guest.domain == domain)?;
        let was_masked = self.get(guest as u8)?.pirq.unmask(self.desc);
        for index in guest as u8..self.count() - 1 {
            let (to, from) = (self.place(index), self.place(index + 1));
            // SAFETY: Both places are below the number of guests. Word by word, so that no function
            // is called that moves memory.
            unsafe {
                Word::store(&raw mut (*to).domain, Word::load(&raw const (*from).domain));
                Word::store(&raw mut (*to).pirq, Word::load(&raw const (*from).pirq));
            }
        }
        Some(self.numbers().unbind(was_masked))
    }

    /// Unbinds all.
    pub fn unbind_all(&self) {
        while let Some(guest) = self.count().checked_sub(1).and_then(|last| self.get(last)) {
            let was_masked = guest.pirq.unmask(self.desc);
            // What is to be done then is told by who is waited for.
            let _ = self.numbers().unbind(was_masked);
        }
    }

    /// See [`Guests::arrive`].
    #[inline(always)]
    pub fn arrive(&self) -> Arrival {
        self.numbers().arrive()
    }

    /// See [`Guests::wait`], with this CPU's stack.
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub fn wait(&self, vector: u8, irqs: IrqsOff<'_>) -> Result<(), Full> {
        let own = OwnStack::of(irqs);
        let irq = self.desc.number();
        self.numbers().wait(own.cpu(), own.stack(), irq, vector)
    }

    /// Tells a guest of an interrupt, by its model of the platform or its event channel. From now
    /// on its EOI is waited for, if any is.
    #[inline(always)]
    pub fn tell(&self, guest: Guest<'_>) {
        if self.acknowledge() != Acknowledge::None {
            let was_masked = guest.pirq.mask(self.desc);
            self.numbers().tell(was_masked);
        }
        let (domain, pirq) = (guest.domain.as_ptr(), guest.pirq.as_ptr());
        // SAFETY: Both stay, see `LockedGuest::new`. The lock of the IRQ's descriptor is held: who
        // unbinds the guest from it, and closes its event channel then, waits for that.
        unsafe {
            #[cfg(hvm)]
            if guest.domain.hvm().is_some() && sys::hvm_do_IRQ_dpci(domain, pirq) != 0 {
                return;
            }
            sys::send_guest_pirq(domain, pirq);
        }
    }

    /// A guest has answered.
    #[inline(always)]
    pub fn answer(&self, pirq: PirqView<'_>) -> Done {
        let was_masked = pirq.unmask(self.desc);
        self.numbers().answer(was_masked)
    }

    /// The guests that have not answered are taken to have.
    pub fn time_out(&self) -> Done {
        let mut masked = 0;
        for guest in self.guests() {
            masked += u8::from(guest.pirq.unmask(self.desc));
        }
        self.numbers().time_out(masked)
    }

    /// See [`Guests::may_end`], with this CPU's stack.
    pub fn may_end(&self, irqs: IrqsOff<'_>) {
        let own = OwnStack::of(irqs);
        let irq = self.desc.number();
        self.numbers().may_end(own.cpu(), own.stack(), irq);
    }

    /// See [`Guests::leave`], for this CPU.
    pub fn leave(&self, irqs: IrqsOff<'_>) {
        self.numbers().leave(OwnStack::of(irqs).cpu());
    }

    /// The CPUs whose EOI is waited for.
    pub fn waited_for(&self) -> CpusCopy {
        CpusCopy::of(self.numbers().waited_for())
    }

    /// Returns whether the timer is going to expire.
    pub fn timer_is_active(&self) -> bool {
        // SAFETY: As for the numbers.
        let status = unsafe { u8::load(&raw const (*self.timer()).status) };
        u32::from(status) >= sys::XEN_IRQ_TIMER_IN_HEAP as u32
    }

    /// Stops the timer.
    pub fn stop_timer(&self) {
        // SAFETY: `install` initialized it.
        unsafe { sys::stop_timer(self.timer()) };
    }

    /// Has the timer expire on this CPU, when guests have had their time.
    pub fn start_timer(&self, irqs: IrqsOff<'_>) {
        // SAFETY: `install` initialized it, and this CPU is online.
        unsafe {
            sys::migrate_timer(self.timer(), OwnStack::of(irqs).cpu());
            sys::set_timer(self.timer(), rate_limit::now() + PATIENCE);
        }
    }
}

impl HeldDesc<'_> {
    /// Takes what guests handled from an IRQ that has no guest any more. `None` where there is
    /// nothing to be taken, or it is in use.
    pub fn take_guests(self) -> Option<TakenGuests> {
        let guests = self.guests()?;
        xen_assert!(guests.numbers().is_released());
        if !guests.numbers().is_released() {
            return None;
        }
        let taken = TakenGuests(guests.raw);
        set_field!(self, action)(core::ptr::null_mut());
        self.unset(Status::GUEST);
        self.unset(Status::IN_PROGRESS);
        Some(taken)
    }
}

/// What guests handled of an IRQ, which no CPU uses any more but for the timer.
#[must_use = "it has to be freed"]
pub struct TakenGuests(NonNull<Action>);

impl TakenGuests {
    /// Frees it, when its timer does not run.
    ///
    /// Context: IRQs on, and no lock held that is taken with IRQs off: the timer takes that of the
    /// descriptor.
    pub fn free(self) {
        // SAFETY: `take_guests` took it from the descriptor with the lock held under which alone
        // others find it and use it. The timer is not set again and does not run when
        // `kill_timer()` returns.
        unsafe {
            sys::kill_timer(&raw mut (*self.0.as_ptr()).timer);
            sys::xfree(self.0.as_ptr().cast());
        }
    }
}

/// Returns whether the CPUs of an IRQ's affinity are to be chosen, and from which: where the IRQ
/// is to be when its first guest is bound. `None` where it stays.
pub fn affinity_of_first<'a>(desc: PlacedDesc<'a>, processor: u32) -> Option<Cpus<'a>> {
    use crate::irq::{options, place};
    let online = Cpus::online();
    let mut affinity = place::affinity(desc);
    if !options::no_balance() {
        Cpus::one(processor)
    } else if !affinity.intersects(&online) {
        affinity.copy(&Cpus::all());
        Some(Cpus::all())
    } else if !place::read(desc).cpus.intersects(&online) {
        Some(affinity.cpus())
    } else {
        None
    }
}

impl Guest<'_> {
    /// Whether its event channel is pending, and whether it is masked; `None` where another has the
    /// channel's lock.
    pub fn event_state(self) -> Option<(bool, bool)> {
        let port = self.pirq.event_channel();
        // SAFETY: Both stay, see `new`. A port that a pirq has is one of the domain's, and so is 0.
        let state = unsafe { sys::shim_evtchn_state(self.domain.as_ptr(), port) };
        (state & 4 == 0).then_some((state & 1 != 0, state & 2 != 0))
    }
}

/// Those pirqs of a domain's, some at a time, whose EOI is waited for and whose event channel is
/// not masked: `answer` is called for each.
///
/// Context: IRQs on. No softirq is processed by what is called.
pub fn unmasked(domain: Domain<'_>, answer: impl Fn(PirqView<'_>)) {
    const AT_ONCE: usize = 16;
    let mut first = 0;
    loop {
        let mut found = [core::ptr::null_mut(); AT_ONCE];
        // SAFETY: The domain is alive as a view's, and the array has as many places. What leaves
        // the tree is freed a grace period later, and none ends meanwhile: the CPU processes no
        // softirqs.
        let count =
            unsafe { sys::shim_pirqs(domain.as_ptr(), first, found.as_mut_ptr(), AT_ONCE as u32) };
        for raw in found.into_iter().take(count as usize) {
            // SAFETY: The grace period that does not end meanwhile keeps it.
            let Some(pirq) = (unsafe { PirqView::from_raw(raw) }) else {
                continue;
            };
            first = pirq.number() as u32;
            // SAFETY: The port is that of one of the domain's pirqs.
            let is_masked =
                || unsafe { sys::shim_evtchn_is_masked(domain.as_ptr(), pirq.event_channel()) };
            if pirq.is_masked() && !is_masked() {
                answer(pirq);
            }
        }
        first = first.wrapping_add(1);
        if first >= domain.pirqs() || count as usize != AT_ONCE {
            return;
        }
    }
}
