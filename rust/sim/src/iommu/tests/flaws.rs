//! Mutants: what software must not do, each with one thing left out or out of order.

use super::subject::{Halves, Subject};
use crate::iommu::handle::Handle;
use irq_core::remap::slots::Block;
use irq_core::remap::update::Table;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing.
    None,
    /// Setting an entry does not invalidate it.
    SetKeepsCache,
    /// Releasing a block does not invalidate it.
    ReleaseKeepsCache,
    /// Nothing is written back.
    NoWriteBack,
    /// The halves of an entry are written one after the other, the low one first.
    LowHalfFirst,
    /// The same, the high one first.
    HighHalfFirst,
    /// An entry is cleared before it is set.
    ClearFirst,
    /// It is not known that the IOMMU may keep absent entries.
    AbsentForgotten,
    /// A block is given back, and taken by somebody else, before it is invalidated.
    SlotsFirst,
    /// Nobody waits for an invalidation.
    NoWait,
    /// The invalidation is done before the entry is written.
    InvalidateFirst,
    /// The entry is written back after the invalidation.
    WriteBackLast,
    /// One requester's cache is invalidated, where several share the table.
    OneRequester,
}

/// What the software is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// It sets an entry.
    Set,
    /// It releases a block.
    Release,
}

/// A table that the software uses wrongly. `ABSENT` says whether it heeds that absent entries may
/// be kept.
pub(super) struct Flawed<'a, S: Subject, F, const ABSENT: bool> {
    pub(super) table: Handle<'a, S, F>,
    pub(super) flaw: Flaw,
    pub(super) job: Job,
}

impl<S: Subject, F: FnMut(&mut S), const ABSENT: bool> Table for Flawed<'_, S, F, ABSENT> {
    type Entry = S::Entry;

    type New = S::Entry;

    const CACHES_ABSENT: bool = ABSENT && S::KEEPS_ABSENT;

    fn entry(&mut self, index: usize) -> S::Entry {
        self.table.entry(index)
    }

    fn replace(&mut self, index: usize, mut old: S::Entry, new: S::Entry) {
        // However long ago it was read: nobody else writes it.
        assert_eq!(self.table.entry(index), old);
        let first = match self.flaw {
            Flaw::LowHalfFirst => Some(Halves::join(new, old)),
            Flaw::HighHalfFirst => Some(Halves::join(old, new)),
            Flaw::ClearFirst => Some(S::Entry::default()),
            Flaw::InvalidateFirst => {
                self.table.invalidate(Block::one(index));
                None
            }
            _ => None,
        };
        if let Some(first) = first {
            self.table.replace(index, old, first);
            old = first;
        }
        self.table.replace(index, old, new);
    }

    fn write_back(&mut self, index: usize) {
        if !matches!(self.flaw, Flaw::NoWriteBack | Flaw::WriteBackLast) {
            self.table.write_back(index);
        }
    }
}

impl<S: Subject, F: FnMut(&mut S), const ABSENT: bool> Flawed<'_, S, F, ABSENT> {
    /// Invalidates what the IOMMU caches of a block's entries; returns when that has completed.
    pub(super) fn invalidate(&mut self, block: Block) {
        match (self.flaw, self.job) {
            (Flaw::SetKeepsCache, Job::Set)
            | (Flaw::ReleaseKeepsCache, Job::Release)
            | (Flaw::InvalidateFirst, _) => {}
            (Flaw::NoWait, _) => {
                let scopes = self.table.scopes(block);
                self.table.submit(scopes).expect("there is room");
            }
            (Flaw::OneRequester, _) => {
                let mut scopes = self.table.scopes(block);
                scopes.truncate(1);
                let number = self.table.submit(scopes).expect("there is room");
                self.table.wait(number).expect("the queue moves");
            }
            (Flaw::WriteBackLast, _) => {
                self.table.invalidate(block);
                for index in block.entries() {
                    self.table.write_back(index);
                }
            }
            _ => self.table.invalidate(block),
        }
    }
}
