//! Interrupts that arrive (`do_IRQ()`).
//!
//! 1. What stands at the vector on this CPU is an IRQ, or a negative number. In that case a
//!    function may have the vector; else nothing has, and the log tells of it.
//! 2. The IRQ's source is told that the interrupt has arrived.
//! 3. Guests are told, unless the IRQ comes too often: see [`crate::guests`].
//! 4. Or one of Xen's handlers runs, with IRQs on and without the lock. It runs again if the IRQ
//!    has arrived meanwhile, on whichever CPU, and so on one CPU at a time.
//! 5. The source is told that the interrupt was handled. That may be the EOI: it waits where those
//!    of others are to be sent before. No EOI is sent from the time when the handler begins to this
//!    step, but for interrupts that interrupt it (`irq_core::irq::eoi`); those that became ready
//!    meanwhile are sent now.

use crate::guests;
use irq_core::irq::vectors::{FIRST_LEGACY, LAST_LEGACY};
use xen::arch::cpu::this_cpu_number;
use xen::irq::interrupt::Interrupt;
use xen::irq::place::PlacedDesc;
use xen::irq::rate_limit::{self, PERIOD};
use xen::irq::request::Request;
use xen::irq::stack::OwnStack;
use xen::irq::{direct, log, options, signal};
use xen::objects::irq_desc::{HeldDesc, IrqDesc};
use xen::sync::irqs::IrqsOff;

/// What is left to be done for an interrupt after the first look at its IRQ.
enum Left {
    Nothing,
    /// Ready EOIs are sent.
    Flush,
    /// Xen's handler runs. `ends` says that something is to be done after it.
    Handle {
        request: Request,
        ends: bool,
    },
}

/// Handles an interrupt.
#[doc(alias = "do_IRQ")]
#[inline(always)]
pub fn deliver(interrupt: &mut Interrupt) {
    let slot = interrupt.slot();
    match u32::try_from(slot).ok().and_then(IrqDesc::numbered) {
        Some(desc) => deliver_irq(interrupt, desc),
        None if direct::call(interrupt.vector(), interrupt.irqs()) => {}
        None => unexpected(interrupt.vector(), slot, interrupt.irqs()),
    }
}

/// Handles one of an IRQ.
#[inline(never)]
fn deliver_irq(interrupt: &mut Interrupt, desc: IrqDesc<'static>) {
    let vector = interrupt.vector();
    let irqs = interrupt.irqs();
    let left = signal::with_lock(desc, irqs, |held| {
        held.acknowledge();
        if held.is_for_guests() {
            if is_too_often(held, irqs) {
                return end(held, vector, irqs);
            }
            let begin = signal::trace_begin();
            guests::deliver(held, vector, irqs);
            signal::trace_handled(desc, begin);
            return Left::Nothing;
        }
        let Some(request) = held.begin() else {
            return end(held, vector, irqs);
        };
        let ends = held.has_end();
        if ends {
            OwnStack::of(irqs).enter();
        }
        Left::Handle { request, ends }
    });
    match left {
        Left::Nothing => {}
        Left::Flush => guests::flush(irqs),
        Left::Handle { request, ends } => handle(interrupt, desc, request, ends),
    }
}

/// Runs Xen's handler, as often as the IRQ arrives meanwhile.
fn handle(interrupt: &mut Interrupt, desc: IrqDesc<'_>, request: Request, ends: bool) {
    let vector = interrupt.vector();
    let mut next = Some(request);
    while let Some(request) = next {
        let begin = signal::trace_begin();
        interrupt.handle(&request);
        signal::trace_handled(desc, begin);
        let irqs = interrupt.irqs();
        next = request.next(irqs, |held| {
            if ends {
                held.end(vector);
                OwnStack::of(irqs).leave();
            }
        });
    }
    if ends {
        guests::flush(interrupt.irqs());
    }
}

/// Ends an interrupt that is not handled now.
fn end(held: HeldDesc<'_>, vector: u8, irqs: IrqsOff<'_>) -> Left {
    if !held.has_end() {
        return Left::Nothing;
    }
    let stack = OwnStack::of(irqs);
    stack.enter();
    held.end(vector);
    stack.leave();
    Left::Flush
}

/// Counts an interrupt that is for guests. Returns whether too many have come; then the IRQ is
/// switched off for a while.
#[inline(always)]
fn is_too_often(held: HeldDesc<'_>, irqs: IrqsOff<'_>) -> bool {
    rate_limit::is_on()
        && held.count_interrupt() >= options::rate_limit()
        && !is_new_period(held, irqs)
}

/// More interrupts of an IRQ were counted than may come. Counts from now on, if it has been counted
/// long enough; else switches it off and returns false.
#[cold]
fn is_new_period(held: HeldDesc<'_>, irqs: IrqsOff<'_>) -> bool {
    let now = rate_limit::now();
    let is_new = now >= held.counted_since().wrapping_add(PERIOD);
    if is_new {
        held.count_since(now);
    } else {
        held.disable();
        held.enable_at(now.wrapping_add(PERIOD), irqs);
    }
    is_new
}

/// Ends an interrupt at a vector that nothing has.
#[cold]
#[inline(never)]
fn unexpected(vector: u8, slot: i32, irqs: IrqsOff<'_>) {
    let in_service = signal::is_in_service(vector);
    if in_service {
        signal::end_of_interrupt();
    }
    // PICs send one that is none when the cause has gone; to the first CPU, but for AMD's.
    let me = this_cpu_number();
    let is_bogus = (FIRST_LEGACY..=LAST_LEGACY).contains(&vector)
        && (me == 0 || signal::cpu_is_amd())
        && signal::is_bogus_8259a(vector - FIRST_LEGACY);
    if !is_bogus {
        log::no_handler(me, vector, slot, in_service);
        // The IRQ that had the vector has left its complement.
        let left = u32::try_from(!slot).ok().and_then(IrqDesc::numbered);
        if let Some(desc) = left.filter(|desc| desc.is_initialized()) {
            signal::with_lock(desc, irqs, |held| {
                if let Some(held) = PlacedDesc::of(held) {
                    log::left_vector(held);
                }
            });
        }
    }
    signal::trace_unmapped(vector);
}
