//! An IRQ that guests handle.
//!
//! Several guests may share one. Each that has not been told before is told of an interrupt, and
//! its EOI is waited for (`masked`, in its `struct pirq`); how many are told and have not answered
//! is the number in flight. When it becomes zero, what [`Acknowledge`] says is done. A timer stands
//! in for guests that do not answer ([`Guests::time_out`]).
//!
//! With [`Acknowledge::Eoi`] the interrupt stays in service on the CPU that received it, and on
//! that CPU's stack ([`EoiStack`]). A CPU is one of those that are waited for exactly as long as
//! its stack has an entry of the IRQ that may not be ended: both change in [`Guests::wait`],
//! [`Guests::may_end`] and [`Guests::leave`] alone. A CPU that is told that the IRQ may be ended
//! looks whether that is still so: in the meantime it may have arrived again.
//!
//! `&mut` is the lock of the IRQ's descriptor. Where it is dropped to tell CPUs, nothing of the
//! IRQ is used afterwards: a guest that has unbound and is not the last one is done, and the last
//! one gets the lock again for [`Guests::is_released`].

use super::cpus::CpuSetMut;
use super::eoi::{EoiStack, Full};

#[cfg(test)]
mod tests;

/// What is done when guests have handled an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acknowledge {
    /// Nothing: Xen sent the EOI before they were told.
    None,
    /// The source is unmasked, by any CPU.
    Unmask,
    /// The CPU that received the interrupt sends the EOI.
    Eoi,
}

/// Why a guest is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It will not share the IRQ, and another has it.
    WillNotShare,
    /// Another has it and does not share.
    OthersDoNotShare,
    /// The last guest has unbound, and CPUs have yet to send EOIs: try again.
    Releasing,
    /// There are as many guests as there can be.
    Full,
}

/// What is to be done for an interrupt that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Arrival {
    /// The last guest has unbound: it is ended at once.
    End,
    /// Each guest is told ([`Guests::tell`]); before that the timer is stopped and the interrupt
    /// noted ([`Guests::wait`]), after it the timer is set, as [`Acknowledge`] wants it.
    Tell,
}

/// What is to be done after a guest's EOI, or what stands in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Done {
    /// Nothing: others have yet to answer, or nothing was in flight.
    Nothing,
    /// The source is to be unmasked.
    Unmask,
    /// The CPUs that are waited for are to be told that the IRQ may be ended.
    TellCpus,
}

/// What is to be done after a guest has unbound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Unbound {
    /// Others have the IRQ still.
    Others(Done),
    /// None has. What is inside is done; the source is disabled, the CPUs that are waited for are
    /// told, and when they have answered, the IRQ is shut down.
    Last(Done),
}

/// The guests of an IRQ, as a number: who they are is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guests<S> {
    acknowledge: Acknowledge,
    /// How many there can be.
    most: u8,
    shares: bool,
    count: u8,
    in_flight: u8,
    /// The CPUs whose EOI is waited for.
    waited_for: S,
}

impl<S: CpuSetMut> Guests<S> {
    /// None yet; `most` is how many there can be. No CPU is in `none`.
    pub fn new(acknowledge: Acknowledge, shares: bool, most: u8, none: S) -> Self {
        debug_assert!(none.is_empty());
        Self {
            acknowledge,
            most,
            shares,
            count: 0,
            in_flight: 0,
            waited_for: none,
        }
    }

    /// What is done when they have handled an interrupt.
    pub fn acknowledge(&self) -> Acknowledge {
        self.acknowledge
    }

    /// How many there are.
    pub fn count(&self) -> u8 {
        self.count
    }

    /// How many were told and have not answered.
    pub fn in_flight(&self) -> u8 {
        self.in_flight
    }

    /// The CPUs whose EOI is waited for.
    pub fn waited_for(&self) -> &S {
        &self.waited_for
    }

    /// Binds the first guest, which the IRQ was set up for. Returns its place.
    pub fn bind_first(&mut self) -> Result<u8, Refused> {
        debug_assert!(self.count == 0);
        self.add()
    }

