//! A function that remembers what is done to it.

use super::super::*;
use std::cell::{Cell, RefCell};
use std::vec::Vec;

/// All that a function and Xen remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// MSI-X is enabled.
    pub(super) enabled: bool,
    /// All messages are masked.
    pub(super) mask_all: bool,
    /// Memory is decoded.
    pub(super) decodes: bool,
    /// Who wants all messages masked.
    pub(super) all: Masks,
    /// The entries' mask bits.
    pub(super) entries: [bool; 2],
}

impl State {
    fn control(&self) -> MsixControl {
        MsixControl::new(0x07ff)
            .with_enabled(self.enabled)
            .with_mask_all(self.mask_all)
    }
}

/// What Xen does to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    ReadControl,
    ReadCommand,
    WriteControl(MsixControl),
    WriteEntry,
}

/// A function, seen through one of its entries.
pub(super) struct Function<'a> {
    pub(super) state: &'a RefCell<State>,
    pub(super) index: usize,
    /// Whether Xen takes it for ready; it may be wrong.
    pub(super) known: Cell<bool>,
    /// Whether its table cannot be reached while MSI-X is disabled.
    pub(super) picky: bool,
    /// What the reserved bits of an entry read as.
    pub(super) reserved: u32,
    pub(super) events: RefCell<Vec<Event>>,
    /// Whether memory ceases to be decoded before the next write to the entry.
    pub(super) stops: Cell<bool>,
    /// A message could have been sent that was not wanted.
    pub(super) escaped: Cell<bool>,
}

impl Function<'_> {
    fn note(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn answers(&self, state: &State) -> bool {
        state.decodes && (state.enabled || !self.picky)
    }
}

impl Entry for Function<'_> {
    fn vector_control(&self) -> u32 {
        let state = self.state.borrow();
        if !self.answers(&state) {
            return u32::MAX;
        }
        self.reserved << 1 | u32::from(state.entries[self.index])
    }

    fn set_vector_control(&self, value: u32) {
        self.note(Event::WriteEntry);
        let state = &mut *self.state.borrow_mut();
        state.decodes &= !self.stops.take();
        if !self.answers(state) {
            return;
        }
        // All ones are taken for no answer.
        let read = self.reserved << 1 | u32::from(state.entries[self.index]);
        assert!(value >> 1 == read >> 1 || read == u32::MAX, "{value:#x}");
        state.entries[self.index] = value & 1 != 0;
    }

    fn is_known_ready(&self) -> bool {
        self.known.get()
    }
}

impl LockedDev for Function<'_> {
    fn control(&self) -> MsixControl {
        self.note(Event::ReadControl);
        self.known.set(false);
        self.state.borrow().control()
    }

    fn set_control(&self, control: MsixControl) {
        self.note(Event::WriteControl(control));
        let state = &mut *self.state.borrow_mut();
        // Nothing but the two bits that can be written changes.
        assert_eq!(control.raw() & 0x3fff, 0x07ff);
        // What the owner writes at that moment has to mask all as well.
        let closed = control.masks_all() && state.all.host;
        let opens = control.enabled() && !state.enabled && !closed;
        self.escaped.set(self.escaped.get() | opens);
        state.enabled = control.enabled();
        state.mask_all = control.masks_all();
    }

    fn decodes_memory(&self) -> bool {
        self.note(Event::ReadCommand);
        self.state.borrow().decodes
    }

    fn mask_all(&self) -> Masks {
        self.state.borrow().all
    }

    fn set_host_mask_all(&self, mask: bool) {
        self.state.borrow_mut().all.host = mask;
    }
}
