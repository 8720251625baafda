//! The owner's writes to configuration space: announced, and carried out later.

use super::flaws::Flaw;
use super::scenario::World;
use irq_hw::pci::{COMMAND_MEMORY, MsixControl};
use std::collections::VecDeque;

/// A write of the owner's, by what it does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    /// Memory decoding is turned on or off.
    Decode(bool),
    /// MSI-X is enabled or disabled, and all messages are masked or not.
    Control {
        /// MSI-X is enabled.
        enabled: bool,
        /// All are masked.
        mask_all: bool,
    },
    /// Decoding is turned off, and another function is given the addresses: several writes, and Xen
    /// looks at none of them.
    GiveAway,
    /// The function is reset.
    Reset,
    /// Something else.
    Other,
}

/// The owner's virtual CPUs.
#[derive(Debug, Default)]
pub(super) struct Owner {
    /// Writes that have been announced and not carried out.
    in_flight: VecDeque<Write>,
    /// A write has been carried out and not announced.
    untold: bool,
}

impl Owner {
    /// Whether no write is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && !self.untold
    }

    /// Announces a write, to be carried out later.
    pub(super) fn announce(&mut self, world: &World, write: Write) {
        self.in_flight.push_back(write);
        match world.xen.flaw {
            Flaw::NotAnnounced | Flaw::AnnouncedLate => {}
            Flaw::EndedEarly => world.xen.generation.changed(),
            _ => world.xen.generation.begin(),
        }
    }

    /// Whether the next write may be carried out while Xen masks an entry: one that Xen cannot
    /// undo.
    pub(super) fn may_interfere(&self) -> bool {
        let next = self.in_flight.front();
        matches!(
            next,
            Some(Write::Decode(_) | Write::GiveAway | Write::Other)
        )
    }

    /// Carries out the oldest write.
    pub(super) fn carry_out(&mut self, world: &World) {
        let Some(write) = self.in_flight.pop_front() else {
            return;
        };
        let mut function = world.function();
        match write {
            Write::Decode(true) => function.write_command(COMMAND_MEMORY),
            Write::Decode(false) => function.write_command(0),
            Write::Control { enabled, mask_all } => {
                let control = MsixControl::new(0)
                    .with_enabled(enabled)
                    .with_mask_all(mask_all);
                let control = world.xen.intercept(control);
                world.ledger().control(enabled, mask_all);
                function.write_control(control);
            }
            // Those of a function that is gone are given away when Xen has forgotten it; see
            // `limits`.
            Write::GiveAway if !function.is_present() => {}
            Write::GiveAway => function.give_addresses_away(),
            Write::Reset => {
                function.reset_to_other_bits();
                world.ledger().lost_all();
            }
            Write::Other => {}
        }
        drop(function);
        world.look();
        match world.xen.flaw {
            Flaw::NotAnnounced | Flaw::EndedEarly => {}
            Flaw::AnnouncedLate => self.untold = true,
            _ => world.xen.generation.end(),
        }
    }

    /// Announces what has been carried out.
    pub(super) fn announce_late(&mut self, world: &World) {
        if std::mem::take(&mut self.untold) {
            world.xen.generation.changed();
        }
    }

    /// Carries out all that is under way.
    pub(super) fn finish(&mut self, world: &World) {
        while !self.is_idle() {
            self.carry_out(world);
            self.announce_late(world);
        }
    }
}
