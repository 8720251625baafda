//! Whether what was read of a device's configuration space still holds.
//!
//! A CPU that is about to change configuration space says so before ([`Generation::begin`]), and
//! when it has ([`Generation::end`]). While such a change is under way nothing that is read can be
//! relied on later, and what had been read before cannot either.

use core::num::NonZeroU32;
use core::sync::atomic::Ordering;

#[cfg(not(test))]
use core::sync::atomic::AtomicU64;
// Tests look at all interleavings.
#[cfg(test)]
use loom::sync::atomic::AtomicU64;

#[cfg(test)]
mod tests;

/// One more change is under way: the count is in bits 31:0.
const ONE: u64 = 1;
/// The next generation: its number is in bits 63:32.
const NEXT: u64 = 1 << 32;

/// The number of the time since the last change, and how many changes are under way.
#[derive(Debug)]
pub struct Generation(AtomicU64);

/// A time in which nothing changed. Its number is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(NonZeroU32);

impl Seen {
    /// The number, to be kept with what was read.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl Generation {
    /// The first generation.
    #[cfg(not(test))]
    pub const fn new() -> Self {
        Self(AtomicU64::new(NEXT))
    }

    /// Returns whether what was kept with a number still holds; 0 never does.
    #[inline]
    pub fn is(&self, number: u32) -> bool {
        // While a change is under way the count is not 0.
        self.0.load(Ordering::Acquire) == u64::from(number) << 32
    }

    /// The current generation; none while a change is under way. To be asked for before anything is
    /// read that is to be kept with it.
    pub fn current(&self) -> Option<Seen> {
        let now = self.0.load(Ordering::SeqCst);
        let number = (now as u32 == 0).then_some((now >> 32) as u32)?;
        NonZeroU32::new(number).map(Seen)
    }

    /// Says that a change is about to be carried out. [`Self::end`] has to be called when it has
    /// been, or when it is not going to be.
    pub fn begin(&self) {
        let before = self.0.fetch_add(NEXT + ONE, Ordering::SeqCst);
        if before >> 32 == u64::from(u32::MAX) {
            // The number is 0, which is left out. Nothing holds with it, because of the count.
            self.0.fetch_add(NEXT, Ordering::SeqCst);
        }
    }

    /// Says that a change that was begun has been carried out.
    pub fn end(&self) {
        self.0.fetch_sub(ONE, Ordering::SeqCst);
    }

    /// Says that something has changed.
    pub fn changed(&self) {
        self.begin();
        self.end();
    }
}

#[cfg(not(test))]
impl Default for Generation {
    fn default() -> Self {
        Self::new()
    }
}
