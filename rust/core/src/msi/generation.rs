//! Whether what was read of a device's configuration space still holds.
//!
//! Whoever may change configuration space without telling us what follows from that says so before
//! ([`Generation::changing`]). From then until every such change has been carried out
//! ([`Generation::settled`]) nothing that is read can be relied on later, and what had been read
//! before cannot either.

#[cfg(not(test))]
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicU32;

#[cfg(test)]
mod tests;

/// A change has been announced and may not have been carried out.
const CHANGING: u32 = 1;
/// Another one has been since the wait for the first began.
const AGAIN: u32 = 2;
/// The numbers of generations are above these bits.
const NEXT: u32 = 4;

/// The number of the time since the last change.
#[derive(Debug)]
pub struct Generation(AtomicU32);

/// A time in which nothing changed. Its number is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(u32);

impl Seen {
    /// The number, to be kept with what was read.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Generation {
    /// The first generation.
    #[cfg(not(test))]
    pub const fn new() -> Self {
        Self(AtomicU32::new(NEXT))
    }

    /// Returns whether what was kept with a number still holds; 0 never does.
    #[inline]
    pub fn is(&self, number: u32) -> bool {
        // No generation in which a change is under way has ever been given out.
        self.0.load(Ordering::Acquire) == number
    }

    /// The current generation; none while a change is under way. To be asked for before anything is
    /// read that is to be kept with it.
    pub fn current(&self) -> Option<Seen> {
        let now = self.0.load(Ordering::SeqCst);
        (now & (CHANGING | AGAIN) == 0).then_some(Seen(now))
    }

    /// Says that a change is about to be carried out. Returns whether the caller has to see to it
    /// that [`Self::settled`] is called once it, and every other change announced before, has been.
    #[must_use]
    pub fn changing(&self) -> bool {
        let before = self.update(|now| {
            let wait = if now & CHANGING == 0 {
                CHANGING
            } else {
                CHANGING | AGAIN
            };
            next(now) | wait
        });
        before & CHANGING == 0
    }

    /// Says that every change has been carried out that had been announced when the wait began.
    /// Returns whether others have been announced since, so that it has to be called once more
    /// after another wait.
    #[must_use]
    pub fn settled(&self) -> bool {
        let before = self.update(|now| {
            if now & AGAIN == 0 {
                now & !CHANGING
            } else {
                now & !AGAIN
            }
        });
        before & AGAIN != 0
    }

    /// Says that a change has been carried out.
    pub fn changed(&self) {
        self.update(|now| next(now) | now & (CHANGING | AGAIN));
    }

    /// Replaces the word; returns the old one.
    fn update(&self, by: impl Fn(u32) -> u32) -> u32 {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            match self
                .0
                .compare_exchange(now, by(now), Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => return now,
                Err(other) => now = other,
            }
        }
    }
}

#[cfg(not(test))]
impl Default for Generation {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of the next generation, with no change under way; 0 is left out.
const fn next(now: u32) -> u32 {
    match (now & !(CHANGING | AGAIN)).wrapping_add(NEXT) {
        0 => NEXT,
        number => number,
    }
}
