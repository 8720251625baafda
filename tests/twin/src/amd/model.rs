//! In what the sides may differ.
//!
//! 1. *Entries that would not change.* C writes and invalidates them again, Rust leaves them alone.
//! 2. *Entries that were not set.* An IOMMU keeps none of those. C invalidates all that it did not
//!    take into use in the same call; so it does for an HPET's entry and for those of a block after
//!    the first, Rust does not.
//! 3. *Release.* Rust takes the lock again after the invalidation, to free the entries; C frees
//!    them before it, so that another interrupt may be given what the IOMMU still uses.
//! 4. *For whom.* In Rust for all functions of the device that use the table, in C for the
//!    requester alone, and its alias. Rust begins with the requester in whose table the entry was
//!    allocated, C with the one that has a table now.
//! 5. *IOMMUs that are switched off* are told nothing by Rust; C does so where it releases entries,
//!    and nowhere else.
//! 6. *Locks.* The functions of a device have the lock of function 0 in Rust, each its own in C.
//!    Rust also takes it to give up a requester's table. Where all requesters are to share a table,
//!    none of them uses its own lock in Rust, not even to see that there is no table yet. The
//!    heading of the shared table's dump is printed after it was taken in Rust, before that in C.
//! 7. *Reads of IO-APICs.* Rust leaves them out where the value is not used.
//! 8. *What is allocated.* How much is allocated to know the entries in use, in what order, and
//!    what that holds is the side's own business; see [`super::world::World`] and
//!    [`super::platform`].
//!
//! 9. *Messages that bear another function's ID.* That has the table, and the sender has none. C
//!    follows a null pointer; here it is told that the other function sends them.
//! 10. *Functions that firmware does not list* are taken for copies of function 0, with its table,
//!     but their entries of the device table do not point to that. C says that all is well, and no
//!     message comes; Rust refuses, and C is not called.
//! 11. *Destinations that an entry cannot name.* C cuts them down, Rust refuses; C is not called.
//! 12. *Devices with two tables.* Where the messages' two IDs have a table each, C ends Xen by a
//!     BUG_ON. Rust refuses a first entry, and C is not called. Entries that were allocated before
//!     there was a second table are used and released where they are; C is not shown the second.
//! 13. *Wrong tables of the firmware.* Where preparing the IOMMUs fails and leaves none, Rust
//!     clears `iommu_enable`. C leaves it set, and Xen ends later by a BUG_ON in the same
//!     preparation; C's flag is cleared here.
//!
//! Which entries are taken into use does not differ: both take the lowest block.
//!
//! What is avoided, because C relies on its callers there or goes wrong, stands where steps are
//! carried out: see [`super::perform`], [`super::plan`] and [`super::tables`].

use super::fakes::FLUSH;
use super::op::Op;
use super::plan::Plan;
use super::spec::Spec;
use super::world::World;
use crate::answer::Answer;
use crate::subject::Verdict;
use crate::trace::{Entry, Event, Held};

#[derive(Default)]
pub(crate) struct Model {
    plan: Plan,
}

impl Model {
    pub(super) fn new(_spec: &Spec) -> Self {
        Self::default()
    }

