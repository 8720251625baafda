//! IRQs that guests handle.
//!
//! The numbers, and what is done when they change, are in `irq_core::irq::guests`. Here is what
//! that does to sources, timers and CPUs:
//!
//! - Where CPUs are told that an IRQ may be ended, the lock of its descriptor was dropped before: a
//!   CPU that is told takes it. Nothing that was read before is used afterwards.
//! - Only a CPU that has the interrupt in service sends its EOI ([`flush`]), in the order of the
//!   stack.
//! - When the EOI of the last guest was taken, nothing of its pirq is used any more.

use irq_core::irq::cpus::{CpuSet, CpuSetMut};
use irq_core::irq::guests::{Acknowledge, Arrival, Done, Refused, Unbound};
use xen::base::errno::Errno;
use xen::irq::guests::{Guest, LockedGuest, NewGuests, TakenGuests, affinity_of_first, unmasked};
use xen::irq::handler::Status;
use xen::irq::place::PlacedDesc;
use xen::irq::stack::OwnStack;
use xen::irq::{log, options, signal};
use xen::objects::domain::Domain;
use xen::objects::irq_desc::{HeldDesc, IrqDesc, LockedDesc};
use xen::objects::pirq::{PirqView, lock_desc_of};
use xen::objects::vcpu::Vcpu;
use xen::sync::irqs::{self, IrqsOff};
use xen::xen_assert;

/// Tells guests of an interrupt that this CPU has received (`do_IRQ_guest()`).
#[doc(alias = "do_IRQ_guest")]
#[inline(always)]
pub fn deliver(held: HeldDesc<'_>, vector: u8, irqs: IrqsOff<'_>) {
    let Some(guests) = held.guests() else {
        xen_assert!(false);
        return;
    };
    if guests.arrive() == Arrival::End {
        // It has slipped through while the IRQ is being released.
        xen_assert!(held.has(Status::DISABLED));
        held.end(vector);
        return;
    }
    let waits = guests.acknowledge() != Acknowledge::None;
    if waits {
        guests.stop_timer();
        if guests.wait(vector, irqs).is_err() {
            xen_assert!(false);
        }
    }
    for guest in guests.guests() {
        guests.tell(guest);
    }
    if waits {
        guests.start_timer(irqs);
    }
}

/// Sends EOIs that are ready, from the top of this CPU's stack (`flush_ready_eoi()`).
#[doc(alias = "flush_ready_eoi")]
pub fn flush(irqs: IrqsOff<'_>) {
    let stack = OwnStack::of(irqs);
    while let Some(top) = stack.ready() {
        if let Some(desc) = IrqDesc::numbered(top.irq()) {
            signal::with_lock(desc, irqs, |held| {
                if held.has_end() {
                    held.end(top.vector());
                } else {
                    // The IRQ was destroyed meanwhile. The interrupt is in service still.
                    signal::end_of_interrupt();
                }
            });
        }
        stack.pop();
    }
}

/// Ends an IRQ on this CPU, which was told that it may be ended, if that is still so
/// (`set_eoi_ready()`).
#[doc(alias = "set_eoi_ready")]
#[doc(alias = "__set_eoi_ready")]
pub fn set_ready(desc: IrqDesc<'_>, irqs: IrqsOff<'_>) {
    signal::with_lock(desc, irqs, |held| {
        if let Some(guests) = held.guests() {
            guests.may_end(irqs);
        }
    });
    flush(irqs);
}

/// Returns whether the EOI of an interrupt of this CPU waits for others, from now on
/// (`end_nonmaskable_irq()`).
#[doc(alias = "end_nonmaskable_irq")]
#[inline(always)]
pub fn defer(desc: HeldDesc<'_>, vector: u8, irqs: IrqsOff<'_>) -> bool {
    let waits = OwnStack::of(irqs).defer(desc.number(), vector);
    xen_assert!(waits.is_ok());
    waits == Ok(true)
}

