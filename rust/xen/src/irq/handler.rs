//! The functions that Xen has for an IRQ (`desc->handler`), and the IRQ's status.

use crate::base::view::{field, set_field};
use crate::irq::cpus::Cpus;
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use core::sync::atomic::{Ordering, fence};
use xen_sys as sys;

/// A bit of an IRQ's status. The holder of the descriptor's lock changes it; what says of which
/// type the action is, or who uses it, is changed with the action alone.
#[derive(Clone, Copy)]
pub struct Status(u32);

impl Status {
    /// A handler of it runs.
    pub const IN_PROGRESS: Self = Self(sys::XEN_IRQ_INPROGRESS as u32);
    /// It is not to be handled.
    pub const DISABLED: Self = Self(sys::XEN_IRQ_DISABLED as u32);
    /// It has arrived, and is to be handled.
    pub const PENDING: Self = Self(sys::XEN_IRQ_PENDING as u32);
    /// It was sent again, and has not arrived yet.
    pub const REPLAY: Self = Self(sys::XEN_IRQ_REPLAY as u32);
    /// Guests handle it.
    pub const GUEST: Self = Self(sys::XEN_IRQ_GUEST as u32);
    /// It is to move when it is acknowledged next.
    pub const MOVE_PENDING: Self = Self(sys::XEN_IRQ_MOVE_PENDING as u32);
}

impl IrqDesc<'_> {
    /// Returns whether a bit of its status is set.
    #[inline]
    pub fn has(self, bit: Status) -> bool {
        field!(self, status) & bit.0 != 0
    }
}

impl HeldDesc<'_> {
    /// Sets a bit of its status. What was written before is seen before.
    pub(super) fn set(self, bit: Status) {
        fence(Ordering::Release);
        set_field!(self, status)(field!(self, status) | bit.0);
    }

    /// Clears a bit of its status. What is written afterwards is seen afterwards.
    pub(super) fn unset(self, bit: Status) {
        set_field!(self, status)(field!(self, status) & !bit.0);
        fence(Ordering::Release);
    }

    /// Notes whether it is not to be handled.
    pub fn set_disabled(self, disabled: bool) {
        if disabled {
            self.set(Status::DISABLED);
        } else {
            self.unset(Status::DISABLED);
        }
    }

    /// Notes whether it is to move when it is acknowledged next.
    pub fn set_move_pending(self, pending: bool) {
        if pending {
            self.set(Status::MOVE_PENDING);
        } else {
            self.unset(Status::MOVE_PENDING);
        }
    }
}

/// Calls a function of an IRQ's handler; `None` where the handler has none, or the IRQ was not
/// initialized.
macro_rules! call {
    ($desc:expr, $function:ident $(, $argument:expr)*) => {{
        let handler = field!($desc, handler);
        // SAFETY: A descriptor that has been initialized has a handler, and that is an object of
        // Xen's that stays. Its functions ask for the descriptor, the lock of which is held.
        unsafe {
            if handler.is_null() {
                None
            } else {
                (&raw const (*handler).$function)
                    .read()
                    .map(|function| function($desc.as_ptr() $(, $argument)*))
            }
        }
    }};
}

impl HeldDesc<'_> {
    /// Sets its source up, and lets it send.
    pub fn start_up(self) {
        call!(self, startup);
    }

    /// Tells its source that this CPU has received an interrupt.
    #[inline(always)]
    pub fn acknowledge(self) {
        call!(self, ack);
    }

    /// Returns whether something is to be done when an interrupt was handled ([`Self::end`]).
    #[inline(always)]
    pub fn has_end(self) -> bool {
        let handler = field!(self, handler);
        // SAFETY: As for `call!`.
        !handler.is_null() && unsafe { (&raw const (*handler).end).read() }.is_some()
    }

    /// Tells its source that an interrupt was handled, which arrived at a vector of this CPU; 0
    /// where the source alone is concerned.
    #[inline(always)]
    pub fn end(self, vector: u8) {
        call!(self, end, vector);
    }

    /// Switches its source off for good.
    pub fn shut_down(self) {
        call!(self, shutdown);
    }

    /// Lets its source send.
    pub fn enable(self) {
        call!(self, enable);
    }

    /// Keeps its source from sending.
    pub fn disable(self) {
        call!(self, disable);
    }

    /// Returns whether it can be on other CPUs.
    pub fn can_move(self) -> bool {
        let handler = field!(self, handler);
        // SAFETY: As for `call!`.
        !handler.is_null() && unsafe { (&raw const (*handler).set_affinity).read() }.is_some()
    }

    /// Moves it to one of some CPUs; returns whether it can move at all.
    pub fn move_to(self, cpus: Cpus<'_>) -> bool {
        call!(self, set_affinity, cpus.as_ptr()).is_some()
    }

    /// Returns whether it has no handler: it has been destroyed, or not been set up.
    pub fn is_unused(self) -> bool {
        core::ptr::eq(field!(self, handler), &raw const sys::no_irq_type)
    }
}
