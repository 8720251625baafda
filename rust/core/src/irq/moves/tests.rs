//! All that three CPUs and two IRQs can do, within bounds, and that what was got wrong before is
//! found.
//!
//! Bounds: three vectors; the IRQs have no map of used vectors, one each or one for both; two
//! messages are in flight at most. A source's messages arrive in the order in which they were sent.
//! CPU 0 stays online.
//!
//! What is taken for granted: a CPU goes offline while no CPU is in a handler, and what was sent to
//! it has arrived before its IRR is looked at; a device is quiet before its IRQ is destroyed; there
//! is a vector for each IRQ that has to leave a CPU.

use super::*;
use crate::irq::cpus::tests::Few as Set;
use crate::irq::vectors::{Cursor, Taken, VectorSet};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::vec::Vec;

const CPUS: usize = 3;
const IRQS: usize = 2;
const VECTORS: [u8; 3] = [0x31, 0x39, 0x41];
const ALL: Set = Set(0b111);
const UNUSED: i32 = i32::MIN;

/// Where something arrives: a CPU, and a vector's index.
type At = (usize, usize);

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fault {
    /// An interrupt was handled for no IRQ, or for another.
    Astray,
    /// No CPU is going to handle an interrupt.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    online: Set,
    places: [Place<Set>; IRQS],
    live: [bool; IRQS],
    /// Where the source of each IRQ sends to.
    source: [At; IRQS],
    /// The messages in flight, from the oldest, each with the IRQ of its source.
    flights: Vec<(usize, At)>,
    /// The sources of what is pending, a bit each.
    irr: [[u8; 3]; CPUS],
    /// `vector_irq[]`.
    table: [[i32; 3]; CPUS],
    /// The maps of used vectors, a bit each.
    used: [u8; IRQS],
    /// Which of them an IRQ has; none before its first vector, and after it was destroyed.
    map: [Option<usize>; IRQS],
    /// The CPUs that were told to clean up.
    told: Set,
    /// The vector that a CPU is to look at next while it cleans up.
    cleaning: [Option<usize>; CPUS],
    /// An IRQ whose descriptor is locked: a CPU is between the two steps that free a vector.
    freeing: Option<(usize, At)>,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    /// The device of an IRQ sends.
    Send(usize),
    /// The oldest message of a source arrives.
    Arrive(usize),
    /// A CPU takes an interrupt; while it is acknowledged the IRQ is moved to some CPUs, if any.
    Take(usize, usize, Option<Set>),
    /// A CPU takes the next step of cleaning up.
    CleanUp(usize),
    /// The second of the steps that free a vector.
    Release,
    /// A CPU goes offline; IRQs are moved to some CPUs.
    Leave(usize, Set),
    /// A CPU comes online.
    Join(usize),
    Create(usize),
    Destroy(usize),
}

/// What was got wrong before, here or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// A vector is freed although an interrupt is pending at it.
    IrrIgnored,
    /// A CPU that went offline is subtracted at each later time again (fixed by e63209d3ba).
    CountedTwice,
    /// An IRQ that had no vector moves from there (fixed by 2bdeacb519).
    MovedFromNowhere,
    /// The vector is released in the map of used ones before `~irq` is stored.
    ReleasedFirst,
    /// The old CPUs are told to clean up before an interrupt has arrived at the new place.
    ToldEarly,
    /// What is pending on a CPU that goes offline is not sent to the new place.
    NotForwarded,
    /// A CPU that has cleaned up counts again when it goes offline.
    StillCounted,
    /// An IRQ that is destroyed loses its map while its old place is left to the clean-ups.
    LeftToCleanUp,
    /// Vectors are released in the map of another IRQ.
    OtherMap,
    /// The vector from which an IRQ moved stays used for ever.
    NeverReleased,
}

/// Which IRQs must not share a vector, even on different CPUs (`irq_vector_map=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maps {
    None,
    PerDevice,
    Global,
}

