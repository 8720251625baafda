//! Some stacks by hand, and all that two CPUs, two IRQs of guests and two of Xen's can do, within
//! bounds; and that flaws are found.
//!
//! IRQs 0 and 2 are of guests, the first of two, the other of one; IRQs 1 and 3 are Xen's, above
//! these by their vectors. Each can arrive at either CPU, where nothing of its class or a higher
//! one is in service. A guest that has unbound does not bind again; five interrupts arrive at most.
//! CPU 1 goes offline once.

use super::*;
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::vec::Vec;

const CPUS: usize = 2;
const IRQS: usize = 4;
const GUESTS: [usize; IRQS] = [2, 0, 1, 0];
const ARRIVALS: u8 = 5;

fn is_xens(irq: usize) -> bool {
    GUESTS[irq] == 0
}

fn vector(irq: usize) -> u8 {
    0x31 + 0x10 * irq as u8
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Flaw {
    None,
    /// What is ready is ended, whatever is above it.
    OutOfOrder,
    /// Xen's own interrupts are ended at once.
    NotDeferred,
    /// What is ready is ended in the middle of one of Xen's handlers.
    Nested,
    /// It is ended when one of them has returned, although that had interrupted another.
    Inner,
    /// A CPU that is told that an IRQ is ready does not look whether it still is.
    InFlight,
    /// The last guest unbinds, and the CPUs are not told.
    Unbind,
    /// A CPU goes offline with what waits there.
    Offline,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cpu {
    online: bool,
    /// What is in service, an IRQ each.
    service: [bool; IRQS],
    stack: EoiStack<8>,
    /// The IRQs whose handlers run: each has interrupted the one before.
    handles: [bool; IRQS],
    /// The IRQs of which it was told that they may be ended.
    told: [bool; IRQS],
}

impl Cpu {
    fn highest(&self) -> Option<usize> {
        (0..IRQS).rev().find(|&irq| self.service[irq])
    }

    /// The IRQ whose handler has interrupted the others.
    fn innermost(&self) -> Option<usize> {
        (0..IRQS).rev().find(|&irq| self.handles[irq])
    }

    /// As if no handler ran.
    fn ready_whatever_runs(&self) -> Option<Waiting> {
        self.stack.waiting().last().copied().filter(|top| top.ready)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Irq {
    /// Which guests have it bound, and which handle it.
    bound: [bool; 2],
    masked: [bool; 2],
    in_flight: u8,
    /// The CPUs whose EOI is waited for.
    waits: [bool; CPUS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    cpus: [Cpu; CPUS],
    irqs: [Irq; IRQS],
    arrivals: u8,
    /// An EOI ended another interrupt than it was meant for, or one that a guest still handles.
    wrong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Arrive(usize, usize),
    /// Xen's handler returns.
    Return(usize),
    /// A guest is done, or all are taken to be, because none answers.
    Eoi(usize, usize),
    TimeOut(usize),
    Unbind(usize, usize),
    /// A CPU hears that an IRQ may be ended.
    Hear(usize, usize),
    Offline,
}

struct World(Flaw);

impl State {
    fn new() -> Self {
        let cpu = Cpu {
            online: true,
            service: [false; IRQS],
            stack: EoiStack::new(),
            handles: [false; IRQS],
            told: [false; IRQS],
        };
        let irq = |number: usize| Irq {
            bound: [0, 1].map(|guest| guest < GUESTS[number]),
            masked: [false; 2],
            in_flight: 0,
            waits: [false; CPUS],
        };
        Self {
            cpus: [cpu.clone(), cpu],
            irqs: [0, 1, 2, 3].map(irq),
            arrivals: 0,
            wrong: false,
        }
    }

    /// Sends an EOI for an IRQ.
    fn end(&mut self, cpu: usize, irq: usize) {
        self.wrong |= self.cpus[cpu].highest() != Some(irq);
        if let Some(highest) = self.cpus[cpu].highest() {
            self.cpus[cpu].service[highest] = false;
        }
    }

    fn flush(&mut self, cpu: usize, flaw: Flaw, nested: bool) {
        let ready = |cpu: &Cpu| match nested {
            true => cpu.ready_whatever_runs(),
            false => cpu.stack.ready(),
        };
        while let Some(top) = ready(&self.cpus[cpu]) {
            self.end(cpu, top.irq as usize);
            self.cpus[cpu].stack.pop();
        }
        if flaw == Flaw::OutOfOrder {
            let waiting = self.cpus[cpu].stack.waiting().to_vec();
            let below = waiting.split_last().map_or(&[][..], |(_, below)| below);
            for one in below.iter().filter(|one| one.ready) {
                self.end(cpu, one.irq as usize);
            }
        }
    }

    /// Tells the CPUs where an IRQ waits that it may be ended.
    fn tell(&mut self, irq: usize) {
        for cpu in 0..CPUS {
            self.cpus[cpu].told[irq] |= self.irqs[irq].waits[cpu];
        }
    }

    /// A guest no longer handles an IRQ; tells whether none does.
    fn done(&mut self, irq: usize, guest: usize) -> bool {
        let known = &mut self.irqs[irq];
        if !std::mem::take(&mut known.masked[guest]) {
            return false;
        }
        known.in_flight -= 1;
        known.in_flight == 0
    }

    fn arrive(&mut self, cpu: usize, irq: usize) {
        self.arrivals += 1;
        self.cpus[cpu].service[irq] = true;
        if is_xens(irq) {
            self.cpus[cpu].handles[irq] = true;
            self.cpus[cpu].stack.enter();
            return;
        }
        if self.irqs[irq].bound == [false; 2] {
            // The last guest is unbinding.
            self.end(cpu, irq);
            return;
        }
        let pushed = self.cpus[cpu].stack.push(irq as u32, vector(irq));
        assert_eq!(pushed, Ok(()));
        let known = &mut self.irqs[irq];
        known.waits[cpu] = true;
        for guest in 0..2 {
            if known.bound[guest] && !std::mem::replace(&mut known.masked[guest], true) {
                known.in_flight += 1;
            }
        }
    }

    fn hear(&mut self, cpu: usize, irq: usize, flaw: Flaw) {
        self.cpus[cpu].told[irq] = false;
        let known = &mut self.irqs[irq];
        let handled = known.in_flight != 0 && flaw != Flaw::InFlight;
        if !handled && std::mem::take(&mut known.waits[cpu]) {
            self.wrong |= known.in_flight != 0;
            self.cpus[cpu].stack.set_ready(irq as u32);
        }
        self.flush(cpu, flaw, flaw == Flaw::Nested);
    }

    fn unbind(&mut self, irq: usize, guest: usize, flaw: Flaw) {
        self.irqs[irq].bound[guest] = false;
        let done = self.done(irq, guest);
        let last = self.irqs[irq].bound == [false; 2];
        if (done || last) && flaw != Flaw::Unbind {
            self.tell(irq);
        }
    }

    fn offline(&mut self, flaw: Flaw) {
        let cpu = 1;
        self.cpus[cpu].online = false;
        self.cpus[cpu].told = [false; IRQS];
        for irq in 0..IRQS {
            self.irqs[irq].waits[cpu] = false;
        }
        if flaw != Flaw::Offline {
            self.cpus[cpu].stack.set_all_ready();
            self.flush(cpu, flaw, false);
        }
    }

    /// A handler of Xen's returns.
    fn leave(&mut self, cpu: usize, flaw: Flaw) {
        let Some(irq) = self.cpus[cpu].innermost() else {
            return;
        };
        self.cpus[cpu].handles[irq] = false;
        let waits = self.cpus[cpu].stack.leave(irq as u32, vector(irq)) == Ok(true);
        if flaw == Flaw::NotDeferred || !waits {
            self.end(cpu, irq);
        }
        self.flush(cpu, flaw, flaw == Flaw::Inner);
    }

    /// Whether nothing is going to happen by itself.
    fn is_at_rest(&self) -> bool {
        let idle = |cpu: &Cpu| cpu.innermost().is_none() && cpu.told == [false; IRQS];
        self.cpus.iter().all(idle) && self.irqs.iter().all(|irq| irq.in_flight == 0)
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        Vec::from([State::new()])
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.wrong {
            return;
        }
        for (cpu, it) in state.cpus.iter().enumerate().filter(|(_, it)| it.online) {
            if state.arrivals < ARRIVALS {
                let first = it.highest().map_or(0, |highest| highest + 1);
                actions.extend((first..IRQS).map(|irq| Action::Arrive(cpu, irq)));
            }
            if it.innermost().is_some() {
                actions.push(Action::Return(cpu));
            }
            let told = (0..IRQS).filter(|&irq| it.told[irq]);
            actions.extend(told.map(|irq| Action::Hear(cpu, irq)));
        }
        for (irq, known) in state.irqs.iter().enumerate() {
            for guest in 0..2 {
                if known.masked[guest] {
                    actions.push(Action::Eoi(irq, guest));
                }
                if known.bound[guest] {
                    actions.push(Action::Unbind(irq, guest));
                }
            }
            if known.in_flight != 0 {
                actions.push(Action::TimeOut(irq));
            }
        }
        if state.cpus[1].online && state.cpus[1].innermost().is_none() {
            actions.push(Action::Offline);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Arrive(cpu, irq) => state.arrive(cpu, irq),
            Action::Return(cpu) => state.leave(cpu, self.0),
            Action::Eoi(irq, guest) => {
                if state.done(irq, guest) {
                    state.tell(irq);
                }
            }
            Action::TimeOut(irq) => {
                let done = [0, 1].map(|guest| state.done(irq, guest));
                if done.contains(&true) {
                    state.tell(irq);
                }
            }
            Action::Unbind(irq, guest) => state.unbind(irq, guest, self.0),
            Action::Hear(cpu, irq) => state.hear(cpu, irq, self.0),
            Action::Offline => state.offline(self.0),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::from([
            Property::always("ended in order", |_, state: &State| !state.wrong),
            Property::always("all ended", |_, state: &State| {
                let in_service = |cpu: &Cpu| cpu.highest().is_some() || !cpu.stack.is_empty();
                !state.is_at_rest() || !state.cpus.iter().any(in_service)
            }),
            Property::always("gone", |_, state: &State| {
                let gone = |cpu: &Cpu| cpu.online || cpu.highest().is_none();
                state.cpus.iter().all(gone)
            }),
            Property::sometimes("deferred", |_, state: &State| {
                let defers = |cpu: &Cpu| {
                    cpu.stack
                        .waiting()
                        .iter()
                        .any(|one| is_xens(one.irq as usize))
                };
                state.cpus.iter().any(defers)
            }),
        ])
    }
}

/// The property that a flaw breaks.
fn broken_by(flaw: Flaw) -> Option<&'static str> {
    let checker = World(flaw)
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut found = checker.discoveries();
    let deferred = found.remove("deferred");
    std::eprintln!("{flaw:?}: {} states", checker.unique_state_count());
    let name = found.into_keys().next();
    assert!(name.is_some() || deferred.is_some());
    name
}

#[test]
fn every_interrupt_is_ended_once_and_in_order() {
    assert_eq!(broken_by(Flaw::None), None);
}

#[test]
fn flaws_are_found() {
    for flaw in [
        Flaw::OutOfOrder,
        Flaw::NotDeferred,
        Flaw::Nested,
        Flaw::Inner,
        Flaw::InFlight,
        Flaw::Unbind,
        Flaw::Offline,
    ] {
        assert!(broken_by(flaw).is_some(), "{flaw:?}");
    }
}

#[test]
fn what_is_ready_waits_for_what_is_above() {
    let mut stack = EoiStack::<4>::new();
    let handled = |stack: &mut EoiStack<4>, vector| {
        stack.enter();
        stack.leave(9, vector)
    };
    assert!(handled(&mut stack, 0x50) == Ok(false) && stack.is_empty());
    for (irq, vector) in [(1, 0x31), (2, 0x41), (3, 0x61)] {
        assert_eq!(stack.push(irq, vector), Ok(()));
    }
    // Above all, it is ended at once; between others, it waits and is ready.
    assert_eq!(handled(&mut stack, 0x71), Ok(false));
    assert_eq!(handled(&mut stack, 0x51), Ok(true));
    // The stack is full for another, and the others stay.
    assert_eq!(stack.push(4, 0x71), Err(Full));
    assert_eq!(handled(&mut stack, 0x59), Err(Full));
    assert!(stack.set_ready(2) && stack.ready().is_none());
    assert!(stack.set_ready(3));
    for expected in [(3, 0x61), (9, 0x51), (2, 0x41)] {
        let top = stack.ready().unwrap();
        assert_eq!((top.irq, top.vector), expected);
        stack.pop();
    }
    assert!(stack.ready().is_none() && !stack.is_empty());
    stack.set_all_ready();
    assert_eq!(stack.ready().map(|top| top.irq), Some(1));
    stack.pop();
    assert!(stack.is_empty());
}

#[test]
fn of_an_irq_that_waits_twice_the_last_is_ready() {
    let mut stack = EoiStack::<4>::new();
    for vector in [0x31, 0x41] {
        assert_eq!(stack.push(1, vector), Ok(()));
    }
    assert!(stack.set_ready(1));
    assert_eq!(stack.ready().map(|top| top.vector), Some(0x41));
    stack.pop();
    assert!(stack.ready().is_none());
}