/// A guest has handled an interrupt (`desc_guest_eoi()`). The lock is dropped.
#[doc(alias = "desc_guest_eoi")]
pub fn answer(locked: LockedDesc<'static>, pirq: PirqView<'_>) {
    let held = locked.held();
    let Some(guests) = held.guests() else { return };
    let done = guests.answer(pirq);
    if done == Done::Nothing {
        return;
    }
    guests.stop_timer();
    if done == Done::Unmask {
        xen_assert!(guests.waited_for().is_empty());
        held.end(0);
        return;
    }
    let mut others = guests.waited_for();
    let me = OwnStack::of(locked.irqs()).cpu();
    let Some(desc) = IrqDesc::numbered(held.number()) else {
        return;
    };
    if others.contains(me) {
        others.remove(me);
        guests.may_end(locked.irqs());
        locked.unlock_and(flush);
    } else {
        drop(locked);
    }
    if !others.is_empty() {
        signal::tell_ready(&others, desc, false);
    }
}

/// A guest has handled an interrupt (`pirq_guest_eoi()`).
///
/// Context: IRQs on.
#[doc(alias = "pirq_guest_eoi")]
pub fn answer_pirq(pirq: PirqView<'_>) {
    xen_assert!(irqs::are_on());
    if let Some(locked) = pirq.lock_own_desc() {
        answer(locked, pirq);
    }
}

/// A domain has handled all interrupts whose event channels it has unmasked
/// (`pirq_guest_unmask()`).
#[doc(alias = "pirq_guest_unmask")]
pub fn answer_unmasked(domain: Domain<'_>) {
    unmasked(domain, answer_pirq);
}

/// Guests have not answered in time (`irq_guest_eoi_timer_fn()`).
///
/// Context: IRQs on.
#[doc(alias = "irq_guest_eoi_timer_fn")]
pub fn time_out(desc: IrqDesc<'_>) {
    let locked = desc.lock();
    let held = locked.held();
    let Some(guests) = held.guests() else { return };
    xen_assert!(guests.acknowledge() != Acknowledge::None);
    // All have answered; or the timer was set again before this had the lock.
    if guests.in_flight() == 0 || guests.timer_is_active() {
        return;
    }
    let done = guests.time_out();
    if guests.in_flight() != 0 {
        log::still_in_flight(held.irq(), guests.in_flight(), guests.count());
        xen_assert!(false);
    }
    carry_out(done, locked, desc);
}

/// Does what is to be done when guests have answered, and drops the lock.
fn carry_out(done: Done, locked: LockedDesc<'_>, desc: IrqDesc<'_>) {
    match done {
        Done::Nothing => {}
        Done::Unmask => locked.held().end(0),
        Done::TellCpus => {
            let waited_for = locked.held().guests().map(|guests| guests.waited_for());
            drop(locked);
            if let Some(waited_for) = waited_for {
                signal::tell_ready(&waited_for, desc, false);
            }
        }
    }
}

/// Returns whether more than one guest handles the IRQ of a pirq (`pirq_shared()`).
#[doc(alias = "pirq_shared")]
pub fn is_shared(domain: Domain<'_>, pirq: i32) -> bool {
    let locked = lock_desc_of(domain, pirq);
    let count = locked.and_then(|locked| Some(locked.held().guests()?.count()));
    count.is_some_and(|count| count > 1)
}

/// Has the IRQ of a pirq move to other CPUs (`pirq_set_affinity()`).
#[doc(alias = "pirq_set_affinity")]
pub fn set_affinity(domain: Domain<'_>, pirq: i32, cpus: xen::irq::cpus::Cpus<'_>) {
    let Some(locked) = lock_desc_of(domain, pirq) else {
        return;
    };
    if let Some(held) = PlacedDesc::of(locked.held()) {
        crate::set_pending_affinity(held, cpus);
    }
}