    /// Binds one more. Returns its place, behind the others.
    ///
    /// # Errors
    ///
    /// Those of [`Refused`].
    pub fn bind(&mut self, shares: bool) -> Result<u8, Refused> {
        match (shares, self.shares) {
            (false, _) => Err(Refused::WillNotShare),
            (true, false) => Err(Refused::OthersDoNotShare),
            _ if self.count == 0 => Err(Refused::Releasing),
            _ => self.add(),
        }
    }

    fn add(&mut self) -> Result<u8, Refused> {
        if self.count >= self.most {
            return Err(Refused::Full);
        }
        self.count += 1;
        Ok(self.count - 1)
    }

    /// Looks at an interrupt.
    pub fn arrive(&self) -> Arrival {
        if self.count == 0 {
            debug_assert!(self.acknowledge == Acknowledge::Eoi);
            Arrival::End
        } else {
            Arrival::Tell
        }
    }

    /// Notes an interrupt that this CPU, `me`, is to end when guests have handled it. Does nothing
    /// where it does not.
    ///
    /// # Errors
    ///
    /// [`Full`]; then it is not noted.
    pub fn wait<const N: usize>(
        &mut self,
        me: u32,
        stack: &mut EoiStack<N>,
        irq: u32,
        vector: u8,
    ) -> Result<(), Full> {
        if self.acknowledge == Acknowledge::Eoi {
            stack.push(irq, vector)?;
            self.waited_for.insert(me);
        }
        Ok(())
    }

    /// Tells a guest. `was_masked` says whether its EOI was waited for before.
    pub fn tell(&mut self, was_masked: bool) {
        if self.acknowledge != Acknowledge::None && !was_masked {
            self.in_flight += 1;
        }
    }

    /// A guest has answered, if `was_masked`.
    pub fn answer(&mut self, was_masked: bool) -> Done {
        if !was_masked || self.in_flight == 0 {
            return Done::Nothing;
        }
        self.in_flight -= 1;
        match self.acknowledge {
            _ if self.in_flight != 0 => Done::Nothing,
            Acknowledge::None => Done::Nothing,
            Acknowledge::Unmask => Done::Unmask,
            Acknowledge::Eoi => Done::TellCpus,
        }
    }

    /// The guests that have not answered are taken to have; `masked` are those of which an EOI was
    /// waited for. Not while the timer has been set again.
    pub fn time_out(&mut self, masked: u8) -> Done {
        let mut done = Done::Nothing;
        for _ in 0..masked {
            done = self.answer(true);
        }
        debug_assert!(self.in_flight == 0);
        done
    }

    /// This CPU, `me`, was told that the IRQ may be ended. Lets it, if that is still so.
    pub fn may_end<const N: usize>(&mut self, me: u32, stack: &mut EoiStack<N>, irq: u32) {
        if self.in_flight == 0 && self.waited_for.contains(me) {
            self.waited_for.remove(me);
            let waits = stack.set_ready(irq);
            debug_assert!(waits);
        }
    }

    /// This CPU, `me`, goes offline: [`EoiStack::set_all_ready`] lets it end all.
    pub fn leave(&mut self, me: u32) {
        self.waited_for.remove(me);
    }

    /// A guest unbinds. `was_masked` says whether its EOI was waited for.
    pub fn unbind(&mut self, was_masked: bool) -> Unbound {
        debug_assert!(self.count != 0);
        self.count = self.count.saturating_sub(1);
        let done = self.answer(was_masked);
        match (self.count, done) {
            // The CPUs are told in any case.
            (0, Done::TellCpus) => Unbound::Last(Done::Nothing),
            (0, done) => Unbound::Last(done),
            (_, done) => Unbound::Others(done),
        }
    }

    /// Returns whether no guest has the IRQ, and no CPU has yet to end it.
    pub fn is_released(&self) -> bool {
        self.count == 0 && self.in_flight == 0 && self.waited_for.is_empty()
    }
}
