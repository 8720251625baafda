//! Interrupt remapping.

pub mod entry;
pub mod slots;
pub mod source;
pub mod update;

/// Whether a device has to be told that a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Its registers name another entry of the table, or none yet.
    Needed,
    /// Its registers name the same entry as before.
    NotNeeded,
}
