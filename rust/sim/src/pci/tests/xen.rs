//! Xen's side: what it keeps for a function, as the edge does.

use super::flaws::Flaw;
use super::ledger::NOBODY;
use super::scenario::World;
use crate::pci::msix::CAPABILITY;
use irq_core::msi::generation::{Generation, Seen};
use irq_core::msi::mask::{Entry, LockedDev, Masks, Outcome, set_if_known, set_with_care};
use irq_hw::msix::{MASKED, VECTOR_CTRL};
use irq_hw::pci::{COMMAND, COMMAND_MEMORY, MsixControl};
use std::cell::{Cell, RefCell};

/// What Xen keeps.
pub(super) struct Xen {
    pub(super) generation: Generation,
    /// The generation in which the function was seen to be enabled and to decode memory.
    known: Cell<u32>,
    /// Who wants all masked.
    pub(super) all: Cell<Masks>,
    /// Who wants which entry masked.
    pub(super) entries: RefCell<Vec<Masks>>,
    pub(super) flaw: Flaw,
}

impl Xen {
    pub(super) fn new(entries: usize, flaw: Flaw) -> Self {
        let xen = Self {
            generation: Generation::new(),
            known: Cell::new(0),
            all: Cell::new(NOBODY),
            entries: RefCell::default(),
            flaw,
        };
        xen.reassign(entries);
        xen
    }

    /// The function has been reset for another owner; all entries are set up anew, and masked.
    pub(super) fn reassign(&self, entries: usize) {
        self.all.set(NOBODY);
        let masked = Masks {
            host: true,
            guest: true,
        };
        *self.entries.borrow_mut() = vec![masked; entries];
    }

    /// Masks or unmasks an entry, and keeps who wants it masked if that worked. Returns what it
    /// took as well.
    pub(super) fn set(&self, world: &World, index: usize, masks: Masks) -> (Outcome, Accesses) {
        let handle = Handle {
            xen: self,
            world,
            index,
            asked: Cell::new(None),
            enabled: Cell::new(false),
            noted: self.entries.borrow()[index].any(),
            written: Cell::new(None),
            accesses: Cell::default(),
        };
        let guest = masks.guest && self.flaw != Flaw::GuestForgotten;
        let noted = self.entries.borrow()[index];
        let wanted = Masks { guest, ..masks };
        let outcome = if set_if_known(&handle, noted, wanted) {
            Outcome::Done
        } else {
            set_with_care(&handle, &handle, wanted)
        };
        if outcome == Outcome::Done {
            self.entries.borrow_mut()[index] = masks;
        }
        (outcome, handle.accesses.get())
    }

    /// Whether the function is known to be ready.
    pub(super) fn is_known_ready(&self) -> bool {
        self.generation.is(self.known.get())
    }

    /// What is written for the owner who writes message control.
    pub(super) fn intercept(&self, control: MsixControl) -> MsixControl {
        let guest = control.masks_all();
        let host = self.all.get().host;
        self.all.set(Masks { host, guest });
        control.with_mask_all(guest || host && self.flaw != Flaw::MaskAllOverwritten)
    }
}

/// One entry of the function while it is being masked or unmasked. Others do what they like before
/// each step.
struct Handle<'a> {
    xen: &'a Xen,
    world: &'a World,
    index: usize,
    /// The generation that was current before configuration space was read.
    asked: Cell<Option<Seen>>,
    /// Whether message control said that MSI-X is enabled.
    enabled: Cell<bool>,
    /// Whether the entry is masked, as Xen has noted.
    noted: bool,
    /// What was written to vector control.
    written: Cell<Option<u32>>,
    accesses: Cell<Accesses>,
}

/// How often Xen has accessed a function.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Accesses {
    /// Reads of configuration space.
    pub(super) reads: u32,
    /// Writes to configuration space.
    pub(super) writes: u32,
    /// Reads of the table.
    pub(super) looks: u32,
    /// Writes to the table.
    pub(super) entry: u32,
    /// Whether nothing answered when one was read back.
    pub(super) unanswered: bool,
}

