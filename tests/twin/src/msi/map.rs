//! Steps of several calls, as mapping interrupts for a domain and unmapping them are.

use xen_sys as sys;

use super::api::Api;
use super::call::call;
use super::descs::is_free;
use super::descs::{self, Found};
use super::enable::{enable, irq_for};
use super::irqs::bind;
use super::onlooker;
use super::op::{Base, Op, Wish};
use super::pirqs;
use super::platform::Platform;
use super::world::World;
use crate::answer::Answer;
use crate::side::{Outcome, Script, Side};
use crate::trace::Entry;
use crate::trap::Trap;
use crate::xen::{get, set};

/// Several calls in one step, and what all of them did.
struct Calls<'a> {
    side: &'a mut Side,
    script: Script,
    trace: Vec<Entry>,
}

impl<'a> Calls<'a> {
    fn new(side: &'a mut Side, script: Script) -> Self {
        Self {
            side,
            script,
            trace: Vec::new(),
        }
    }

    /// Makes a call.
    fn make<R>(&mut self, body: impl FnOnce(&mut Side, Script) -> R) -> R {
        let outcome = body(self.side, self.script);
        self.trace.append(&mut self.side.env().trace);
        outcome
    }

    /// Makes a call with a descriptor.
    fn with_desc(&mut self, function: usize, desc: *mut sys::msi_desc) -> Outcome {
        self.make(|side, script| call(side, function, &[desc as u64], script))
    }

    /// Ends the step.
    fn end(self, answer: Answer) -> Option<Answer> {
        self.side.env().trace = self.trace;
        Some(answer)
    }
}

/// An answer as an `int`; errors of a call that went through are negative.
fn failed(outcome: &Outcome) -> bool {
    *outcome != Ok(0)
}

pub(super) fn map(
    side: &mut Side,
    api: &Api,
    world: &World,
    wish: Wish,
    script: Script,
) -> Option<Answer> {
    let first = irq_for(side, world, wish)?;
    let device = wish.device % world.devices.len();
    let mut calls = Calls::new(side, script);
    let place = (device, first, wish);
    let enabled = calls.make(|side, script| enable(side, api, world, place, script));
    if failed(&enabled.outcome) {
        return calls.end(enabled);
    }
    // SAFETY: the place lies in the arena.
    let desc = unsafe { world.out.read() };
    let count = Found { desc }.count();
    let mut irq = first;
    for number in 0..count {
        let interrupt = world.irq(irq);
        let outcome = if is_free(calls.side, interrupt) {
            let arguments = [interrupt as u64, desc.wrapping_add(number) as u64];
            calls.make(|side, script| bind(side, api.set_up, &arguments, interrupt, script))
        } else {
            Ok(-libc::EBUSY as u64)
        };
        let answer = Answer {
            output: Some(number as u64),
            ..Answer::int(outcome)
        };
        if matches!(answer.outcome, Err(Trap::Bug(_) | Trap::Fault(_))) {
            return calls.end(answer);
        }
        if failed(&answer.outcome) {
            return undo(calls, api, world, (desc, number), answer);
        }
        if number + 1 == count {
            break;
        }
        let Some(next) = descs::free_irq(calls.side, world, irq) else {
            return undo(calls, api, world, (desc, number + 1), answer);
        };
        irq = next;
        set!(desc.wrapping_add(number + 1), irq, irq as i32);
    }
    pirqs::map(calls.side, Found { desc });
    calls.end(Answer {
        output: Some(count as u64),
        ..Answer::int(Ok(0))
    })
}

/// Undoes the mapping of a block of which so many messages are set up, as `map_domain_pirq()` does.
fn undo(
    mut calls: Calls<'_>,
    api: &Api,
    world: &World,
    (desc, number): (*mut sys::msi_desc, usize),
    answer: Answer,
) -> Option<Answer> {
    let disabled = calls.with_desc(api.disable, desc);
    if disabled.is_err() {
        return calls.end(Answer::void(disabled));
    }
    if number > 0 {
        let first = world.irq(get!(desc, irq) as usize);
        set!(
            first,
            handler,
            calls.side.env().unit.of::<Platform>().no_irq_type as *const _
        );
        set!(first, msi_desc, std::ptr::null_mut());
    }
    set!(desc, irq, -1);
    let freed = calls.with_desc(api.free, desc);
    if freed.is_err() {
        return calls.end(Answer::void(freed));
    }
    calls.end(answer)
}

pub(super) fn unmap(
    side: &mut Side,
    api: &Api,
    world: &World,
    desc: usize,
    script: Script,
) -> Option<Answer> {
    let all = descs::all(side, world).ok()?;
    let found = all[desc.checked_rem(all.len())?];
    pirqs::unmap(side, found);
    let desc = found.desc;
    let mut calls = Calls::new(side, script);
    let disabled = calls.with_desc(api.disable, desc);
    if disabled.is_err() {
        return calls.end(Answer::void(disabled));
    }
    onlooker::look_at_call(calls.side, world, script.salt);
    let freed = calls.with_desc(api.free, desc);
    calls.end(Answer::int(freed))
}

/// Sets up entries of a table: the first of each page, or those in a row.
pub(super) fn many(
    side: &mut Side,
    api: &Api,
    world: &World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    let (device, entries): (usize, Vec<usize>) = match *op {
        Op::Crowd { device } => {
            let device = device % world.devices.len();
            let msix = world.spec.devices[device].msix?;
            let first = msix.table.1 as usize % 0x1000 / 16;
            let all = (0..msix.entries as usize).filter(|entry| {
                // The first entry, and those that begin a page.
                *entry == 0 || (entry + first).is_multiple_of(256)
            });
            (device, all.collect())
        }
        Op::Fill { device, count } => {
            let device = device % world.devices.len();
            let entries = world.spec.devices[device].msix?.entries as usize;
            (device, (0..count.min(entries)).collect())
        }
        _ => return None,
    };
    let mut calls = Calls::new(side, script);
    let mut last = Answer::int(Ok(0));
    for entry in entries {
        let wish = Wish {
            device,
            msix: true,
            entry,
            count: 1,
            base: Base::Right,
            irq: 0,
            taken: false,
        };
        let Some(irq) = irq_for(calls.side, world, wish) else {
            break;
        };
        let place = (device, irq, wish);
        last = calls.make(|side, script| enable(side, api, world, place, script));
        if failed(&last.outcome) {
            break;
        }
    }
    calls.end(last)
}
