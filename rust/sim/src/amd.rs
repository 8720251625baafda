//! An IOMMU of AMD, as far as it remaps interrupts (48882, revision 3.08, sections 2.2.5 and 2.4).
//!
//! Each requester has a table; several may share one, as phantom functions do. Whose message it is
//! decides which table is used, so that an entry need not say it. It never keeps absent entries.

use crate::iommu::queue::{Behaviour, Queue};
use crate::iommu::watched::Watched;
use crate::iommu::{Fault, Iommu, Message, Outcome, Tally};
use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::Block;
use irq_hw::amd::{Irte32, Irte128, MSI_INDEX};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// What an IOMMU makes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// RemapEn is clear.
    Absent {
        /// SupIOPF: faults are not logged.
        silent: bool,
    },
    /// It is one of guest mode, which the model has not.
    GuestMode,
    /// It delivers an interrupt. How that is triggered the entry does not say; an MSI is
    /// edge-triggered.
    Delivers(Interrupt),
}

/// A format of entries.
pub trait Format: Copy + Debug + Default + PartialEq {
    /// What an entry means.
    fn meaning(self) -> Meaning;
}

/// [`Irte32`].
impl Format for u32 {
    fn meaning(self) -> Meaning {
        let entry = Irte32::new([self.into()]);
        let silent = entry.faults_suppressed();
        match (entry.enabled(), entry.guest_mode()) {
            (false, _) => Meaning::Absent { silent },
            (true, true) => Meaning::GuestMode,
            (true, false) => Meaning::Delivers(Interrupt {
                vector: entry.vector(),
                delivery_mode: entry.delivery_mode(),
                logical: entry.logical(),
                level_triggered: false,
                destination: entry.destination().into(),
            }),
        }
    }
}

/// [`Irte128`].
impl Format for u128 {
    fn meaning(self) -> Meaning {
        let entry = Irte128::new([self as u64, (self >> 64) as u64]);
        let silent = entry.faults_suppressed();
        match (entry.enabled(), entry.guest_mode()) {
            (false, _) => Meaning::Absent { silent },
            (true, true) => Meaning::GuestMode,
            (true, false) => Meaning::Delivers(Interrupt {
                vector: entry.vector(),
                delivery_mode: entry.delivery_mode(),
                logical: entry.logical(),
                level_triggered: false,
                destination: entry.destination(),
            }),
        }
    }
}

/// An IOMMU, and the tables that it reads in memory.
#[derive(Clone, Debug)]
pub struct Unit<E> {
    // Configuration.
    /// The device table: which table serves a requester.
    devices: BTreeMap<u16, usize>,
    // Volatile state.
    tables: Vec<Watched<E>>,
    /// What it keeps, by requester and entry.
    cache: BTreeMap<(u16, usize), E>,
    queue: Queue<u16>,
    tally: Tally,
}

impl<E: Format> Unit<E> {
    /// An IOMMU that serves nobody.
    pub fn new(queue: Behaviour) -> Self {
        Self {
            devices: BTreeMap::new(),
            tables: Vec::new(),
            cache: BTreeMap::new(),
            queue: Queue::new(queue),
            tally: Tally::default(),
        }
    }

    /// Gives these requesters a table of their own; returns its number. `coherent` says whether the
    /// IOMMU snoops the processors' caches when it reads it.
    pub fn add(&mut self, requesters: &[u16], coherent: bool, entries: usize) -> usize {
        let table = self.tables.len();
        self.tables.push(Watched::new(coherent, entries));
        self.devices
            .extend(requesters.iter().map(|&requester| (requester, table)));
        table
    }

    fn refuse(&mut self, fault: Fault) -> Outcome {
        self.tally.faults.push(fault);
        Outcome::Blocked(fault)
    }
}

impl<E: Format> Iommu for Unit<E> {
    type Entry = E;
    type Table = usize;
    /// INVALIDATE_INTERRUPT_TABLE: all that it keeps for a requester.
    type Scope = u16;

    const KEEPS_ABSENT: bool = false;

    fn table(&mut self, table: usize) -> &mut Watched<E> {
        &mut self.tables[table]
    }

    fn queue(&mut self) -> &mut Queue<u16> {
        &mut self.queue
    }

    fn scopes(&self, table: usize, _block: Block) -> Vec<u16> {
        let served = self.devices.iter().filter(|&(_, &other)| other == table);
        served.map(|(&requester, _)| requester).collect()
    }

    fn forget(&mut self, scope: u16) {
        self.cache.retain(|&(requester, _), _| requester != scope);
    }

    fn fetch(&mut self, requester: u16, index: usize) -> Option<E> {
        let table = self.tables.get_mut(*self.devices.get(&requester)?)?;
        if let Some(&kept) = self.cache.get(&(requester, index)) {
            table.watcher.read(index, kept);
            return Some(kept);
        }
        let entry = table.fetch(index)?;
        if !matches!(entry.meaning(), Meaning::Absent { .. }) {
            self.cache.insert((requester, index), entry);
        }
        Some(entry)
    }

    fn evict(&mut self, requester: u16, index: usize) {
        self.cache.remove(&(requester, index));
    }

