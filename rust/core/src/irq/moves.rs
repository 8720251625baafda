//! An IRQ's place, which is a vector on one or more CPUs, and its moves to another.
//!
//! 1. A wish for other CPUs is noted with the IRQ's descriptor.
//! 2. When the IRQ is acknowledged next, the move begins ([`Place::retarget`]).
//! 3. The current place becomes the old one ([`Place::settle`]).
//! 4. A vector of a CPU that was wished for is entered in that CPU's `vector_irq[]`.
//! 5. The move is in progress.
//! 6. The source of the interrupt is made to send to the new place.
//! 7. What still arrives at the old place is handled as before.
//! 8. The first interrupt at the new place shows that all that was sent to the old one has arrived
//!    there. The CPUs of the old place are told to clean up ([`Place::complete`]).
//! 9. Each of them frees its vector, once nothing is pending at it ([`Place::clean_up`],
//!    [`Place::freed`]). The last releases the vector in the map of used ones.
//!
//! Until step 9 the IRQ cannot be moved again, unless the CPUs of its new place go offline
//! ([`Place::leave`]). An IRQ that is destroyed in a move gives up both places ([`Place::clear`]).
//!
//! The lock of the IRQ's descriptor is held; where a vector is allocated or the IRQ loses its
//! vector, the vector lock as well. A CPU that cleans up does not hold the vector lock. Therefore
//! it first stores `~irq` in its `vector_irq[]` and then removes the vector from the map of used
//! ones: from then on another IRQ of that map may get the vector on another CPU.

use super::cpus::{CpuSet, CpuSetMut, each};
use super::vectors::{MOVE_CLEAN_UP, is_irq_vector};

#[cfg(test)]
mod tests;

/// The places of an IRQ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place<S> {
    /// The vector; none while it has none.
    pub vector: Option<u8>,
    /// The CPUs that have it for this IRQ.
    pub cpus: S,
    /// The vector of the place from which it moved.
    pub old_vector: Option<u8>,
    /// The CPUs of that place.
    pub old_cpus: S,
    /// No interrupt has arrived at the new place yet.
    pub in_progress: bool,
    /// How many CPUs of the old place have yet to clean up.
    pub cleanups: u32,
}

/// What becomes of a wish for other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Target {
    /// The place is right as it is.
    Stays,
    /// The last move has not ended.
    Busy,
    /// It goes back to the place from which it came, the vector of which is to be entered again for
    /// the IRQ on all CPUs of the place. The vector to be released is inside.
    Returns(Option<u8>),
    /// A vector is to be found on one of the CPUs, for [`Place::settle`].
    Search,
}

/// What is to be done after an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Completed {
    /// The interrupt was not at the new place.
    NotYet,
    /// The CPUs of the old place are to be told to clean up.
    Tell,
    /// None of them is online. The vector to be released is inside.
    Release(Option<u8>),
}

/// What a CPU does with one of its vectors when it was told to clean up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum CleanUp {
    /// Nothing: no IRQ moved away from it.
    Leave,
    /// An interrupt is pending: try again when it has been handled.
    Later,
    /// An interrupt is pending that this CPU handles after the one of the clean-up, so that trying
    /// again would never end. No IRQ gets such a vector, see [`MOVE_CLEAN_UP`].
    Never,
    /// The vector is free: store `~irq`, then call [`Place::freed`].
    Free,
}

/// What is to be done for a CPU that is going offline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Left {
    /// An interrupt is pending at the old place of this CPU; it has to be sent to the new one.
    pub forward: bool,
    /// The vector to be released.
    pub release: Option<u8>,
}

impl<S: CpuSetMut> Place<S> {
    /// Returns whether the last move has not ended.
    pub fn is_moving(&self) -> bool {
        self.in_progress || self.cleanups != 0
    }

    /// Forgets the old place. Returns the vector to be released in the map of used ones.
    fn release_old(&mut self) -> Option<u8> {
        self.old_cpus.clear();
        let vector = self.old_vector.take().filter(|&old| is_irq_vector(old));
        debug_assert!(vector.is_some());
        vector
    }

    /// Begins a move to some of the CPUs that are wanted. `known` is the vector by which the IRQ is
    /// known now, if it is one of an IRQ.
    pub fn retarget(
        &mut self,
        known: Option<u8>,
        wanted: &impl CpuSet,
        online: &impl CpuSet,
    ) -> Target {
        if known.is_some() && each(wanted).any(|cpu| online.contains(cpu) && self.has(cpu)) {
            self.vector = known;
            return Target::Stays;
        }
        if !self.is_moving() {
            return Target::Search;
        }
        if self.cpus.intersects(online) {
            return Target::Busy;
        }
        // The new place goes offline. Its CPUs are gone from the old one ([`Self::leave`]).
        debug_assert!(self.old_vector.is_some_and(is_irq_vector));
        debug_assert!(self.old_cpus.intersects(online));
        if !self.old_cpus.intersects(wanted) {
            return Target::Search;
        }
        self.cpus.copy(&self.old_cpus);
        self.cpus.retain(wanted);
        self.vector = self.old_vector.take();
        self.old_cpus.clear();
        self.in_progress = false;
        self.cleanups = 0;
        Target::Returns(known)
    }