impl Handle<'_> {
    fn count(&self, access: impl FnOnce(&mut Accesses)) {
        let mut accesses = self.accesses.get();
        access(&mut accesses);
        self.accesses.set(accesses);
    }

    fn flaw(&self) -> Flaw {
        self.xen.flaw
    }

    /// Where the entry's vector control is.
    fn address(&self) -> u64 {
        self.world.table().entry(self.index as u32) + VECTOR_CTRL
    }
}

impl Entry for Handle<'_> {
    fn vector_control(&self) -> u32 {
        let written = self.written.take();
        match (self.flaw(), written) {
            (Flaw::NoReadBack, Some(value)) => return value,
            (Flaw::NotReadBefore, None) => return u32::from(self.noted),
            _ => {}
        }
        self.world.others_act();
        self.count(|accesses| accesses.looks += 1);
        let address = self.address();
        let read = self.world.function().read_memory(address);
        self.world.look();
        if written.is_some() && read == u32::MAX {
            self.count(|accesses| accesses.unanswered = true);
        }
        match (self.flaw(), written) {
            (Flaw::ReadBackIgnored, Some(value)) => value,
            _ => read,
        }
    }

    fn set_vector_control(&self, value: u32) {
        self.world.before_entry();
        self.count(|accesses| accesses.entry += 1);
        let address = self.address();
        let value = match self.flaw() {
            Flaw::OwnBitsCleared => value & MASKED,
            _ => value,
        };
        self.world.function().write_memory(address, value);
        self.written.set(Some(value));
    }

    fn is_known_ready(&self) -> bool {
        let known = self.xen.known.get();
        match self.flaw() {
            Flaw::KnownKept => known != 0,
            Flaw::KnownForgotten => false,
            _ => self.xen.is_known_ready(),
        }
    }
}

impl LockedDev for Handle<'_> {
    fn control(&self) -> MsixControl {
        self.world.others_act();
        if self.flaw() != Flaw::StillBelieved {
            self.xen.known.set(0);
        }
        self.asked.set(self.xen.generation.current());
        self.world.others_act();
        self.count(|accesses| accesses.reads += 1);
        let raw = self.world.function().read_config(CAPABILITY.control());
        let control = MsixControl::new(raw as u16);
        self.enabled.set(control.enabled());
        control
    }

    fn set_control(&self, control: MsixControl) {
        self.world.others_act();
        let opens = if control.enabled() && !self.enabled.get() {
            self.flaw() == Flaw::EnabledOpen
        } else {
            self.flaw() == Flaw::ControlOpen
        };
        let control = control.with_mask_all(control.masks_all() && !opens);
        self.count(|accesses| accesses.writes += 1);
        self.world.function().write_control(control);
        self.world.look();
    }

    fn decodes_memory(&self) -> bool {
        self.world.others_act();
        if self.flaw() == Flaw::DecodeUnchecked {
            return true;
        }
        self.count(|accesses| accesses.reads += 1);
        let command = self.world.function().read_config(COMMAND) as u16;
        let decodes = command & COMMAND_MEMORY != 0;
        self.world.others_act();
        if self.flaw() == Flaw::AskedLate {
            self.asked.set(self.xen.generation.current());
        }
        if let Some(seen) = self.asked.get().filter(|_| self.enabled.get() && decodes) {
            self.xen.known.set(seen.number());
        }
        decodes
    }

    fn mask_all(&self) -> Masks {
        self.xen.all.get()
    }

    fn set_host_mask_all(&self, mask: bool) {
        let keeps = match self.flaw() {
            Flaw::MaskAllForgotten => mask,
            Flaw::MaskAllStays => !mask,
            _ => false,
        };
        if !keeps {
            let guest = self.xen.all.get().guest;
            self.xen.all.set(Masks { host: mask, guest });
        }
    }
}
