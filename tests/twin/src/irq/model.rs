//! What C answers or leaves behind where Rust does not.
//!
//! 1. *CPUs that have cleaned up.* C keeps them in the old place as long as others have yet to, so
//!    that it counts one again that goes offline, and an IRQ that returns to its old place gets its
//!    vector on one that may have given it to another IRQ. C's old place is put right after each
//!    step.
//! 2. *IRQs that are destroyed while CPUs have yet to clean up.* C keeps the old place, and another
//!    IRQ of that number gets it. Rust gives it up; so does C then.
//! 3. *CPUs that go offline.* C may send what is pending there to a CPU that is offline. Rust sends
//!    it to one of the IRQ's that is not, or nowhere.
//! 4. *What handles an IRQ that is destroyed.* C frees it, also where it is a part of something
//!    else, as the action of a serial port; no caller destroys such an IRQ. Rust does not.
//! 5. *EOIs while Xen's handler runs.* Where the controller of an IRQ is told its end after Xen's
//!    handler has returned, and a guest answers for another IRQ of that CPU meanwhile, C ends that
//!    one at once. The local APIC may end the wrong one of the two then. Rust waits until the
//!    handler has returned. Rust goes on alone.
//! 6. *Locks.* Rust may take the lock of a descriptor by another function than C does, and takes it
//!    where C writes without it on a CPU that goes offline. When Xen's handler has returned, IRQs
//!    may be off or on while that is traced.
//! 7. *EOIs of IRQs that are destroyed.* An interrupt waits for its EOI behind a higher one while
//!    its IRQ is destroyed. C asks the controller, which has none any more, and its vector stays in
//!    service. Rust sends the EOI. Rust goes on alone.
//! 8. *IRQs that are destroyed while guests have them.* C frees the guests' timer, which may run.
//!    Rust unbinds the guests before, and goes on alone.
//! 9. *Guests that bind an IRQ that was destroyed.* C lets them have it. Rust refuses, and goes on
//!    alone.
//! 10. *Blocks of messages that cannot be mapped.* C leaves the pirqs of the messages before the
//!     one that fails with the numbers of IRQs that it destroys, and keeps an IRQ for whose pirq
//!     there was no memory. Rust leaves everything as it was. Rust goes on alone.
//! 11. *IRQs that were created in vain.* C keeps one that was created for a message where the pirq
//!     stands for something else, which is no error. Rust destroys it. Rust goes on alone.
//! 12. *Guests of blocks.* When a block of messages is unmapped, C unbinds the guest of the first
//!     and treats all pirqs as it treats that; it frees what guests of the others handle, whose
//!     timer may run. Rust unbinds each. Rust goes on alone.

use xen_sys as sys;

use super::act::Act;
use super::deliver::GONE;
use super::op::{HandledBy, Op};
use super::pirqs;
use super::spec::{Mask, Spec, has};
use super::timers::TIMER_LEFT;
use super::world::{Forward, Left, World, fill_set, set_at};
use crate::answer::Answer;
use crate::subject::Verdict;
use crate::trace::{Entry, Event};
use crate::trap::Trap;
use crate::xen::{get, set};

/// Why Rust goes on alone.
const EARLY: &str = "C ends a guest's IRQ while Xen's handler of another runs";

const DESTROYED: &str = "a guest binds an IRQ that was destroyed";
const BOUND: &str = "an IRQ was destroyed while guests had it";
const BLOCK: &str = "a block of messages cannot be mapped";
const IN_VAIN: &str = "an IRQ that was created for a pirq that stands for something else";
const BOUND_BLOCK: &str = "a block of messages is unmapped that guests handle";
const OWED: &str = "an interrupt whose IRQ was destroyed before its EOI";

/// What the last step asks for.
pub(crate) struct Model {
    /// Whether interrupts arrive in the world.
    delivers: bool,
    /// The old place of an IRQ that was destroyed.
    left: Option<Left>,
    /// What a CPU had to forward that went offline.
    forwards: Vec<Forward>,
    online: Mask,
    /// What Rust has forwarded and C has not.
    forwarded: Vec<(usize, u8)>,
    /// The CPU that may have cleaned up, and the IRQs of which it was to.
    cleaner: Option<(usize, Vec<usize>)>,
}

impl Model {
    pub(super) fn new(spec: &Spec) -> Self {
        Self {
            delivers: spec.delivery.is_some(),
            left: None,
            forwards: Vec::new(),
            online: Mask::default(),
            forwarded: Vec::new(),
            cleaner: None,
        }
    }