    /// Follows the step, and decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        _op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        self.plan = world.plan.clone();
        if c == rust {
            Ok(Verdict::Continue)
        } else {
            Err("the answers differ".to_owned())
        }
    }

    /// Decides whether the effects of a step agree.
    pub(super) fn same_effects(&self, op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        let mut c = c.to_vec();
        let is_known = match op {
            Op::Update { .. } | Op::UpdateBeside { .. } if self.plan.refusal.is_some() => {
                return c.is_empty() && rust.iter().all(is_lock);
            }
            Op::Update { .. } | Op::UpdateBeside { .. } | Op::WritePin { .. } => {
                self.flush_as_in_rust(&mut c, rust)
            }
            Op::Release { .. } | Op::ReleaseBeside { .. } => {
                self.flush_as_in_rust(&mut c, rust) && self.lock_again_as_in_rust(&mut c)
            }
            Op::ReadPin { .. } => self.read_as_in_rust(&mut c),
            Op::Free { .. } => self.lock_as_in_rust(&mut c, 0, nothing_held()),
            Op::Dump => self.dump_as_in_rust(&mut c),
            _ => true,
        };
        for entry in &mut c {
            if let Event::Lock { lock, .. } | Event::Unlock { lock, .. } = &mut entry.event
                && let Some(other) = self.plan.locks.get(lock)
            {
                *lock = *other;
            }
        }
        is_known && c == rust
    }

    /// Rules 1 to 5. False where C itself does not what it is known for.
    fn flush_as_in_rust(&self, c: &mut Vec<Entry>, rust: &[Entry]) -> bool {
        let Some(at) = c.iter().position(is_flush) else {
            // Nothing that the IOMMU may keep was changed.
            return !(self.plan.changed && self.plan.was_set && self.plan.enabled) || c.is_empty();
        };
        let count = c[at..].iter().take_while(|entry| is_flush(entry)).count();
        let flushed: Vec<_> = c.drain(at..at + count).collect();
        let known = |entry: &Entry| match entry.event {
            Event::Call(_, told) => self.plan.flushed.contains(&(told[1] as u16)),
            _ => false,
        };
        if !flushed.iter().all(known) || c.iter().any(is_flush) {
            return false;
        }
        if !(self.plan.changed && self.plan.was_set && self.plan.enabled) {
            return true;
        }
        let does_rust = |id: &u16| rust.iter().any(|entry| is_flush_of(entry, *id));
        let flushed_in_rust = self.plan.flushed.iter();
        let flushed_in_rust =
            flushed_in_rust.filter(|id| !self.plan.copies.contains(id) || does_rust(id));
        // The IOMMU is told of all of them, in whatever order.
        let mut flushed_in_rust: Vec<_> = flushed_in_rust.collect();
        flushed_in_rust.sort_by_key(|id| rust.iter().position(|entry| is_flush_of(entry, **id)));
        let wanted = flushed_in_rust.into_iter().map(|id| {
            let mut entry = flushed[0].clone();
            if let Event::Call(_, told) = &mut entry.event {
                told[1] = (*id).into();
                if self.plan.bare.contains(id) {
                    told[2] = 0;
                }
                if let Some((_, state)) = self.plan.second.filter(|(second, _)| second == id) {
                    told[2] = state;
                }
            }
            entry
        });
        c.splice(at..at, wanted);
        true
    }

    /// Rule 3.
    fn lock_again_as_in_rust(&self, c: &mut Vec<Entry>) -> bool {
        let locked = c.iter().filter(|entry| is_lock(entry)).cloned();
        let locked: Vec<_> = locked.collect();
        c.extend(locked);
        true
    }

    /// Rule 7.
    fn read_as_in_rust(&self, c: &mut Vec<Entry>) -> bool {
        if !self.plan.rust_reads {
            c.clear();
        }
        true
    }

    /// Rule 6.
    fn lock_as_in_rust(&self, c: &mut Vec<Entry>, at: usize, held: Held) -> bool {
        let Some(lock) = self.plan.lock.filter(|_| self.plan.rust_locks) else {
            return true;
        };
        let entries = [
            (Event::Lock { lock, irq: true }, held.irqs_on),
            (Event::Unlock { lock, irq: true }, false),
        ];
        let entries = entries.map(|(event, irqs_on)| Entry {
            event,
            held: Held { irqs_on, ..held },
        });
        c.splice(at..at, entries);
        true
    }

    /// Rule 6.
    fn dump_as_in_rust(&self, c: &mut Vec<Entry>) -> bool {
        if !self.plan.per_device {
            c.retain(|entry| !is_lock(entry));
            // Tables of their own are followed by softirqs, the shared one is not.
            let table_is_shared = !c.iter().any(is_softirqs);
            if let [heading, ..] = &mut c[..]
                && table_is_shared
            {
                heading.held.irqs_on = false;
            }
        }
        true
    }
}

fn is_flush(entry: &Entry) -> bool {
    matches!(entry.event, Event::Call(name, _) if name == FLUSH)
}

/// Whether the IOMMU is told to forget the table of a requester.
fn is_flush_of(entry: &Entry, id: u16) -> bool {
    matches!(entry.event, Event::Call(name, told) if name == FLUSH && told[1] == u64::from(id))
}

fn is_softirqs(entry: &Entry) -> bool {
    matches!(entry.event, Event::Call("process_pending_softirqs", _))
}

fn is_lock(entry: &Entry) -> bool {
    matches!(entry.event, Event::Lock { .. } | Event::Unlock { .. })
}

fn nothing_held() -> Held {
    Held {
        irqs_on: true,
        spin_locks: 0,
        rcu: 0,
        rwlocks: [0; 2],
    }
}