/// Binds a guest to the IRQ of its pirq; `shares` says that it would share the IRQ
/// (`pirq_guest_bind()`).
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::INVAL`] where the pirq stands for no IRQ, or for one that was destroyed and is not in
/// use again, [`Errno::BUSY`] where another has it, [`Errno::NOMEM`].
#[doc(alias = "pirq_guest_bind")]
pub fn bind(vcpu: Vcpu<'_>, guest: LockedGuest<'_>, shares: bool) -> Result<(), Errno> {
    xen_assert!(irqs::are_on());
    let (domain, pirq) = (guest.domain(), guest.pirq());
    let most = if shares { options::most_guests() } else { 1 };
    let mut new = None;
    loop {
        let locked = pirq.lock_own_desc().ok_or(Errno::INVAL)?;
        let held = locked.held();
        let is_first = held.guests().is_none();
        if is_first {
            if held.is_of_message() && held.is_unused() {
                return Err(Errno::INVAL);
            }
            if held.has_action() {
                log::in_use(held, domain, pirq);
                return Err(Errno::BUSY);
            }
            let Some(new) = new.take() else {
                drop(locked);
                new = NewGuests::allocate(most);
                if new.is_none() {
                    log::bind_out_of_memory(domain, pirq);
                    return Err(Errno::NOMEM);
                }
                continue;
            };
            install(held, new, vcpu.processor(), shares)?;
        }
        let Some(guests) = held.guests() else {
            xen_assert!(false);
            return Err(Errno::INVAL);
        };
        match guests.bind(guest, is_first, shares) {
            Ok(()) => {}
            Err(Refused::Releasing) => {
                xen_assert!(guests.acknowledge() == Acknowledge::Eoi);
                xen_assert!(held.has(Status::DISABLED));
                drop(locked);
                core::hint::spin_loop();
                continue;
            }
            Err(Refused::Full) => {
                log::too_many_guests(domain, pirq);
                return Err(Errno::BUSY);
            }
            Err(Refused::WillNotShare | Refused::OthersDoNotShare) => {
                log::not_shared(domain, pirq, shares);
                return Err(Errno::BUSY);
            }
        }
        let waits = guests.acknowledge() != Acknowledge::None;
        domain.set_pirq_eoi(pirq.number(), waits);
        // What another has made superfluous is freed when the lock was dropped.
        drop(locked);
        return Ok(());
    }
}

/// Sets an IRQ up for its first guest, on the CPU that the guest's vCPU is on.
fn install(held: HeldDesc<'_>, new: NewGuests, cpu: u32, shares: bool) -> Result<(), Errno> {
    let Some(acknowledge) = held.acknowledge_type() else {
        log::unknown_type(held);
        xen_assert!(false);
        return Err(Errno::INVAL);
    };
    new.install(held, acknowledge, shares);
    if held.can_move()
        && let Some(placed) = PlacedDesc::of(held)
        && let Some(cpus) = affinity_of_first(placed, cpu)
    {
        held.move_to(cpus);
    }
    held.set_disabled(false);
    held.start_up();
    Ok(())
}

/// Unbinds a guest (`__pirq_guest_unbind()`). Returns what is to be freed, if that was the last
/// one.
#[doc(alias = "__pirq_guest_unbind")]
fn unbind_locked(locked: LockedDesc<'static>, guest: Guest<'_>) -> Option<TakenGuests> {
    let held = locked.held();
    let desc = IrqDesc::numbered(held.number())?;
    let Some(guests) = held.guests() else {
        // Its device was removed, and the IRQ with it.
        log::nothing_to_unbind(guest.domain(), guest.pirq());
        return None;
    };
    // Another domain may have the number of such an IRQ.
    let unbound = guests.unbind(guest.domain())?;
    xen_assert!(!guest.pirq().is_masked());
    match unbound {
        Unbound::Others(done) => {
            carry_out(done, locked, desc);
            return None;
        }
        Unbound::Last(Done::Unmask) => held.end(0),
        Unbound::Last(_) => {}
    }
    xen_assert!(guests.in_flight() == 0);
    // Before the lock is dropped: a level that nothing handles would come again and again.
    held.disable();
    held.set_disabled(true);
    let waited_for = guests.waited_for();
    if waited_for.is_empty() {
        return take_and_shut_down(held);
    }
    xen_assert!(guests.acknowledge() == Acknowledge::Eoi);
    drop(locked);
    signal::tell_ready(&waited_for, desc, true);
    take_and_shut_down(desc.lock().held())
}

/// Takes what guests handled from an IRQ that has no guest any more, and switches its source off.
fn take_and_shut_down(held: HeldDesc<'_>) -> Option<TakenGuests> {
    let taken = held.take_guests()?;
    held.shut_down();
    Some(taken)
}

/// Locks an IRQ that is destroyed, after all guests were unbound from it. What they handled is to
/// be freed when the lock was dropped.
///
/// Most often there are none: who unmaps a pirq unbinds its guest first. Not so where dom0 removes
/// a function and XSM does not let its pirqs be unmapped.
///
/// Context: IRQs on.
pub fn abandon(desc: IrqDesc<'static>) -> (LockedDesc<'static>, Option<TakenGuests>) {
    loop {
        let locked = desc.lock();
        let held = locked.held();
        let Some(guests) = held.guests() else {
            return (locked, None);
        };
        held.shut_down();
        held.set_disabled(true);
        guests.unbind_all();
        let waited_for = guests.waited_for();
        if waited_for.is_empty() {
            let taken = held.take_guests();
            return (locked, taken);
        }
        // These CPUs send the EOI now; later the IRQ has no controller. Meanwhile another CPU may
        // take what the guests handled, and a guest be bound anew: so look again.
        drop(locked);
        signal::tell_ready(&waited_for, desc, true);
    }
}

/// Unbinds a guest from the IRQ of its pirq (`pirq_guest_unbind()`).
///
/// Context: IRQs on.
#[doc(alias = "pirq_guest_unbind")]
pub fn unbind(guest: LockedGuest<'_>) {
    xen_assert!(irqs::are_on());
    if let Some(locked) = guest.pirq().lock_own_desc() {
        if let Some(taken) = unbind_locked(locked, *guest) {
            taken.free();
        }
    } else {
        // It was unbound by force before, and the pirq has waited for this.
        let was_known = guest.forget();
        xen_assert!(was_known);
    }
}

/// Unbinds a guest, if it is bound; returns whether it was (`pirq_guest_force_unbind()`).
///
/// Context: IRQs on.
#[doc(alias = "pirq_guest_force_unbind")]
pub fn force_unbind(guest: LockedGuest<'_>) -> bool {
    xen_assert!(irqs::are_on());
    let locked = guest.pirq().lock_own_desc();
    xen_assert!(locked.is_some());
    let Some(locked) = locked else { return false };
    let held = locked.held();
    let Some(guests) = held.guests() else {
        if held.has(Status::GUEST) {
            log::nothing_to_unbind(guest.domain(), guest.pirq());
        }
        return false;
    };
    let is_bound = guests.guests().any(|one| one.domain() == guest.domain());
    if is_bound && let Some(taken) = unbind_locked(locked, *guest) {
        taken.free();
    }
    is_bound
}

/// Sends the EOIs that this CPU, which goes offline, has yet to send (`fixup_eoi()`).
#[doc(alias = "fixup_eoi")]
pub fn leave(irqs: IrqsOff<'_>) {
    let stack = OwnStack::of(irqs);
    // A CPU is waited for as long as its stack has an entry that is not ready.
    let mut index = 0;
    while let Some(one) = stack.nth(index) {
        index += 1;
        let desc = IrqDesc::numbered(one.irq()).filter(|_| !one.is_ready());
        if let Some(desc) = desc {
            signal::with_lock(desc, irqs, |held| {
                if let Some(guests) = held.guests() {
                    guests.leave(irqs);
                }
            });
        }
    }
    stack.set_all_ready();
    flush(irqs);
}

/// Debug key `i`: the guests of an IRQ.
#[doc(alias = "dump_irqs")]
pub fn dump(held: HeldDesc<'_>) {
    let Some(guests) = held.guests() else { return };
    let count = guests.count();
    log::dump_in_flight(guests.in_flight(), count != 0);
    for (number, guest) in guests.guests().enumerate() {
        let state = guest.event_state();
        let (pending, masked) = (state.map(|it| it.0), state.map(|it| it.1));
        log::dump_guest(guest, pending, masked, number + 1 == usize::from(count));
    }
}
