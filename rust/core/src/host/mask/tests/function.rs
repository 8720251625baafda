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
    pub(super) known: bool,
    /// Whether its table cannot be reached while MSI-X is disabled.
    pub(super) picky: bool,
    /// Bits 31:1 of an entry, which are the function's own.
    pub(super) reserved: u32,
    /// What Xen has them for, where it takes the function for ready.
    pub(super) kept: u32,
    pub(super) events: RefCell<Vec<Event>>,
    /// They were written as something else.
    pub(super) overwritten: Cell<bool>,
    /// A message could have been sent that was not wanted.
    pub(super) escaped: Cell<bool>,
}

impl Function<'_> {
    fn note(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }
}

impl Entry for Function<'_> {
    fn control(&self) -> MsixControl {
        self.note(Event::ReadControl);
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

    fn set_vector_control(&self, value: u32) -> u32 {
        self.note(Event::WriteEntry);
        let state = &mut *self.state.borrow_mut();
        if !state.decodes || self.picky && !state.enabled {
            return u32::MAX;
        }
        state.entries[self.index] = value & 1 != 0;
        let lost = value & !1 != self.reserved;
        self.overwritten.set(self.overwritten.get() | lost);
        // They are fixed; so where Xen is wrong about them it sees that.
        self.reserved | value & 1
    }

    fn read_reserved(&self) -> u32 {
        let state = self.state.borrow();
        if !state.decodes || self.picky && !state.enabled {
            self.kept
        } else {
            self.reserved
        }
    }

    fn mask_all(&self) -> Masks {
        self.state.borrow().all
    }

    fn set_host_mask_all(&self, mask: bool) {
        self.state.borrow_mut().all.host = mask;
    }

    fn known(&self) -> Option<u32> {
        self.known.then_some(self.kept)
    }
}
