//! What the IOMMUs of both makers have in common: a table in memory, a cache of entries, a queue of
//! invalidations.
//!
//! A model does nothing by itself. A test lets the other parties act between any two operations of
//! the software: devices send, the cache fetches an entry ahead or drops one, a processor's cache
//! writes a line back, the queue makes a step.

pub mod handle;
pub mod memory;
pub mod queue;
pub mod watched;
pub mod watcher;

#[cfg(test)]
mod tests;

use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::Block;
use queue::Queue;
use std::fmt::Debug;
use watched::Watched;

/// A message as a device sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Address.
    pub address: u64,
    /// Data.
    pub data: u32,
}

/// Why a message is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its address is none of the remappable format.
    NotRemappable,
    /// It has reserved bits set.
    ReservedInMessage,
    /// The requester has no table.
    NoTable,
    /// It names an entry beyond the end of the table.
    BeyondTable,
    /// The entry is not present.
    NotPresent,
    /// The entry has reserved bits set.
    ReservedInEntry,
    /// The entry is not for this requester.
    WrongSource,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A local APIC gets it.
    Delivered(Interrupt),
    /// A posted-interrupt descriptor gets it.
    Posted {
        /// Physical address of the descriptor.
        descriptor: u64,
        /// Virtual vector.
        vector: u8,
    },
    /// It is written to an address where no posted-interrupt descriptor is: somebody's memory is
    /// damaged.
    Wild(u64),
    /// Nobody gets it.
    Blocked(Fault),
}

/// What an IOMMU did so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The interrupts that local APICs got.
    pub delivered: Vec<Interrupt>,
    /// The faults that were recorded.
    pub faults: Vec<Fault>,
}

/// An IOMMU, and the memory that it reads.
pub trait Iommu {
    /// An entry as it stands in memory; the default one is not present.
    type Entry: Copy + Debug + Default + PartialEq;

    /// Names a table.
    type Table: Copy;

    /// What one command makes the IOMMU forget.
    type Scope;

    /// Whether it keeps that an entry was not present.
    const KEEPS_ABSENT: bool;

    /// A table.
    fn table(&mut self, table: Self::Table) -> &mut Watched<Self::Entry>;

    /// The queue of invalidations.
    fn queue(&mut self) -> &mut Queue<Self::Scope>;

    /// What it has to be told so that it forgets the entries of a block.
    fn scopes(&self, table: Self::Table, block: Block) -> Vec<Self::Scope>;

    /// Forgets what it keeps of a scope.
    fn forget(&mut self, scope: Self::Scope);

    /// Reads an entry as for a message of this requester, and keeps it. `None` where there is no
    /// such entry.
    fn fetch(&mut self, requester: u16, index: usize) -> Option<Self::Entry>;

    /// Drops what it keeps of an entry, for want of room.
    fn evict(&mut self, requester: u16, index: usize);

    /// Takes a message.
    fn send(&mut self, requester: u16, message: Message) -> Outcome;

    /// Has the watchers look at every value that could be fetched at this instant.
    fn watch(&mut self);

    /// What it did so far.
    fn tally(&self) -> &Tally;

    /// Makes a step through the queue.
    fn step(&mut self) {
        for scope in self.queue().step() {
            self.forget(scope);
        }
    }
}