    fn has(&self, cpu: u32) -> bool {
        self.cpus.contains(cpu)
    }

    /// Settles at a vector that was found, which has to be entered for the IRQ on the CPU. Returns
    /// the vector to be released.
    #[must_use]
    pub fn settle(
        &mut self,
        known: Option<u8>,
        (cpu, vector): (u32, u8),
        online: &impl CpuSet,
    ) -> Option<u8> {
        let release = if self.is_moving() {
            // The new place goes offline in the middle of a move: the old one is cleaned up as if
            // the IRQ had moved from it to here.
            debug_assert!(!self.cpus.intersects(online));
            known
        } else if known.is_some() {
            self.old_cpus.copy(&self.cpus);
            self.old_cpus.retain(online);
            self.old_vector = self.vector;
            self.in_progress = !self.old_cpus.is_empty();
            if self.in_progress {
                None
            } else {
                self.release_old()
            }
        } else {
            None
        };
        self.vector = Some(vector);
        self.cpus.clear();
        self.cpus.insert(cpu);
        release
    }

    /// Looks at an interrupt that this CPU has received at a vector.
    pub fn complete(&mut self, me: u32, vector: u8, online: &impl CpuSet) -> Completed {
        if !self.in_progress || self.vector != Some(vector) || !self.has(me) {
            return Completed::NotYet;
        }
        self.in_progress = false;
        self.old_cpus.retain(online);
        self.cleanups = each(&self.old_cpus).count() as u32;
        if self.cleanups != 0 {
            Completed::Tell
        } else {
            Completed::Release(self.release_old())
        }
    }

    /// Looks at a vector of this CPU that is entered for the IRQ, when this CPU was told to clean
    /// up. Whether an interrupt is pending at it is asked only if it could be freed.
    pub fn clean_up(&self, me: u32, vector: u8, is_pending: impl FnOnce() -> bool) -> CleanUp {
        if self.cleanups == 0 || self.vector == Some(vector) && self.has(me) {
            CleanUp::Leave
        } else if !is_pending() {
            CleanUp::Free
        } else if vector < MOVE_CLEAN_UP {
            CleanUp::Never
        } else {
            CleanUp::Later
        }
    }

    /// Says that this CPU has freed its vector of the old place. Returns the vector to be released,
    /// if that was the last.
    #[must_use]
    pub fn freed(&mut self, me: u32) -> Option<u8> {
        self.cleanups -= 1;
        if self.cleanups != 0 {
            // This CPU is done, and does not count again when it goes offline.
            self.old_cpus.remove(me);
            return None;
        }
        self.release_old()
    }

    /// The CPUs that have a vector for the IRQ, with that vector: those of its place, and in a move
    /// those of the old one. They may be offline.
    pub fn held(&self) -> [Option<(&S, u8)>; 2] {
        let old = self.old_vector.filter(|_| self.is_moving());
        [
            self.vector.map(|vector| (&self.cpus, vector)),
            old.map(|vector| (&self.old_cpus, vector)),
        ]
    }

    /// Gives up all vectors, after they were freed on the CPUs that have them ([`Self::held`]).
    /// Returns the vectors to be released: the current one, and the old one.
    #[must_use]
    pub fn clear(&mut self) -> [Option<u8>; 2] {
        let vector = self.vector.take();
        self.cpus.clear();
        // Clean-ups are not waited for: the IRQ is about to lose its map of used vectors, in which
        // they would release the old one.
        let old = self.is_moving().then(|| self.release_old()).flatten();
        self.in_progress = false;
        self.cleanups = 0;
        [vector, old]
    }

    /// Removes the CPUs that went offline from the old place; this CPU, `me`, is one of them.
    pub fn leave(
        &mut self,
        me: u32,
        online: &impl CpuSet,
        is_pending: impl FnOnce(u8) -> bool,
    ) -> Left {
        let mut left = Left::default();
        if self.cleanups != 0 {
            // They may have been told to clean up while they were online.
            let before = each(&self.old_cpus).count();
            self.old_cpus.retain(online);
            let gone = before - each(&self.old_cpus).count();
            self.cleanups = self.cleanups.wrapping_sub(gone as u32);
            if self.cleanups == 0 {
                left.release = self.release_old();
            }
        }
        if self.in_progress && self.old_cpus.contains(me) {
            // The source sends to the new place already, and no interrupt has come there yet. In
            // the other case, of clean-ups, one has, and nothing is left that could be pending.
            left.forward = self.old_vector.is_some_and(is_pending);
            // When this CPU comes online again, the vector is not entered on it.
            self.old_cpus.remove(me);
            if self.old_cpus.is_empty() {
                self.in_progress = false;
                left.release = self.release_old();
            }
        }
        left
    }
}
