//! Locks, and what goes without them.

pub mod irqs;
pub mod lock;
pub mod once;
pub mod rcu;
pub mod rcu_array;
pub mod rwlock;
pub mod softirq;
