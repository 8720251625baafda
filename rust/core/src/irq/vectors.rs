//! Which vector of a CPU an IRQ gets.
//!
//! A local APIC handles interrupts of one priority class (16 vectors) badly, so successive
//! allocations are spread over the classes: the next vector is 8 above the last, and behind the
//! last dynamic vector the search goes on one above where the round began. Each of the 208 dynamic
//! vectors comes once in a cycle. The order can be seen (debug keys `i` and `M`, the data of
//! messages that are not remapped), so it is upstream's.

use core::sync::atomic::{AtomicU64, Ordering};

#[cfg(test)]
mod tests;

/// The dynamic vectors.
pub const FIRST_DYNAMIC: u8 = 0x20;
/// The last of them.
pub const LAST_DYNAMIC: u8 = 0xef;
/// The vectors of the PICs, which only CPU 0 receives; on other CPUs they are dynamic ones.
pub const FIRST_LEGACY: u8 = FIRST_DYNAMIC;
/// The last of them.
pub const LAST_LEGACY: u8 = FIRST_LEGACY + 0xf;
/// The vector by which CPUs are told that IRQs have moved away. None below it is ever allocated,
/// so that what is pending on a CPU is handled before this is.
pub const MOVE_CLEAN_UP: u8 = FIRST_LEGACY + 2;
/// The vectors of high priority, which are the same on all CPUs.
pub const FIRST_HIGH_PRIORITY: u8 = 0xf1;
/// The last of them.
pub const LAST_HIGH_PRIORITY: u8 = 0xf8;

/// How far apart successive allocations are.
const STEP: u8 = 8;

/// Returns whether a vector can be that of an IRQ.
#[doc(alias = "valid_irq_vector")]
pub const fn is_irq_vector(vector: u8) -> bool {
    matches!(vector, FIRST_DYNAMIC..=LAST_HIGH_PRIORITY)
}

/// Returns whether a vector is one of high priority.
pub const fn is_high_priority(vector: u8) -> bool {
    matches!(vector, FIRST_HIGH_PRIORITY..=LAST_HIGH_PRIORITY)
}

/// A set of vectors, as C's `vmask_t`.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct VectorSet([AtomicU64; 4]);

impl VectorSet {
    /// None.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }

    fn word(&self, vector: u8) -> (&AtomicU64, u64) {
        (&self.0[usize::from(vector >> 6)], 1 << (vector & 63))
    }

    /// Returns whether the vector is in it.
    #[inline]
    pub fn contains(&self, vector: u8) -> bool {
        let (word, bit) = self.word(vector);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// Adds a vector; returns whether it was in it.
    pub fn insert(&self, vector: u8) -> bool {
        let (word, bit) = self.word(vector);
        word.fetch_or(bit, Ordering::SeqCst) & bit != 0
    }

    /// Removes a vector; returns whether it was in it.
    pub fn remove(&self, vector: u8) -> bool {
        let (word, bit) = self.word(vector);
        word.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }
}

/// Returns the vector that is tried after another.
const fn after(vector: u8) -> u8 {
    // LAST_DYNAMIC + STEP is below 256.
    let next = vector + STEP;
    if next <= LAST_DYNAMIC {
        next
    } else {
        FIRST_DYNAMIC + (vector + 1) % STEP
    }
}

/// What a search has to leave out, besides vectors of the CPU that are in use.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// Vectors that are no IRQ's on any CPU.
    pub reserved: &'a VectorSet,
    /// Vectors of the IRQs with which this one must not share a vector, on any CPU.
    pub used: Option<&'a VectorSet>,
}

impl Taken<'_> {
    /// Returns whether the vector of a CPU is free; `slot` is what stands at it in the CPU's
    /// `vector_irq[]`, which is negative while no IRQ has it.
    fn is_free(&self, cpu: u32, vector: u8, slot: impl Fn(u8) -> i32) -> bool {
        let legacy = cpu == 0 && matches!(vector, FIRST_LEGACY..=LAST_LEGACY);
        let used = self.used.is_some_and(|used| used.contains(vector));
        let taken = legacy || used || self.reserved.contains(vector);
        !taken && slot(vector) < 0
    }
}

/// The vector that was allocated last, on any CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(u8);

impl Cursor {
    /// Where the first search begins.
    pub const fn new() -> Self {
        Self(FIRST_DYNAMIC)
    }

    /// Chooses a free vector of a CPU. The one that was allocated last is never tried, so a full
    /// CPU keeps it free if it is.
    #[inline]
    pub fn find(&mut self, cpu: u32, taken: Taken<'_>, slot: impl Fn(u8) -> i32) -> Option<u8> {
        let mut vector = after(self.0);
        while vector != self.0 {
            if taken.is_free(cpu, vector, &slot) {
                self.0 = vector;
                return Some(vector);
            }
            vector = after(vector);
        }
        None
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}
