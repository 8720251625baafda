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

/// An interrupt that waits for its EOI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// The IRQ.
    pub irq: u32,
    /// The vector at which it arrived.
    pub vector: u8,
    /// Whether the EOI may be sent.
    pub ready: bool,
}

/// The stack is full: more wait than there are vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What waits on a CPU, with vectors that rise from the bottom to the top.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EoiStack<const N: usize = CAPACITY> {
    len: u8,
    /// How many handlers of Xen's run.
    handlers: u8,
    entries: [Waiting; N],
}

impl<const N: usize> EoiStack<N> {
    /// Nothing waits.
    pub const fn new() -> Self {
        const NONE: Waiting = Waiting {
            irq: 0,
            vector: 0,
            ready: false,
        };
        Self {
            len: 0,
            handlers: 0,
            entries: [NONE; N],
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
        debug_assert!(self.waiting().last().is_none_or(|top| top.vector < vector));
        self.insert(self.len.into(), irq, vector, false)
    }

    /// A handler of Xen's begins, for an interrupt whose EOI is sent after it.
    pub fn enter(&mut self) {
        self.handlers += 1;
    }

    /// It has returned. Its interrupt waits, if it is not above all that wait; else its EOI is to
    /// be sent now. Returns whether it waits.
    ///
    /// # Errors
    ///
    /// [`Full`]; then it does not wait.
    pub fn leave(&mut self, irq: u32, vector: u8) -> Result<bool, Full> {
        debug_assert!(self.handlers != 0);
        self.handlers = self.handlers.saturating_sub(1);
        let place = self.waiting().partition_point(|one| one.vector < vector);
        if place == self.waiting().len() {
            return Ok(false);
        }
        debug_assert!(
            self.waiting()
                .get(place)
                .is_none_or(|one| one.vector != vector)
        );
        self.insert(place, irq, vector, true)?;
        Ok(true)
    }

    fn insert(&mut self, place: usize, irq: u32, vector: u8, ready: bool) -> Result<(), Full> {
        let above = self.entries.get_mut(place..=self.len.into()).ok_or(Full)?;
        above.rotate_right(1);
        *above.first_mut().ok_or(Full)? = Waiting { irq, vector, ready };
        self.len += 1;
        Ok(())
    }

    /// Lets the EOI of an IRQ be sent, as soon as those above were. Returns whether it waits.
    pub fn set_ready(&mut self, irq: u32) -> bool {
        let found = self
            .waiting_mut()
            .iter_mut()
            .rev()
            .find(|one| one.irq == irq);
        debug_assert!(found.as_ref().is_some_and(|one| !one.ready));
        found.map(|one| one.ready = true).is_some()
    }

    /// Lets all be sent, because the CPU goes offline.
    pub fn set_all_ready(&mut self) {
        self.waiting_mut()
            .iter_mut()
            .for_each(|one| one.ready = true);
    }

    /// The one whose EOI is to be sent now; [`Self::pop`] follows that. None is while a handler of
    /// Xen's runs.
    pub fn ready(&self) -> Option<Waiting> {
        let top = self.waiting().last().copied();
        top.filter(|top| top.ready && self.handlers == 0)
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