    fn send(&mut self, requester: u16, message: Message) -> Outcome {
        // The address says nothing but that this is an interrupt.
        if message.address >> 20 != 0xfee {
            return self.refuse(Fault::NotRemappable);
        }
        if !self.devices.contains_key(&requester) {
            return self.refuse(Fault::NoTable);
        }
        let index = (message.data & MSI_INDEX) as usize;
        match self.fetch(requester, index).map(Format::meaning) {
            None => self.refuse(Fault::BeyondTable),
            Some(Meaning::Absent { silent: true }) => Outcome::Blocked(Fault::NotPresent),
            Some(Meaning::Absent { silent: false }) => self.refuse(Fault::NotPresent),
            Some(Meaning::GuestMode) => self.refuse(Fault::ReservedInEntry),
            Some(Meaning::Delivers(interrupt)) => {
                self.tally.delivered.push(interrupt);
                Outcome::Delivered(interrupt)
            }
        }
    }

    fn watch(&mut self) {
        for table in &mut self.tables {
            table.watch();
        }
        for (&(requester, index), &kept) in &self.cache {
            let table = self.devices.get(&requester);
            if let Some(table) = table.and_then(|&table| self.tables.get_mut(table)) {
                table.watcher.read(index, kept);
            }
        }
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iommu::queue::Pace;

    const WIDE: u128 = 0xa5 << 120 | 0x31 << 64 | 0xb6_c7d8 << 8 | 1 << 6 | 1;

    fn interrupt(destination: u32) -> Interrupt {
        Interrupt {
            vector: 0x31,
            delivery_mode: 0,
            logical: true,
            level_triggered: false,
            destination,
        }
    }

    /// An IOMMU with a table for two requesters and one for a third.
    fn unit() -> Unit<u128> {
        let mut unit = Unit::new(Behaviour {
            pace: Pace::Immediate,
            room: 4,
            patience: 10,
        });
        unit.add(&[0x10, 0x14], true, 64);
        unit.add(&[0x20], true, 2048);
        unit
    }

    fn message(data: u32) -> Message {
        Message {
            address: 0xfee0_0000,
            data,
        }
    }

    #[test]
    fn an_entry_means_what_its_bits_say() {
        let narrow = 0x31 << 16 | 0xa5 << 8 | 1 << 6 | 1;
        assert_eq!(u32::meaning(narrow), Meaning::Delivers(interrupt(0xa5)));
        assert_eq!(
            u128::meaning(WIDE),
            Meaning::Delivers(interrupt(0xa5b6_c7d8))
        );
        for silent in [false, true] {
            let bit = u32::from(silent) << 1;
            assert_eq!(u32::meaning(bit), Meaning::Absent { silent });
            assert_eq!(u128::meaning(bit.into()), Meaning::Absent { silent });
        }
        assert_eq!(u32::meaning(narrow | 1 << 7), Meaning::GuestMode);
        assert_eq!(u128::meaning(WIDE | 1 << 7), Meaning::GuestMode);
    }

    #[test]
    fn a_message_is_looked_up_in_its_requesters_table() {
        let mut unit = unit();
        unit.table(0).memory.write(5, WIDE);
        unit.table(0).memory.write(6, 2);
        unit.table(0).memory.write(7, WIDE | 1 << 7);
        let delivered = Outcome::Delivered(interrupt(0xa5b6_c7d8));
        let cases = [
            (0x10, message(5), delivered),
            (0x14, message(5), delivered),
            // Bits 10:0 alone are the number of the entry.
            (0x14, message(0xf800 | 5), delivered),
            (0x20, message(5), Outcome::Blocked(Fault::NotPresent)),
            (0x21, message(5), Outcome::Blocked(Fault::NoTable)),
            (0x10, message(64), Outcome::Blocked(Fault::BeyondTable)),
            (0x20, message(0x7ff), Outcome::Blocked(Fault::NotPresent)),
            (0x10, message(6), Outcome::Blocked(Fault::NotPresent)),
            (0x10, message(7), Outcome::Blocked(Fault::ReservedInEntry)),
        ];
        for (requester, message, expected) in cases {
            assert_eq!(unit.send(requester, message), expected, "{message:x?}");
        }
        let elsewhere = Message {
            address: 0xfed0_0000,
            data: 5,
        };
        let outcome = unit.send(0x10, elsewhere);
        assert_eq!(outcome, Outcome::Blocked(Fault::NotRemappable));
        assert_eq!(unit.tally().delivered.len(), 3);
        // All but the one that the entry forbids.
        assert_eq!(unit.tally().faults.len(), 6);
    }

    #[test]
    fn an_invalidation_reaches_all_entries_of_a_requester_and_nobody_elses() {
        let mut unit = unit();
        for index in [5, 40] {
            unit.table(0).memory.write(index, WIDE);
            for requester in [0x10, 0x14] {
                unit.fetch(requester, index);
            }
        }
        // It is absent, and so not kept.
        unit.fetch(0x20, 5);
        unit.forget(0x10);
        let kept: Vec<_> = unit.cache.keys().copied().collect();
        assert_eq!(kept, [(0x14, 5), (0x14, 40)]);
        assert_eq!(unit.scopes(0, Block::one(5)), [0x10, 0x14]);
    }
}
