//! Interrupts of a CPU that were handled, and whose EOI has yet to be sent.
//!
//! A guest handles an interrupt that cannot be masked some time after Xen has received it, and the
//! local APIC gets the EOI then. An EOI always ends the interrupt with the highest vector that is
//! in service. So EOIs are sent in the order of the vectors, from the highest: one that may be sent
//! waits for those above it.
//!
//! While an EOI is waited for, the CPU receives no interrupt of the same or a lower class. Each
//! interrupt that comes is therefore above all that wait. Xen's own interrupts cannot always be
//! ended at once, because Xen handles them with IRQs on: by the time the handler returns, one above
//! may wait.
//!
//! While a handler of Xen's runs, its interrupt is in service and not on the stack. No EOI is sent
//! then, although one is ready at the top: it would end the interrupt that is handled, unless it is
//! of one that came above. One handler interrupts another, so what is ready is ended when the last
//! of them has returned ([`EoiStack::enter`], [`EoiStack::leave`]): an EOI waits longer by the time
//! for which handlers of Xen's run.

#[cfg(test)]
mod tests;

/// How many can wait: one for each dynamic vector, but one.
pub const CAPACITY: usize = 207;

/// An interrupt that waits for its EOI: four bytes, because there is one for each vector of each
/// CPU.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiting(u32);

impl Waiting {
    const READY: u32 = 1;

    /// Puts it together. The number of an IRQ has 23 bits at most.
    fn new(irq: u32, vector: u8, ready: bool) -> Self {
        Self(u32::from(vector) << 24 | (irq & 0x7f_ffff) << 1 | u32::from(ready))
    }

    /// The IRQ.
    pub fn irq(self) -> u32 {
        self.0 >> 1 & 0x7f_ffff
    }

    /// The vector at which it arrived.
    pub fn vector(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Whether the EOI may be sent.
    pub fn is_ready(self) -> bool {
        self.0 & Self::READY != 0
    }
}

impl core::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}@{:#x} {}", self.irq(), self.vector(), self.is_ready())
    }
}

/// The stack is full: more wait than there are vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What waits on a CPU, with vectors that rise from the bottom to the top. Zero bytes are a stack
/// on which nothing waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct EoiStack<const N: usize = CAPACITY> {
    len: u8,
    /// How many handlers of Xen's run.
    handlers: u8,
    entries: [Waiting; N],
}

impl<const N: usize> EoiStack<N> {
    /// Nothing waits.
    pub const fn new() -> Self {
        Self {
            len: 0,
            handlers: 0,
            entries: [Waiting(0); N],
        }
    }

    /// What waits, from the bottom to the top.
    pub fn waiting(&self) -> &[Waiting] {
        self.entries.get(..self.len.into()).unwrap_or_default()
    }

    fn waiting_mut(&mut self) -> &mut [Waiting] {
        self.entries.get_mut(..self.len.into()).unwrap_or_default()
    }

    /// Returns whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Notes an interrupt that guests handle. It is above all that wait.
    ///
    /// # Errors
    ///
    /// [`Full`]; then nothing is noted.
    pub fn push(&mut self, irq: u32, vector: u8) -> Result<(), Full> {
        debug_assert!(
            self.waiting()
                .last()
                .is_none_or(|top| top.vector() < vector)
        );
        let new = self.entries.get_mut(usize::from(self.len)).ok_or(Full)?;
        *new = Waiting::new(irq, vector, false);
        self.len += 1;
        Ok(())
    }

    /// A handler of Xen's begins, for an interrupt whose EOI is sent after it.
    pub fn enter(&mut self) {
        self.handlers += 1;
    }

    /// Its interrupt is to be ended, or another that arrived meanwhile. It waits, if it is not
    /// above all that wait; else its EOI is to be sent now. Returns whether it waits.
    ///
    /// While no handler runs, what is ended is at the top or above it.
    ///
    /// # Errors
    ///
    /// [`Full`]; then it does not wait.
    pub fn defer(&mut self, irq: u32, vector: u8) -> Result<bool, Full> {
        if self.handlers == 0 {
            return Ok(false);
        }
        if self
            .waiting()
            .last()
            .is_none_or(|top| top.vector() < vector)
        {
            return Ok(false);
        }
        let mut place = usize::from(self.len);
        *self.entries.get_mut(place).ok_or(Full)? = Waiting::new(irq, vector, true);
        self.len += 1;
        // It sinks below those with higher vectors.
        while let Some([below, one]) = self.entries.get_mut(place.wrapping_sub(1)..=place) {
            debug_assert!(below.vector() != vector);
            if below.vector() < vector {
                break;
            }
            core::mem::swap(below, one);
            place -= 1;
        }
        Ok(true)
    }

    /// It has returned, and its interrupt was ended or waits.
    pub fn leave(&mut self) {
        debug_assert!(self.handlers != 0);
        self.handlers = self.handlers.saturating_sub(1);
    }

    /// Lets the EOI of an IRQ be sent, as soon as those above were. Returns whether it waits.
    pub fn set_ready(&mut self, irq: u32) -> bool {
        let mut from_top = self.waiting_mut().iter_mut().rev();
        let found = from_top.find(|one| one.irq() == irq);
        debug_assert!(found.as_ref().is_some_and(|one| !one.is_ready()));
        found.map(|one| one.0 |= Waiting::READY).is_some()
    }

    /// Lets all be sent, because the CPU goes offline.
    pub fn set_all_ready(&mut self) {
        let all = self.waiting_mut().iter_mut();
        all.for_each(|one| one.0 |= Waiting::READY);
    }

    /// The one whose EOI is to be sent now; [`Self::pop`] follows that. None is while a handler of
    /// Xen's runs.
    pub fn ready(&self) -> Option<Waiting> {
        let top = self.waiting().last().copied();
        top.filter(|top| top.is_ready() && self.handlers == 0)
    }

    /// Forgets the one at the top, whose EOI was sent.
    pub fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }
}

impl<const N: usize> Default for EoiStack<N> {
    fn default() -> Self {
        Self::new()
    }
}
