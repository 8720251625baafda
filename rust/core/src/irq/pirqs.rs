//! The pirqs of a domain: the numbers by which it names IRQs.
//!
//! Two maps lead to one another: from a pirq to its IRQ and from an IRQ to its pirq ([`Link`]). A
//! pirq of an HVM domain may stand for an interrupt of its own, emulated hardware as well
//! ([`Emuirq`]).
//!
//! A pirq that the domain does not name itself is chosen by [`Pirqs`]. The domain sees the number,
//! so the order is upstream's: for a pin the lowest one that is free among those of pins, behind
//! those of PICs; for a message, or where no pin's is free, the highest of all; for a block of
//! messages the highest run, the lowest of which is the pirq of its first message.

#[cfg(test)]
mod tests;

/// How many messages a block has at most (`Multiple Message Capable`, PCI 3.0, section 6.8.1.3).
pub const MOST_MESSAGES: u32 = 32;

/// The IRQs that a PIC can have; their pirqs are never chosen.
const LEGACY: u32 = 16;

/// Where an entry of one of the two maps leads: a pirq to its IRQ, or an IRQ to its pirq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// To nothing: there is no entry, or it is zero.
    None,
    /// To this number.
    To(u32),
    /// To nothing, and it is not free. A guest that was unbound by force from this number has yet
    /// to unbind; or the domain has reserved the pirq, which is 1 here.
    Held(u32),
}

impl Link {
    /// Reads the word that stands in the map.
    pub const fn of(word: i32) -> Self {
        match word {
            0 => Self::None,
            1.. => Self::To(word.unsigned_abs()),
            _ => Self::Held(word.unsigned_abs()),
        }
    }

    /// The word that stands in the map.
    pub const fn word(self) -> i32 {
        match self {
            Self::None => 0,
            Self::To(number) => number.cast_signed(),
            Self::Held(number) => number.cast_signed().wrapping_neg(),
        }
    }
}

/// What a pirq of an HVM domain stands for of the domain's own hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emuirq {
    /// A GSI that Xen emulates.
    Gsi(u32),
    /// Messages that the device model sends.
    Message,
    /// Nothing: the interrupt is that of a device that is passed through.
    PassedThrough,
}

impl Emuirq {
    /// The word for a pirq that stands for none (`IRQ_UNBOUND`).
    pub const UNBOUND: i32 = -1;
    /// The word for [`Self::PassedThrough`] (`IRQ_PT`).
    pub const PASSED_THROUGH: i32 = -2;
    /// The word for [`Self::Message`] (`IRQ_MSI_EMU`).
    pub const MESSAGE: i32 = -3;

    /// Reads C's word; `None` for one that means nothing, as [`Self::UNBOUND`].
    pub const fn of(word: i32) -> Option<Self> {
        match word {
            0.. => Some(Self::Gsi(word.unsigned_abs())),
            Self::PASSED_THROUGH => Some(Self::PassedThrough),
            Self::MESSAGE => Some(Self::Message),
            _ => None,
        }
    }

    /// C's word.
    pub const fn word(self) -> i32 {
        match self {
            Self::Gsi(gsi) => gsi.cast_signed(),
            Self::PassedThrough => Self::PASSED_THROUGH,
            Self::Message => Self::MESSAGE,
        }
    }
}

/// The number of a pirq that a domain may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PirqNumber(u32);

impl PirqNumber {
    /// As C has it.
    pub const fn get(self) -> i32 {
        self.0.cast_signed()
    }

    /// The number.
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// The pirqs that a domain may have. Those below the number of pins are for pins, the others for
/// messages.
#[derive(Clone, Copy, Debug)]
pub struct Pirqs {
    pins: u32,
    count: u32,
}

impl Pirqs {
    /// Those of a domain with `count` pirqs, on a machine whose pins have `pins` IRQs.
    pub const fn new(pins: u32, count: u32) -> Self {
        Self { pins, count }
    }

    /// The pirq of a number; `None` for one that the domain cannot have.
    pub fn numbered(self, number: i32) -> Option<PirqNumber> {
        let number = u32::try_from(number).ok();
        number.filter(|&number| number < self.count).map(PirqNumber)
    }

    /// The pirq that is as far behind another; `None` beyond the last one.
    pub fn behind(self, first: PirqNumber, distance: u32) -> Option<PirqNumber> {
        let number = first.0.checked_add(distance);
        number.filter(|&number| number < self.count).map(PirqNumber)
    }

    /// All of them, from the first on.
    pub fn all(self) -> impl Iterator<Item = PirqNumber> {
        (0..self.count).map(PirqNumber)
    }

    /// Those for messages, from the last on.
    fn of_messages(self) -> impl Iterator<Item = PirqNumber> {
        (self.pins..self.count).rev().map(PirqNumber)
    }

    /// Chooses one for a message. `is_free` is asked for each number in turn, and for none behind
    /// the one that is chosen.
    pub fn for_message(self, mut is_free: impl FnMut(PirqNumber) -> bool) -> Option<PirqNumber> {
        self.of_messages().find(|&number| is_free(number))
    }

    /// Chooses one for a pin, as [`Self::for_message`] does.
    pub fn for_pin(self, mut is_free: impl FnMut(PirqNumber) -> bool) -> Option<PirqNumber> {
        (LEGACY..self.pins)
            .map(PirqNumber)
            .chain(self.of_messages())
            .find(|&number| is_free(number))
    }

    /// Chooses a run of `messages`, at least one, as [`Self::for_message`] does; returns the lowest
    /// of them.
    pub fn for_block(
        self,
        messages: u32,
        mut is_free: impl FnMut(PirqNumber) -> bool,
    ) -> Option<PirqNumber> {
        let mut run = 0;
        self.of_messages().find(|&number| {
            run = if is_free(number) { run + 1 } else { 0 };
            run == messages
        })
    }

    /// What is to be asked for where there is no run of `messages`: the largest power of two below
    /// that of which there is one, or 1, which was not looked for; 0 where it was.
    pub fn smaller_block(self, messages: u32, mut is_free: impl FnMut(PirqNumber) -> bool) -> u32 {
        let mut smaller = messages / 2;
        while smaller > 1 && self.for_block(smaller, &mut is_free).is_none() {
            smaller /= 2;
        }
        smaller
    }
}

/// How many pirqs a block of messages takes: a power of two. `None` for a number that no block has.
pub fn block_of(messages: i32) -> Option<u32> {
    let messages = u32::try_from(messages).ok()?;
    (1..=MOST_MESSAGES)
        .contains(&messages)
        .then(|| messages.next_power_of_two())
}
