//! All that two CPUs, two IRQs of guests and two of Xen's can do, within bounds; and that flaws are
//! found.
//!
//! IRQs 0 and 2 are of guests, the first of two, the other of one; IRQs 1 and 3 are Xen's, above
//! these by their vectors. Each can arrive at either CPU, where nothing of its class or a higher
//! one is in service. A guest that has unbound does not bind again; five interrupts arrive at most.
//! CPU 1 goes offline once.

use super::*;
use crate::irq::cpus::{CpuSet, tests::Few as Set};
use crate::irq::eoi::Waiting;
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
        self.stack
            .waiting()
            .last()
            .copied()
            .filter(|top| top.is_ready())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Irq {
    /// Which guests have it bound, and which handle it.
    bound: [bool; 2],
    masked: [bool; 2],
    guests: Guests<Set>,
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
        let irq = |number: usize| {
            let mut guests = Guests::new(Acknowledge::Eoi, true, 2, Set(0));
            for guest in 0..GUESTS[number] {
                let place = match guest {
                    0 => guests.bind_first(),
                    _ => guests.bind(true),
                };
                assert_eq!(place, Ok(guest as u8));
            }
            Irq {
                bound: [0, 1].map(|guest| guest < GUESTS[number]),
                masked: [false; 2],
                guests,
            }
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
            self.end(cpu, top.irq() as usize);
            self.cpus[cpu].stack.pop();
        }
        if flaw == Flaw::OutOfOrder {
            let waiting = self.cpus[cpu].stack.waiting().to_vec();
            let below = waiting.split_last().map_or(&[][..], |(_, below)| below);
            for one in below.iter().filter(|one| one.is_ready()) {
                self.end(cpu, one.irq() as usize);
            }
        }
    }

    /// Tells the CPUs where an IRQ waits that it may be ended, if that is to be done.
    fn act(&mut self, irq: usize, done: Done) {
        if done == Done::TellCpus {
            for cpu in 0..CPUS {
                let waits = self.irqs[irq].guests.waited_for().contains(cpu as u32);
                self.cpus[cpu].told[irq] |= waits;
            }
        }
    }

    fn arrive(&mut self, cpu: usize, irq: usize) {
        self.arrivals += 1;
        self.cpus[cpu].service[irq] = true;
        if is_xens(irq) {
            self.cpus[cpu].handles[irq] = true;
            self.cpus[cpu].stack.enter();
            return;
        }
        let Irq {
            bound,
            masked,
            guests,
        } = &mut self.irqs[irq];
        if guests.arrive() == Arrival::End {
            assert_eq!(*bound, [false; 2]);
            self.end(cpu, irq);
            return;
        }
        let stack = &mut self.cpus[cpu].stack;
        let noted = guests.wait(cpu as u32, stack, irq as u32, vector(irq));
        assert_eq!(noted, Ok(()));
        for guest in 0..2 {
            if bound[guest] {
                guests.tell(std::mem::replace(&mut masked[guest], true));
            }
        }
    }

    fn hear(&mut self, cpu: usize, irq: usize, flaw: Flaw) {
        let Cpu { told, stack, .. } = &mut self.cpus[cpu];
        told[irq] = false;
        let guests = &mut self.irqs[irq].guests;
        let (me, known) = (cpu as u32, irq as u32);
        let in_flight = guests.in_flight;
        if flaw == Flaw::InFlight {
            guests.in_flight = 0;
        }
        let waited = guests.waited_for().contains(me);
        guests.may_end(me, stack, known);
        guests.in_flight = in_flight;
        self.wrong |= waited && !guests.waited_for().contains(me) && in_flight != 0;
        self.flush(cpu, flaw, flaw == Flaw::Nested);
    }

    fn unbind(&mut self, irq: usize, guest: usize, flaw: Flaw) {
        let Irq {
            bound,
            masked,
            guests,
        } = &mut self.irqs[irq];
        bound[guest] = false;
        let unbound = guests.unbind(std::mem::take(&mut masked[guest]));
        let done = match unbound {
            Unbound::Others(done) => done,
            Unbound::Last(Done::Nothing) => Done::TellCpus,
            Unbound::Last(_) => panic!("nothing is unmasked"),
        };
        if flaw != Flaw::Unbind {
            self.act(irq, done);
        }
    }

    fn offline(&mut self, flaw: Flaw) {
        let cpu = 1;
        self.cpus[cpu].online = false;
        self.cpus[cpu].told = [false; IRQS];
        for irq in 0..IRQS {
            self.irqs[irq].guests.leave(cpu as u32);
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
        let waits = self.cpus[cpu].stack.defer(irq as u32, vector(irq)) == Ok(true);
        self.cpus[cpu].stack.leave();
        if flaw == Flaw::NotDeferred || !waits {
            self.end(cpu, irq);
        }
        self.flush(cpu, flaw, flaw == Flaw::Inner);
    }

    /// Whether nothing is going to happen by itself.
    fn is_at_rest(&self) -> bool {
        let idle = |cpu: &Cpu| cpu.innermost().is_none() && cpu.told == [false; IRQS];
        self.cpus.iter().all(idle) && self.irqs.iter().all(|irq| irq.guests.in_flight() == 0)
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
            if known.guests.in_flight() != 0 {
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
                let Irq { masked, guests, .. } = &mut state.irqs[irq];
                let done = guests.answer(std::mem::take(&mut masked[guest]));
                state.act(irq, done);
            }
            Action::TimeOut(irq) => {
                let Irq { masked, guests, .. } = &mut state.irqs[irq];
                let were = std::mem::take(masked).iter().filter(|one| **one).count();
                let done = guests.time_out(were as u8);
                state.act(irq, done);
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
                let waited = |irq: &Irq| !irq.guests.waited_for().is_empty();
                let left = state.cpus.iter().any(in_service) || state.irqs.iter().any(waited);
                !state.is_at_rest() || !left
            }),
            Property::always("gone", |_, state: &State| {
                let gone = |cpu: &Cpu| cpu.online || cpu.highest().is_none();
                state.cpus.iter().all(gone)
            }),
            // A CPU is waited for as long as its stack has an entry that may not be ended.
            Property::always("agree", |_, state: &State| {
                (0..CPUS).all(|cpu| {
                    (0..IRQS).all(|irq| {
                        let entries = state.cpus[cpu].stack.waiting().iter();
                        let of_irq = |one: &&Waiting| one.irq() as usize == irq && !one.is_ready();
                        let waited = state.irqs[irq].guests.waited_for().contains(cpu as u32);
                        entries.filter(of_irq).count() == usize::from(waited)
                    })
                })
            }),
            Property::sometimes("deferred", |_, state: &State| {
                let defers = |cpu: &Cpu| {
                    cpu.stack
                        .waiting()
                        .iter()
                        .any(|one| is_xens(one.irq() as usize))
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
fn guests_share_only_where_all_want_to() {
    let none = || Set(0);
    let mut guests = Guests::new(Acknowledge::Unmask, false, 32, none());
    assert_eq!(guests.bind_first(), Ok(0));
    assert_eq!(guests.bind(false), Err(Refused::WillNotShare));
    assert_eq!(guests.bind(true), Err(Refused::OthersDoNotShare));
    let mut guests = Guests::new(Acknowledge::Unmask, true, 2, none());
    assert_eq!((guests.bind_first(), guests.bind(true)), (Ok(0), Ok(1)));
    assert_eq!(guests.bind(true), Err(Refused::Full));
    assert_eq!(guests.bind(false), Err(Refused::WillNotShare));
    assert_eq!(guests.count(), 2);
}

#[test]
fn a_source_is_unmasked_when_the_last_guest_has_answered() {
    let mut guests = Guests::new(Acknowledge::Unmask, true, 3, Set(0));
    let mut stack = EoiStack::<4>::new();
    assert_eq!(guests.bind_first(), Ok(0));
    assert_eq!((guests.bind(true), guests.bind(true)), (Ok(1), Ok(2)));
    assert_eq!(guests.arrive(), Arrival::Tell);
    assert_eq!(guests.wait(0, &mut stack, 9, 0x41), Ok(()));
    assert!(stack.is_empty() && guests.waited_for().is_empty());
    for was_masked in [false, true, false, false] {
        guests.tell(was_masked);
    }
    assert_eq!(guests.answer(false), Done::Nothing);
    assert_eq!(guests.in_flight(), 3);
    assert_eq!(guests.answer(true), Done::Nothing);
    assert_eq!(guests.unbind(true), Unbound::Others(Done::Nothing));
    assert_eq!(guests.unbind(true), Unbound::Others(Done::Unmask));
    guests.tell(false);
    assert!(!guests.is_released());
    assert_eq!(guests.unbind(true), Unbound::Last(Done::Unmask));
    assert!(guests.is_released());
    guests.count = 2;
    guests.in_flight = 2;
    assert_eq!(guests.time_out(2), Done::Unmask);
    assert_eq!(guests.time_out(0), Done::Nothing);
}

#[test]
fn nothing_is_in_flight_where_no_eoi_is_waited_for() {
    let mut guests = Guests::new(Acknowledge::None, false, 1, Set(0));
    let mut stack = EoiStack::<4>::new();
    assert_eq!(guests.bind_first(), Ok(0));
    assert_eq!(guests.wait(0, &mut stack, 9, 0x41), Ok(()));
    guests.tell(false);
    assert_eq!(
        (guests.in_flight(), guests.answer(true)),
        (0, Done::Nothing)
    );
    assert_eq!(guests.unbind(false), Unbound::Last(Done::Nothing));
}

#[test]
fn no_guest_is_bound_while_the_last_one_is_waited_for() {
    let mut guests = Guests::new(Acknowledge::Eoi, true, 2, Set(0));
    let mut stack = EoiStack::<1>::new();
    assert_eq!(guests.bind_first(), Ok(0));
    assert_eq!(guests.wait(1, &mut stack, 9, 0x41), Ok(()));
    assert_eq!(guests.wait(0, &mut stack, 9, 0x51), Err(Full));
    guests.tell(false);
    assert_eq!(guests.unbind(true), Unbound::Last(Done::Nothing));
    assert_eq!(guests.arrive(), Arrival::End);
    assert_eq!(guests.bind(true), Err(Refused::Releasing));
    // The other CPU is not waited for.
    guests.may_end(0, &mut stack, 9);
    assert!(!guests.is_released() && stack.ready().is_none());
    guests.may_end(1, &mut stack, 9);
    assert!(guests.is_released() && stack.ready().is_some());
}