impl Maps {
    fn of(self, irq: usize) -> Option<usize> {
        match self {
            Self::None => None,
            Self::PerDevice => Some(irq),
            Self::Global => Some(0),
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
struct World {
    flaw: Flaw,
    maps: Maps,
    /// Whether IRQs are created and destroyed.
    churn: bool,
    /// Whether CPUs go offline and online.
    hotplug: bool,
}

fn index(vector: u8) -> usize {
    VECTORS.iter().position(|&known| known == vector).unwrap()
}

impl State {
    fn new(maps: Maps) -> Self {
        let place = |vector, cpus| Place {
            vector: Some(vector),
            cpus,
            old_vector: None,
            old_cpus: Set(0),
            in_progress: false,
            cleanups: 0,
        };
        // The second has one vector on two CPUs, as after bind_irq_vector().
        let places = [place(0x31, Set(0b010)), place(0x39, Set(0b110))];
        let mut table = [[UNUSED; 3]; CPUS];
        table[1] = [0, 1, UNUSED];
        table[2][1] = 1;
        let map = [0, 1].map(|irq| maps.of(irq));
        let mut used = [0; IRQS];
        for (irq, map) in map.iter().enumerate() {
            if let Some(map) = map {
                used[*map] |= 1 << irq;
            }
        }
        Self {
            online: ALL,
            places,
            live: [true; IRQS],
            source: [(1, 0), (1, 1)],
            flights: Vec::new(),
            irr: [[0; 3]; CPUS],
            table,
            used,
            map,
            told: Set(0),
            cleaning: [None; CPUS],
            freeing: None,
            fault: None,
        }
    }

    fn release(&mut self, flaw: Flaw, irq: usize, vector: Option<u8>) {
        let irq = if flaw == Flaw::OtherMap { 0 } else { irq };
        if let (Some(vector), Some(map)) = (vector, self.map[irq]) {
            self.used[map] &= !(1 << index(vector));
        }
    }

    fn is_locked(&self, irq: usize) -> bool {
        self.freeing.is_some_and(|(locked, _)| locked == irq)
    }

    /// Has the source send to where the IRQ is.
    fn program(&mut self, irq: usize, wanted: Set) {
        let place = &self.places[irq];
        let cpus = place.cpus.both(wanted).both(self.online);
        self.source[irq] = (cpus.next(0).unwrap() as usize, index(place.vector.unwrap()));
    }

    /// Moves an IRQ; `None` where there is no vector.
    fn move_to(&mut self, world: World, irq: usize, wanted: Set) -> Option<()> {
        let flaw = world.flaw;
        let known = self.places[irq].vector;
        match self.places[irq].retarget(known, &wanted, &self.online) {
            Target::Stays => {}
            Target::Busy => return Some(()),
            Target::Returns(release) => {
                for cpu in each(&self.places[irq].cpus) {
                    let vector = index(self.places[irq].vector.unwrap());
                    self.table[cpu as usize][vector] = irq as i32;
                }
                self.release(flaw, irq, release);
            }
            Target::Search => {
                let map = self.map[irq].or(world.maps.of(irq));
                let (reserved, used) = (VectorSet::new(), VectorSet::new());
                for vector in (0..=255).filter(|vector| !VECTORS.contains(vector)) {
                    reserved.insert(vector);
                }
                for vector in VECTORS {
                    if map.is_some_and(|map| self.used[map] >> index(vector) & 1 != 0) {
                        used.insert(vector);
                    }
                }
                let taken = Taken {
                    reserved: &reserved,
                    used: map.map(|_| &used),
                };
                let mut cursor = Cursor::new();
                let table = self.table;
                let found = each(&wanted.both(self.online)).find_map(|cpu| {
                    let slot = |vector| table[cpu as usize][index(vector)];
                    Some((cpu, cursor.find(cpu, taken, slot)?))
                });
                let (cpu, vector) = found?;
                let release = self.places[irq].settle(known, (cpu, vector), &self.online);
                if flaw == Flaw::MovedFromNowhere && known.is_none() {
                    self.places[irq].in_progress = true;
                }
                if flaw != Flaw::NeverReleased {
                    self.release(flaw, irq, release);
                }
                self.table[cpu as usize][index(vector)] = irq as i32;
                self.map[irq] = map;
                if let Some(map) = map {
                    self.used[map] |= 1 << index(vector);
                }
                if flaw == Flaw::ToldEarly && self.places[irq].in_progress {
                    self.tell(flaw, irq, cpu as usize, vector);
                }
            }
        }
        self.program(irq, wanted);
        Some(())
    }

    /// An IRQ was received at its place, or is taken to have been.
    fn tell(&mut self, flaw: Flaw, irq: usize, cpu: usize, vector: u8) {
        match self.places[irq].complete(cpu as u32, vector, &self.online) {
            Completed::NotYet => {}
            Completed::Tell => self.told.0 |= self.places[irq].old_cpus.0,
            Completed::Release(vector) => self.release(flaw, irq, vector),
        }
    }

    fn take(&mut self, world: World, cpu: usize, vector: usize, wanted: Option<Set>) -> Option<()> {
        let sources = core::mem::take(&mut self.irr[cpu][vector]);
        let irq = self.table[cpu][vector];
        if irq < 0 || sources != 1 << irq {
            self.fault = Some(Fault::Astray);
            return Some(());
        }
        let irq = irq as usize;
        if self.is_locked(irq) {
            return None;
        }
        self.tell(world.flaw, irq, cpu, VECTORS[vector]);
        if let Some(wanted) = wanted {
            self.move_to(world, irq, wanted.both(self.online))?;
        }
        Some(())
    }

    fn clean_up(&mut self, flaw: Flaw, cpu: usize) -> Option<()> {
        let Some(vector) = self.cleaning[cpu] else {
            self.told.remove(cpu as u32);
            self.cleaning[cpu] = Some(0);
            return Some(());
        };
        self.cleaning[cpu] = Some(vector + 1).filter(|&next| next < VECTORS.len());
        let irq = self.table[cpu][vector];
        if irq < 0 {
            return Some(());
        }
        let irq = irq as usize;
        if self.freeing.is_some() {
            return None;
        }
        let is_pending = || self.irr[cpu][vector] != 0 && flaw != Flaw::IrrIgnored;
        match self.places[irq].clean_up(cpu as u32, VECTORS[vector], is_pending) {
            CleanUp::Leave => {}
            CleanUp::Later => self.told.insert(cpu as u32),
            CleanUp::Never => self.fault = Some(Fault::Lost),
            CleanUp::Free => {
                self.freeing = Some((irq, (cpu, vector)));
                if flaw == Flaw::ReleasedFirst {
                    self.count_down(flaw, irq, cpu);
                } else {
                    self.table[cpu][vector] = !self.table[cpu][vector];
                }
            }
        }
        Some(())
    }

    fn count_down(&mut self, flaw: Flaw, irq: usize, cpu: usize) {
        let release = self.places[irq].freed(cpu as u32);
        if flaw == Flaw::StillCounted && self.places[irq].cleanups != 0 {
            self.places[irq].old_cpus.insert(cpu as u32);
        }
        if flaw != Flaw::NeverReleased {
            self.release(flaw, irq, release);
        }
    }

    fn leave(&mut self, world: World, cpu: usize, wanted: Set) -> Option<()> {
        let flaw = world.flaw;
        self.arrive();
        self.online.remove(cpu as u32);
        self.told.remove(cpu as u32);
        for irq in 0..IRQS {
            let before = self.places[irq].clone();
            let irr = self.irr[cpu];
            let left =
                self.places[irq].leave(cpu as u32, &self.online, |vector| irr[index(vector)] != 0);
            if flaw == Flaw::CountedTwice && self.places[irq].cleanups != 0 {
                self.places[irq].old_cpus = before.old_cpus;
            }
            if before.cleanups != 0 || left.forward && flaw != Flaw::NotForwarded {
                // A later interrupt of the same source has been handled already, or it is sent on.
                if let Some(vector) = before.old_vector {
                    self.irr[cpu][index(vector)] &= !(1 << irq);
                }
            }
            if left.forward && flaw != Flaw::NotForwarded {
                self.forward(irq);
            }
            self.release(flaw, irq, left.release);
            let place = &self.places[irq];
            if !self.live[irq] || place.cpus.0 & !self.online.0 == 0 {
                continue;
            }
            let old = place.vector;
            let here = place.has(cpu as u32);
            let wanted = Some(wanted.both(self.online)).filter(|set| set.0 != 0);
            self.move_to(world, irq, wanted.unwrap_or(self.online))?;
            let pending = &mut self.irr[cpu][index(old.unwrap())];
            if here && *pending != 0 && flaw != Flaw::NotForwarded {
                *pending &= !(1 << irq);
                self.forward(irq);
            }
        }
        if self.irr[cpu].iter().any(|&sources| sources != 0) {
            self.fault = Some(Fault::Lost);
        }
        self.irr[cpu] = [0; 3];
        Some(())
    }

    fn forward(&mut self, irq: usize) {
        let place = &self.places[irq];
        let cpu = place.cpus.both(self.online).next(0).unwrap() as usize;
        self.irr[cpu][index(place.vector.unwrap())] |= 1 << irq;
    }

    /// All that is in flight arrives.
    fn arrive(&mut self) {
        for (irq, (cpu, vector)) in core::mem::take(&mut self.flights) {
            self.irr[cpu][vector] |= 1 << irq;
        }
    }

    fn create(&mut self, world: World, irq: usize) -> Option<()> {
        self.move_to(world, irq, self.online)?;
        self.live[irq] = true;
        Some(())
    }

    fn destroy(&mut self, flaw: Flaw, irq: usize) {
        self.live[irq] = false;
        self.flights.retain(|&(source, _)| source != irq);
        for sources in self.irr.iter_mut().flatten() {
            *sources &= !(1 << irq);
        }
        let before = self.places[irq].clone();
        let left_to_clean_up = flaw == Flaw::LeftToCleanUp && before.cleanups != 0;
        if left_to_clean_up {
            self.places[irq].cleanups = 0;
        }
        for (cpus, vector) in self.places[irq].held().into_iter().flatten() {
            for cpu in each(&cpus.both(self.online)) {
                let slot = &mut self.table[cpu as usize][index(vector)];
                assert_eq!(*slot, irq as i32);
                *slot = !(irq as i32);
            }
        }
        let released = self.places[irq].clear();
        for vector in released {
            self.release(flaw, irq, vector);
        }
        if left_to_clean_up {
            self.places[irq].old_vector = before.old_vector;
            self.places[irq].old_cpus = before.old_cpus;
            self.places[irq].cleanups = before.cleanups;
        }
        self.map[irq] = None;
    }

    /// Returns whether a CPU has a vector for an IRQ.
    fn has(&self, irq: usize, cpu: u32, vector: Option<u8>) -> bool {
        vector.is_some_and(|vector| self.table[cpu as usize][index(vector)] == irq as i32)
    }

    fn is_right(&self) -> bool {
        self.fault.is_none()
            && self.is_reachable()
            && self.can_end()
            && self.has_ended()
            && self.is_exclusive()
            && self.is_released()
    }

    /// An IRQ that lives has its vector on all of its CPUs that are online.
    fn is_reachable(&self) -> bool {
        (0..IRQS).filter(|&irq| self.live[irq]).all(|irq| {
            let place = &self.places[irq];
            each(&place.cpus.both(self.online)).all(|cpu| self.has(irq, cpu, place.vector))
        })
    }

    /// A move can end: it came from somewhere, and as long as it waits for a CPU there is one that
    /// is going to free its vector.
    fn can_end(&self) -> bool {
        (0..IRQS).all(|irq| {
            let place = &self.places[irq];
            if self.is_locked(irq) || !place.is_moving() {
                return true;
            }
            let mut old = each(&self.online).filter(|&cpu| self.has(irq, cpu, place.old_vector));
            if place.in_progress {
                return old.next().is_some();
            }
            old.any(|cpu| {
                let next = self.cleaning[cpu as usize];
                let is_ahead = |next| next <= index(place.old_vector.unwrap());
                self.told.contains(cpu) || next.is_some_and(is_ahead)
            })
        })
    }

    /// An IRQ that lives and does not move has its vector where its place is, and nowhere else.
    fn has_ended(&self) -> bool {
        (0..IRQS).all(|irq| {
            let place = &self.places[irq];
            if self.is_locked(irq) || place.is_moving() {
                return true;
            }
            each(&self.online).all(|cpu| {
                let is_here = |vector| place.has(cpu) && place.vector == Some(vector);
                VECTORS
                    .into_iter()
                    .all(|vector| is_here(vector) || !self.has(irq, cpu, Some(vector)))
            })
        })
    }

    /// A vector that a CPU has for an IRQ is used in the IRQ's map, so that no other IRQ of the map
    /// gets it, on any CPU.
    fn is_exclusive(&self) -> bool {
        each(&self.online).all(|cpu| {
            let slots = self.table[cpu as usize].iter().enumerate();
            slots.filter(|(_, irq)| **irq >= 0).all(|(vector, irq)| {
                let map = self.map[*irq as usize];
                map.is_none_or(|map| self.used[map] >> vector & 1 != 0)
            })
        })
    }

    /// What is used in a map is a vector of an IRQ that has the map.
    fn is_released(&self) -> bool {
        let bit = |vector: Option<u8>| vector.map_or(0, |vector| 1u8 << index(vector));
        self.freeing.is_some()
            || self.used.iter().enumerate().all(|(map, used)| {
                let irqs = (0..IRQS).filter(|&irq| self.map[irq] == Some(map));
                let places = irqs.map(|irq| &self.places[irq]);
                let held = places.map(|place| bit(place.vector) | bit(place.old_vector));
                *used == held.fold(0, |all, bits| all | bits)
            })
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    /// At rest, and wherever a move of either IRQ can be: in progress, and with one CPU after
    /// another that cleans up.
    fn init_states(&self) -> Vec<State> {
        let mut states: Vec<_> = (0..IRQS)
            .flat_map(|irq| in_a_move(self.maps, irq))
            .collect();
        states.push(State::new(self.maps));
        states
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.is_right() {
            return;
        }
        for irq in 0..IRQS {
            if state.live[irq] && state.flights.len() < 2 {
                actions.push(Action::Send(irq));
            }
            if state.flights.iter().any(|&(source, _)| source == irq) {
                actions.push(Action::Arrive(irq));
            }
            if self.churn && !state.is_locked(irq) {
                actions.push(if state.live[irq] {
                    Action::Destroy(irq)
                } else {
                    Action::Create(irq)
                });
            }
        }
        if state.freeing.is_some() {
            actions.push(Action::Release);
        }
        let idle = state.freeing.is_none() && state.cleaning == [None; CPUS];
        for cpu in 0..CPUS {
            if !state.online.contains(cpu as u32) {
                actions.push(Action::Join(cpu));
                continue;
            }
            let freeing = state.freeing.is_some_and(|(_, (on, _))| on == cpu);
            if state.cleaning[cpu].is_some() || freeing {
                if !freeing {
                    actions.push(Action::CleanUp(cpu));
                }
                continue;
            }
            if state.told.contains(cpu as u32) {
                actions.push(Action::CleanUp(cpu));
            }
            for vector in (0..VECTORS.len()).filter(|&vector| state.irr[cpu][vector] != 0) {
                actions.push(Action::Take(cpu, vector, None));
                for wanted in [Set(1), Set(2), Set(4)] {
                    if wanted.intersects(&state.online) {
                        actions.push(Action::Take(cpu, vector, Some(wanted)));
                    }
                }
            }
            if self.hotplug && cpu != 0 && idle {
                for wanted in [Set(1), Set(2), Set(4), ALL] {
                    actions.push(Action::Leave(cpu, wanted));
                }
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let (mut state, flaw) = (last.clone(), self.flaw);
        match action {
            Action::Send(irq) => state.flights.push((irq, state.source[irq])),
            Action::Arrive(irq) => {
                let oldest = state
                    .flights
                    .iter()
                    .position(|&(source, _)| source == irq)?;
                let (_, (cpu, vector)) = state.flights.remove(oldest);
                if state.online.contains(cpu as u32) {
                    state.irr[cpu][vector] |= 1 << irq;
                } else {
                    state.fault = Some(Fault::Lost);
                }
            }
            Action::Take(cpu, vector, wanted) => state.take(*self, cpu, vector, wanted)?,
            Action::CleanUp(cpu) => state.clean_up(flaw, cpu)?,
            Action::Release => {
                let (irq, (cpu, vector)) = state.freeing.take()?;
                if flaw == Flaw::ReleasedFirst {
                    state.table[cpu][vector] = !state.table[cpu][vector];
                } else {
                    state.count_down(flaw, irq, cpu);
                }
            }
            Action::Leave(cpu, wanted) => state.leave(*self, cpu, wanted)?,
            Action::Join(cpu) => {
                state.online.insert(cpu as u32);
                state.table[cpu] = [UNUSED; 3];
                for (irq, place) in (0..).zip(&state.places) {
                    if place.cpus.contains(cpu as u32) {
                        state.table[cpu][index(place.vector.unwrap())] = irq;
                    }
                }
            }
            Action::Create(irq) => state.create(*self, irq)?,
            Action::Destroy(irq) => state.destroy(flaw, irq),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        [
            Property::always("handled", |_, state: &State| state.fault.is_none()),
            Property::always("reachable", |_, state: &State| state.is_reachable()),
            Property::always("ends", |_, state: &State| state.can_end()),
            Property::always("ended", |_, state: &State| state.has_ended()),
            Property::always("exclusive", |_, state: &State| state.is_exclusive()),
            Property::always("released", |_, state: &State| state.is_released()),
            Property::sometimes("moved", |_, state: &State| {
                state.places.iter().any(|place| place.cleanups == 2)
            }),
        ]
        .into()
    }
}

/// The states of an IRQ's move to CPU 0, from its begin until all CPUs have cleaned up.
fn in_a_move(maps: Maps, irq: usize) -> Vec<State> {
    let world = World { maps, ..SOUND };
    let mut state = State::new(maps);
    let mut states = Vec::new();
    let go = |state: &mut State, action| *state = world.next_state(state, action).unwrap();
    for wanted in [Some(Set(1)), None] {
        let (cpu, vector) = state.source[irq];
        go(&mut state, Action::Send(irq));
        go(&mut state, Action::Arrive(irq));
        go(&mut state, Action::Take(cpu, vector, wanted));
        states.push(state.clone());
    }
    for cpu in 0..CPUS {
        while state.told.contains(cpu as u32) || state.cleaning[cpu].is_some() {
            let freeing = state.freeing.is_some();
            let action = if freeing {
                Action::Release
            } else {
                Action::CleanUp(cpu)
            };
            go(&mut state, action);
        }
        states.push(state.clone());
    }
    assert!(!state.places[irq].is_moving());
    states
}

impl World {
    /// Returns a property that does not hold, and the steps to it.
    fn violated(self, depth: usize) -> Option<(&'static str, Vec<Action>)> {
        let builder = self.checker().target_max_depth(depth);
        let checker = builder
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let mut found = checker.discoveries();
        let moved = found.remove("moved");
        let (flaw, maps, count) = (self.flaw, self.maps, checker.unique_state_count());
        std::eprintln!("{flaw:?}, {maps:?}: {count} states");
        let Some((name, path)) = found.into_iter().next() else {
            assert!(moved.is_some());
            return None;
        };
        Some((name, path.into_actions()))
    }
}

const SOUND: World = World {
    flaw: Flaw::None,
    maps: Maps::Global,
    churn: true,
    hotplug: true,
};

#[test]
fn a_clean_up_is_not_tried_again_for_what_waits_for_it() {
    let place = Place {
        cleanups: 1,
        ..State::new(Maps::None).places[0].clone()
    };
    let pending = |vector| place.clean_up(0, vector, || true);
    // A local APIC delivers the highest vector first.
    assert_eq!(pending(MOVE_CLEAN_UP - 1), CleanUp::Never);
    assert_eq!(pending(MOVE_CLEAN_UP + 1), CleanUp::Later);
    assert_eq!(
        place.clean_up(0, MOVE_CLEAN_UP - 1, || false),
        CleanUp::Free
    );
}

#[test]
fn no_interrupt_goes_astray_and_each_move_can_end() {
    assert_eq!(SOUND.violated(10), None);
    for (churn, hotplug, depth) in [(false, false, 17), (true, false, 12), (false, true, 12)] {
        let world = World {
            churn,
            hotplug,
            ..SOUND
        };
        assert_eq!(world.violated(depth), None);
    }
}

#[test]
fn each_choice_of_maps_is_sound() {
    for maps in [Maps::None, Maps::PerDevice] {
        assert_eq!(World { maps, ..SOUND }.violated(9), None);
    }
}

/// Many more steps than each flaw takes.
#[test]
#[ignore = "long: cargo test --release -p irq-core -- --ignored many_states"]
fn no_interrupt_goes_astray_in_many_states() {
    for maps in [Maps::Global, Maps::PerDevice, Maps::None] {
        assert_eq!(World { maps, ..SOUND }.violated(16), None);
    }
}

#[test]
fn flaws_are_found() {
    use Maps::{Global, PerDevice};
    // One step may break several properties.
    for (flaw, maps, churn, hotplug, properties) in [
        (Flaw::IrrIgnored, Global, false, false, &["handled"][..]),
        (
            Flaw::CountedTwice,
            Global,
            false,
            true,
            &["ended", "exclusive"],
        ),
        (Flaw::MovedFromNowhere, Global, true, false, &["ends"]),
        (Flaw::ReleasedFirst, Global, false, false, &["exclusive"]),
        (Flaw::ToldEarly, Global, false, false, &["handled"]),
        (Flaw::NotForwarded, Global, false, true, &["handled"]),
        (
            Flaw::StillCounted,
            Global,
            false,
            true,
            &["ended", "exclusive"],
        ),
        (Flaw::LeftToCleanUp, Global, true, false, &["released"]),
        (Flaw::LeftToCleanUp, PerDevice, true, false, &["released"]),
        (Flaw::OtherMap, PerDevice, false, false, &["released"]),
        (Flaw::NeverReleased, Global, false, false, &["released"]),
    ] {
        let world = World {
            flaw,
            maps,
            churn,
            hotplug,
        };
        let (found, steps) = world.violated(16).unwrap();
        std::eprintln!("{flaw:?}: {found} {steps:?}");
        assert!(properties.contains(&found), "{flaw:?}: {found}");
    }
}
