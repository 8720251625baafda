//! Locks, and what goes without them.

pub(crate) mod once;
pub mod rcu;
pub mod rwlock;
pub(crate) mod spin;
