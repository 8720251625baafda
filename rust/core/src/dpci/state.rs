//! When a pirq's interrupt is delivered: one word that the interrupt, softirqs and who binds and
//! unbinds change.
//!
//! 1. An interrupt sets SCHEDULED and MASKED in one step ([`State::arrive`]). Who set SCHEDULED
//!    takes a reference to the domain and puts the pirq on the list of its own CPU.
//! 2. A softirq takes the pirq off its CPU's list and exchanges SCHEDULED for RUNNING in one step
//!    ([`State::begin`]). If RUNNING is set, another CPU is delivering an earlier interrupt: the
//!    pirq goes back on the list.
//! 3. With the domain's event lock held it takes MASKED ([`State::take`]), and delivers if that was
//!    set.
//! 4. It clears RUNNING ([`State::finish`]), touches the pirq no more, and drops the reference.
//! 5. Who unbinds has the interrupt come no more, and then clears MASKED with the event lock held
//!    ([`State::cancel`]): what is scheduled still finds nothing to deliver.
//!
//! So SCHEDULED is set exactly as long as a list has the pirq, or a CPU is between both: the pirq
//! is never on two lists. It is freed when neither SCHEDULED nor RUNNING is set
//! ([`State::is_active`]): no list has it then, and no CPU touches it. Who binds it anew waits for
//! nothing. What was scheduled before either finds MASKED cleared, or delivers what arrived since.

#[cfg(not(test))]
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering;
// Tests look at all interleavings with three preemptions at most.
#[cfg(test)]
use loom::sync::atomic::AtomicU32;

/// A list has the pirq, or is about to.
const SCHEDULED: u32 = 1 << 0;
/// A softirq is delivering.
const RUNNING: u32 = 1 << 1;
/// An interrupt has arrived and was not delivered.
const MASKED: u32 = 1 << 2;

/// The word. Zero bytes are one of a pirq that has nothing to deliver.
#[derive(Debug)]
#[repr(transparent)]
pub struct State(AtomicU32);

/// Whether an interrupt has to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Arrival {
    /// The caller takes a reference to the domain and puts the pirq on its CPU's list.
    Queue,
    /// It is on a list, or about to be.
    Queued,
}

/// Whether a softirq that took a pirq off its list may deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// It delivers, and then calls [`State::finish`].
    Deliver,
    /// Another CPU is at it: the pirq goes back on the list.
    Wait,
}

impl State {
    /// The word at first.
    #[cfg(test)]
    fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// An interrupt has arrived.
    ///
    /// Context: any; the interrupt is bound, and stays so until the caller has queued it.
    #[inline]
    pub fn arrive(&self) -> Arrival {
        let before = self.0.fetch_or(SCHEDULED | MASKED, Ordering::AcqRel);
        if before & SCHEDULED == 0 {
            Arrival::Queue
        } else {
            Arrival::Queued
        }
    }

    /// A softirq has taken the pirq off its CPU's list.
    #[inline]
    pub fn begin(&self) -> Turn {
        let start = |state| {
            let runs = state & RUNNING != 0;
            (!runs).then_some(state & !SCHEDULED | RUNNING)
        };
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, start)
        {
            Ok(_) => Turn::Deliver,
            Err(_) => Turn::Wait,
        }
    }

    /// Takes what there is to be delivered; returns whether there is.
    ///
    /// Context: the domain's event lock is held, between [`Self::begin`] and [`Self::finish`].
    #[inline]
    pub fn take(&self) -> bool {
        self.0.fetch_and(!MASKED, Ordering::AcqRel) & MASKED != 0
    }

    /// The softirq is done, and touches the pirq no more.
    #[inline]
    pub fn finish(&self) {
        self.0.fetch_and(!RUNNING, Ordering::AcqRel);
    }

    /// Has what arrived not be delivered.
    ///
    /// Context: the domain's event lock is held, and the interrupt comes no more.
    #[inline]
    pub fn cancel(&self) {
        self.0.fetch_and(!MASKED, Ordering::AcqRel);
    }

    /// Returns whether a list may have the pirq, or a softirq be delivering. Where the interrupt
    /// comes no more, the answer stays no.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.0.load(Ordering::Acquire) & (SCHEDULED | RUNNING) != 0
    }
}

#[cfg(test)]
mod tests;
