//! A run: software allocates, sets and releases entries, while devices send all the time and the
//! IOMMU does what it likes.

use super::devices::REQUESTERS;
use super::flaws::{Flaw, Flawed, Job};
use super::ledger::{Goal, Ledger, Place};
use super::others::Others;
use super::steps::{Step, Which, Wish};
use super::subject::{DESCRIPTORS, Subject};
use crate::iommu::Outcome;
use crate::iommu::handle::Handle;
use crate::iommu::queue::{Behaviour, Pace};
use crate::iommu::watcher::Unmeant;
use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::{Block, Slots};
use irq_core::remap::update;

/// What the machine is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Whether the IOMMU snoops the processors' caches.
    pub(super) coherent: bool,
    /// How the queue behaves.
    pub(super) queue: Behaviour,
    /// Whether other producers keep the queue full.
    pub(super) crowded: bool,
    /// The number of the step at which the queue stops for good.
    pub(super) stops_at: Option<usize>,
}

/// A machine while it runs.
struct Run<S: Subject> {
    unit: S,
    slots: Vec<Slots<1>>,
    /// The blocks in use: the device, and the block.
    held: Vec<(usize, Block)>,
    ledger: Ledger,
    others: Others,
    flaw: Flaw,
}

/// How a run went.
#[derive(Debug)]
pub(super) struct Report<V> {
    /// The first value that was read and not meant.
    pub(super) unmeant: Option<Unmeant<V>>,
    /// What was asked for, and what came of it.
    pub(super) ledger: Ledger,
    /// How often a producer found no room in the queue.
    pub(super) refused: u32,
    /// How often somebody waited for the queue in vain.
    pub(super) timed_out: u32,
    /// Whether something went wrong with a message before anybody saw a time-out.
    pub(super) silent: bool,
}

impl<V> Report<V> {
    /// Whether nothing went wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.ledger.violations.is_empty() && self.unmeant.is_none() && self.timed_out == 0
    }
}

/// Runs software, flawed or not, on a machine.
pub(super) fn run<S: Subject>(
    machine: Machine,
    flaw: Flaw,
    steps: &[Step],
    seed: u64,
) -> Report<S::Entry> {
    let mut run = Run {
        unit: S::boot(machine.coherent, machine.queue),
        slots: vec![Slots::new(Slots::<1>::MOST); S::TABLES],
        held: Vec::new(),
        ledger: Ledger::default(),
        others: Others::new(seed, machine.crowded),
        flaw,
    };
    let mut silent = false;
    for (number, &step) in steps.iter().enumerate() {
        if machine.stops_at == Some(number) {
            run.unit.queue().set_pace(Pace::Stopped);
        }
        run.step(step);
        for _ in 0..4 {
            run.others.act(&mut run.unit, &mut run.ledger);
            run.unit.watch();
        }
        silent |= !run.ledger.violations.is_empty() && run.unit.queue().timed_out() == 0;
    }
    run.report(silent)
}

impl<S: Subject> Run<S> {
    fn report(mut self, silent: bool) -> Report<S::Entry> {
        let unmeant = (0..S::TABLES)
            .find_map(|table| self.unit.table(S::name(table)).watcher.first_unmeant());
        Report {
            unmeant,
            refused: self.unit.queue().refused(),
            timed_out: self.unit.queue().timed_out(),
            ledger: self.ledger,
            silent,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Allocate { device, count } => {
                self.allocate(device, count);
            }
            Step::Set {
                which,
                offset,
                wish,
            } if !self.held.is_empty() => {
                let (device, block) = self.held[self.number(which)];
                self.set(device, block.first() + offset % block.count(), wish);
            }
            Step::Release { which } if !self.held.is_empty() => {
                let number = self.number(which);
                let (device, block) = self.held.remove(number);
                self.release(device, block);
            }
            Step::Set { .. } | Step::Release { .. } => {}
        }
    }

    /// The place of a block in use among them.
    fn number(&self, which: Which) -> usize {
        match which {
            Which::Last => self.held.len() - 1,
            Which::Any(number) => number % self.held.len(),
        }
    }

    /// The number of a device's table.
    fn table(device: usize) -> usize {
        S::table_of(REQUESTERS[device][0]).expect("devices have tables")
    }