    /// Decides whether the effects of a step agree.
    pub(super) fn same_effects(&mut self, op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        let has_locks = self.delivers && {
            matches!(
                op,
                Op::Deliver { .. } | Op::Offline { .. } | Op::Pirqs { .. }
            )
        };
        let known = |entries: &[Entry]| -> Vec<_> {
            let mut entries = entries.to_vec();
            if has_locks {
                entries.retain(|entry| {
                    !matches!(entry.event, Event::Lock { .. } | Event::Unlock { .. })
                });
                let records = entries.iter_mut().filter(|entry| is_handled(&entry.event));
                records.for_each(|entry| entry.held.irqs_on = false);
            }
            entries
        };
        let (c, mut rust) = (known(c), known(rust));
        if let Some(left) = &self.left {
            let mut finished = Vec::new();
            rust.retain(|entry| {
                let finish = finish_of(&entry.event);
                finished.extend(finish);
                finish.is_none()
            });
            let expected = left.cpus.iter().map(|&cpu| (left.irq, left.vector, cpu));
            if !finished.into_iter().eq(expected) {
                return false;
            }
        }
        let mut rust = rust.iter().peekable();
        let mut forwards = std::mem::take(&mut self.forwards);
        for entry in &c {
            let lost = sent(&entry.event).filter(|(cpus, _)| !intersect(cpus, &self.online));
            let Some((_, vector)) = lost else {
                if rust.next() != Some(entry) {
                    return false;
                }
                continue;
            };
            let Some(at) = forwards.iter().position(|known| known.vector == vector) else {
                return false;
            };
            let targets = forwards.remove(at).targets;
            let cpus = (0..targets.len() * 64).filter(|&cpu| has(&targets, cpu));
            let mut cpus = cpus.peekable();
            if cpus.peek().is_none() {
                continue;
            }
            let Some((to, sent_vector)) = rust.next().and_then(|entry| sent(&entry.event)) else {
                return false;
            };
            let Some(cpu) = cpus.find(|&cpu| super::spec::only(cpu) == to) else {
                return false;
            };
            if sent_vector != vector {
                return false;
            }
            self.forwarded.push((cpu, vector));
        }
        rust.next().is_none()
    }

