//! What CPUs ask each other to do.

use super::act::When;
use super::nested::{self, meanwhile, state};
use super::spec::{Mask, has};
use crate::side::{fault, record, with};
use crate::trace::Event;

/// Has the CPUs of a set call a function.
///
/// Without `wait` each has only been interrupted when this returns, and calls the function before
/// it does anything else. The CPU that asks is one of them at most; it calls the function at once.
pub(super) extern "C" fn on_selected_cpus(mask: *const Mask, function: u64, data: u64, wait: i32) {
    // SAFETY: the caller passes a set of as many CPUs as Xen is built for.
    let mask = unsafe { mask.read_unaligned() };
    let (irq, me) =
        super::platform::with(|platform| (platform.delivery.name_of(data), platform.me));
    let told = [mask[0], irq, u64::from(wait != 0), 0, 0, 0];
    record(Event::Call("on_selected_cpus", told));
    let (irqs_on, holds) = with(|env| (env.irqs_on, !env.held.is_empty()));
    if !irqs_on || holds {
        fault("CPUs are asked with IRQs off, or under a lock".to_owned());
    }
    let cpus = super::platform::with(|platform| platform.cpus);
    let online = state(|state| state.online());
    if mask
        .iter()
        .zip(&online)
        .any(|(asked, online)| asked & !online != 0)
    {
        fault("a CPU is asked that is offline".to_owned());
    }
    meanwhile(When::Asked);
    for cpu in (0..cpus).filter(|&cpu| has(&mask, cpu) && cpu != me) {
        // It has to end what it was asked before.
        answer(cpu);
        state(|state| state.asked[cpu] = Some((function, data)));
        if wait != 0 {
            answer(cpu);
            meanwhile(When::Done);
        }
    }
    if has(&mask, me) {
        record(Event::Call("asked", [me as u64, irq, 0, 0, 0, 0]));
        nested::call(me, function as usize, [data], true);
    }
    meanwhile(When::Done);
}

/// A CPU does what it was asked to do.
pub(super) fn answer(cpu: usize) -> bool {
    let Some((function, data)) = state(|state| state.asked[cpu].take()) else {
        return false;
    };
    let irq = state(|state| state.name_of(data));
    record(Event::Call("asked", [cpu as u64, irq, 0, 0, 0, 0]));
    nested::call(cpu, function as usize, [data], true);
    true
}