    /// The table as the software uses it, with or without a flaw.
    fn with<const ABSENT: bool, T>(
        &mut self,
        table: usize,
        job: Job,
        work: impl FnOnce(&mut Slots<1>, Flawed<'_, S, &mut dyn FnMut(&mut S), ABSENT>) -> T,
    ) -> T {
        let (ledger, others) = (&mut self.ledger, &mut self.others);
        let mut act = |unit: &mut S| others.act(unit, ledger);
        let flawed = Flawed {
            table: Handle::new(
                &mut self.unit,
                S::name(table),
                &mut act as &mut dyn FnMut(&mut S),
            ),
            flaw: self.flaw,
            job,
        };
        work(&mut self.slots[table], flawed)
    }

    fn allocate(&mut self, device: usize, count: usize) -> Option<Block> {
        let block = self.with::<true, _>(Self::table(device), Job::Set, |slots, _| {
            slots.allocate(count)
        })?;
        self.held.push((device, block));
        Some(block)
    }

    fn set(&mut self, device: usize, index: usize, wish: Wish) {
        let goal = goal::<S>(wish).map(|outcome| Goal { device, outcome });
        let entry = goal.map_or(S::Entry::default(), S::entry);
        let place = (Self::table(device), index);
        self.others.look_at(vec![place], device);
        self.begin(place, goal, entry);
        let stale = if self.flaw == Flaw::AbsentForgotten {
            self.with::<false, _>(place.0, Job::Set, |_, mut table| {
                update::set(&mut table, index, entry)
            })
        } else {
            self.with::<true, _>(place.0, Job::Set, |_, mut table| {
                update::set(&mut table, index, entry)
            })
        };
        self.with::<true, _>(place.0, Job::Set, |_, mut table| {
            stale.invalidate(|block| table.invalidate(block));
        });
        self.end(place);
    }

    /// Releases a block while another processor uses the table, too.
    fn release(&mut self, device: usize, block: Block) {
        let other = self.release_while(device, block, |run| {
            run.another_processor_allocates(device, block.count())
        });
        // So that it does not keep what the steps are to meet again.
        if let Some((other, taken)) = other
            && self.flaw != Flaw::SlotsFirst
        {
            self.held.retain(|held| *held != (other, taken));
            self.release_while(other, taken, |_| ());
            let table = Self::table(device);
            let places = block.entries().map(|index| (table, index)).collect();
            self.others.look_at(places, device);
        }
    }

    /// Releases a block. `meanwhile` runs after its entries were cleared, while the table is not
    /// locked.
    fn release_while<T>(
        &mut self,
        device: usize,
        block: Block,
        meanwhile: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let table = Self::table(device);
        let places: Vec<_> = block.entries().map(|index| (table, index)).collect();
        self.others.look_at(places.clone(), device);
        for &place in &places {
            self.begin(place, None, S::Entry::default());
        }
        let cleared = self.with::<true, _>(table, Job::Release, |slots, mut table| {
            update::clear(slots, &mut table, block)
        });
        let cleared = cleared.expect("the block was in use");
        if self.flaw == Flaw::SlotsFirst {
            assert!(self.slots[table].release(block));
        }
        let result = meanwhile(self);
        self.others.look_at(places.clone(), device);
        let unused = self.with::<true, _>(table, Job::Release, |_, mut table| {
            cleared.invalidate(|block| table.invalidate(block))
        });
        if self.flaw != Flaw::SlotsFirst {
            assert!(self.slots[table].holds(block));
            unused.free(&mut self.slots[table]);
        }
        for place in places {
            self.end(place);
        }
        result
    }

    /// Allocates a block of a size for another device that has the same table, where there is one,
    /// and sets its first entry.
    fn another_processor_allocates(
        &mut self,
        device: usize,
        count: usize,
    ) -> Option<(usize, Block)> {
        let table = Self::table(device);
        let other = (0..REQUESTERS.len())
            .rfind(|&other| other != device && Self::table(other) == table)
            .unwrap_or(device);
        let taken = self.allocate(other, count)?;
        // The owner of an entry takes it for absent before it is set.
        self.end((table, taken.first()));
        let wish = Wish::Remapped {
            vector: 0x31,
            destination: 1,
        };
        self.set(other, taken.first(), wish);
        for _ in 0..4 {
            self.others.act(&mut self.unit, &mut self.ledger);
            self.unit.watch();
        }
        Some((other, taken))
    }

    fn begin(&mut self, place: Place, goal: Option<Goal>, entry: S::Entry) {
        self.ledger.begin(place, goal);
        let watcher = &mut self.unit.table(S::name(place.0)).watcher;
        watcher.begin(place.1, entry);
    }

    fn end(&mut self, place: Place) {
        self.ledger.end(place);
        self.unit.table(S::name(place.0)).watcher.end(place.1);
    }
}

/// What becomes of messages if a wish is fulfilled as far as the IOMMU can.
fn goal<S: Subject>(wish: Wish) -> Option<Outcome> {
    match wish {
        Wish::Absent => None,
        Wish::Posted { vector, descriptor } if S::POSTS => Some(Outcome::Posted {
            descriptor: DESCRIPTORS[descriptor],
            vector,
        }),
        Wish::Posted { vector, .. } => Some(delivered::<S>(vector, u32::MAX)),
        Wish::Remapped {
            vector,
            destination,
        } => Some(delivered::<S>(vector, destination)),
    }
}

fn delivered<S: Subject>(vector: u8, destination: u32) -> Outcome {
    Outcome::Delivered(Interrupt {
        vector,
        delivery_mode: 0,
        logical: false,
        level_triggered: false,
        destination: destination & S::WIDEST,
    })
}
