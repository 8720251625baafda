//! What a step is about: the requester whose table is used, its lock, and who else uses it.

use std::collections::HashMap;

use super::platform::{Platform, Pointers};
use crate::side::Side;

/// What is known of a step on one side.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The table.
    pub(super) table: usize,
    /// How long an entry is.
    pub(super) size: usize,
    /// The requesters that Rust has the IOMMU forget the table of.
    pub(super) flushed: Vec<u16>,
    /// Those of them that are taken for copies of function 0, or all but the requester itself where
    /// that is one: whether Rust knows of them does not matter, for no entry of the device table
    /// points to the table for a copy.
    pub(super) copies: Vec<u16>,
    /// Those that have no table of their own.
    pub(super) bare: Vec<u16>,
    /// The requester whose messages the sender's are, where that has no table of its own.
    pub(super) stands_in: Option<u16>,
    /// A second table of the sender, later than its entries; C is not shown it.
    pub(super) hidden: Option<Pointers>,
    /// The requester of that table, and what tells its state from others.
    pub(super) second: Option<(u16, u64)>,
    /// Why Rust refuses a message, where C does what has no effect, or another one.
    pub(super) refusal: Option<i32>,
    /// Whether the IOMMU is switched on.
    pub(super) enabled: bool,
    /// Whether an entry was changed.
    pub(super) changed: bool,
    /// Whether that was set before.
    pub(super) was_set: bool,
    /// Whether each requester has a lock.
    pub(super) per_device: bool,
    /// The lock that Rust takes where C takes another; as offsets in the arena.
    pub(super) locks: HashMap<u64, u64>,
    /// The lock that Rust takes, if it is not the shared one, where C takes none.
    pub(super) lock: Option<u64>,
    /// Whether Rust takes it and C does not.
    pub(super) rust_locks: bool,
    /// Whether Rust asks the IO-APIC.
    pub(super) rust_reads: bool,
}

impl Plan {
    /// The table as it is.
    pub(super) fn snapshot(&self, side: &mut Side) -> Vec<u8> {
        let env = side.env();
        env.unit
            .of::<Platform>()
            .table(&env.arena, self.table)
            .to_vec()
    }

    /// Notes which entry changed since a snapshot; says what of that is to be equal on both sides.
    pub(super) fn note_changes(&mut self, side: &mut Side, before: &[u8]) -> u64 {
        let after = self.snapshot(side);
        let entries = before.chunks(self.size).zip(after.chunks(self.size));
        let changed: Vec<_> = entries.filter(|(old, new)| old != new).collect();
        self.changed = !changed.is_empty();
        self.was_set = changed
            .iter()
            .any(|(old, _)| old.iter().any(|byte| *byte != 0));
        changed.len() as u64
    }
}