    /// Decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        let removes = |act: &Act| matches!(act, Act::Remove { .. });
        let binds = |act: &Act| matches!(act, Act::Bind { .. });
        let is_bound_block = c.output.unwrap_or(0) & pirqs::BOUND_BLOCK != 0;
        let unmaps_bound_block = matches!(op, Op::Pirqs { .. }) && is_bound_block;
        let rules = [
            (TIMER_LEFT, unmaps_bound_block, BOUND_BLOCK),
            (TIMER_LEFT, any(op, removes), BOUND),
            (GONE, any(op, binds), DESTROYED),
        ];
        if let Err(Trap::Fault(fault)) = &c.outcome
            && let Some(rule) = rules.iter().find(|rule| rule.0 == fault && rule.1)
        {
            return match &rust.outcome {
                Ok(_) => Ok(Verdict::Alone(rule.2)),
                Err(trap) => Err(format!("Rust ends by {trap:?}")),
            };
        }
        if let Err(trap) = &c.outcome {
            return Err(format!("C ends by {trap:?}"));
        }
        if let Err(trap) = &rust.outcome {
            return Err(format!("Rust ends by {trap:?}"));
        }
        if let Op::Deliver { .. } = op {
            self.left = None;
            self.forwards.clear();
            self.cleaner = None;
            self.online = world.online();
            self.forwarded.clear();
            // Bit 0: ended while a handler runs; bit 1: by C; above: EOIs that are owed.
            let (c, rust) = (c.output.unwrap_or(0), rust.output.unwrap_or(0));
            return if rust & 3 == 1 {
                Err("Rust ends a guest's IRQ while Xen's handler runs".to_owned())
            } else if rust >> 2 > c >> 2 {
                Err("Rust owes an EOI for an IRQ that was destroyed".to_owned())
            } else if c & 3 == 3 {
                Ok(Verdict::Alone(EARLY))
            } else if c >> 2 > rust >> 2 {
                Ok(Verdict::Alone(OWED))
            } else {
                Ok(Verdict::Continue)
            };
        }
        if let Op::Pirqs { call, .. } = op {
            self.left = None;
            self.forwards.clear();
            self.cleaner = None;
            self.online = world.online();
            self.forwarded.clear();
            let seen = |answer: &Answer| answer.output.unwrap_or(0) & pirqs::SEEN;
            let (in_c, in_rust) = (seen(c), seen(rust));
            if in_rust & pirqs::LEFT_BEHIND != 0 {
                return Err("a mapping that failed leaves something in Rust".to_owned());
            } else if in_rust & pirqs::LOST != 0 {
                return Err("an IRQ that was created is lost in Rust".to_owned());
            } else if c.outcome != rust.outcome {
                return Err("the answers differ".to_owned());
            } else if in_c & pirqs::BOUND_BLOCK != 0 {
                return Ok(Verdict::Alone(BOUND_BLOCK));
            } else if in_c & pirqs::LEFT_BEHIND != 0 && call.is_block() {
                return Ok(Verdict::Alone(BLOCK));
            } else if in_c & pirqs::LOST != 0 {
                return Ok(Verdict::Alone(IN_VAIN));
            } else if c.output != rust.output {
                return Err("what is answered beside differs".to_owned());
            }
            return Ok(Verdict::Continue);
        }
        let is_part = matches!(
            op,
            Op::Destroy {
                handled_by: HandledBy::Part,
                ..
            }
        );
        let frees = [c, rust].map(|answer| answer.output);
        if is_part && frees != [Some(1), Some(0)] {
            return Err(
                "what is a part of something else is freed, or C no longer does".to_owned(),
            );
        }
        if c.outcome != rust.outcome || !is_part && c.output != rust.output {
            return Err("the answers differ".to_owned());
        }
        self.left.clone_from(&world.left);
        self.forwards.clone_from(&world.forwards);
        self.online = world.online();
        self.forwarded.clear();
        self.cleaner.clone_from(&world.cleaner);
        Ok(Verdict::Continue)
    }

    /// Puts right what C leaves.
    pub(super) fn put_right(&mut self, world: &mut World) {
        if let Some(left) = self.left.take() {
            let desc = world.desc(left.irq);
            for &cpu in &left.cpus {
                world.set_slot(cpu, left.vector, !(left.irq as i32));
            }
            set!(desc, arch.old_vector, -1);
            set!(desc, arch.move_cleanup_count, 0);
            fill_set(get!(desc, arch.old_cpu_mask), Mask::default());
            if !left.map.is_null() {
                let bit = 1 << (left.vector % 64);
                // SAFETY: a map of used vectors of C's world; no call runs.
                unsafe { (*left.map)[usize::from(left.vector / 64)] &= !bit };
            }
        }
        for (cpu, vector) in self.forwarded.drain(..) {
            world.platform.pend(cpu, vector);
        }
        let Some((cpu, irqs)) = self.cleaner.take() else {
            return;
        };
        for irq in irqs
            .into_iter()
            .filter(|&irq| world.has_cleaned_up(irq, cpu))
        {
            let desc = world.desc(irq);
            let mut old = set_at(get!(desc, arch.old_cpu_mask));
            old[cpu / 64] &= !(1 << (cpu % 64));
            fill_set(get!(desc, arch.old_cpu_mask), old);
        }
    }
}

/// Whether such an act is part of a step.
fn any(op: &Op, is: impl Fn(&Act) -> bool) -> bool {
    let Op::Deliver { act, meanwhile } = op else {
        return false;
    };
    is(act) || meanwhile.iter().any(|(_, act)| is(act))
}

fn intersect(a: &Mask, b: &Mask) -> bool {
    a.iter().zip(b).any(|(a, b)| a & b != 0)
}

/// The CPUs that an interrupt was sent to, and its vector.
fn sent(event: &Event) -> Option<(Mask, u8)> {
    match event {
        Event::Call("send_IPI_mask", [a, b, c, d, vector, _]) => {
            Some(([*a, *b, *c, *d], *vector as u8))
        }
        _ => None,
    }
}

/// Whether this is the record that Xen's handler has returned.
fn is_handled(event: &Event) -> bool {
    matches!(event, Event::Call("trace", [event, ..]) if super::fakes::is_handled(*event as u32))
}

/// The IRQ, the vector and the CPU of a record that a move ended because the IRQ lost its vector.
fn finish_of(event: &Event) -> Option<(usize, u8, usize)> {
    const EVENT: u64 = 0xffff_ffff >> 4;
    let Event::Call("trace", [event, _, first, second, ..]) = event else {
        return None;
    };
    let is_finish = event & EVENT == sys::XEN_IRQ_TRC_MOVE_FINISH as u64 & EVENT;
    let (irq, vector) = (*first as u32, (first >> 32) as u32);
    is_finish.then_some((irq as usize, vector as u8, *second as u32 as usize))
}
