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
//! While a handler of Xen's runs, its interrupt is in service and not on the stack. No EOI may be
//! sent then, although one is ready at the top: it would end the interrupt that is handled. What is
//! ready is ended when the handler has returned.

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
    ready: bool,
}

/// What waits on a CPU, with vectors that rise from the bottom to the top.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EoiStack<const N: usize = CAPACITY> {
    len: u8,
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
            entries: [NONE; N],
        }
    }

    fn waiting(&self) -> &[Waiting] {
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
    pub fn push(&mut self, irq: u32, vector: u8) {
        debug_assert!(self.waiting().last().is_none_or(|top| top.vector < vector));
        self.insert(self.len.into(), irq, vector, false);
    }

    /// Notes one that Xen has handled, if it is not above all that wait; else its EOI is to be sent
    /// now. Returns whether it waits.
    #[must_use]
    pub fn defer(&mut self, irq: u32, vector: u8) -> bool {
        let place = self.waiting().partition_point(|one| one.vector < vector);
        if place == self.waiting().len() {
            return false;
        }
        debug_assert!(
            self.waiting()
                .get(place)
                .is_none_or(|one| one.vector != vector)
        );
        self.insert(place, irq, vector, true);
        true
    }

    fn insert(&mut self, place: usize, irq: u32, vector: u8, ready: bool) {
        debug_assert!(usize::from(self.len) < N);
        let Some(above) = self.entries.get_mut(place..=self.len.into()) else {
            return;
        };
        above.rotate_right(1);
        if let Some(entry) = above.first_mut() {
            *entry = Waiting { irq, vector, ready };
        }
        self.len += 1;
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

    /// The one whose EOI is to be sent now; [`Self::pop`] follows that.
    pub fn ready(&self) -> Option<Waiting> {
        self.waiting().last().copied().filter(|top| top.ready)
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
