//! Handlers of Xen's for an IRQ (`struct irqaction`).

use crate::base::view::{field, set_field};
use crate::irq::handler::Status;
use crate::irq::signal;
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use crate::sync::irqs::IrqsOff;
use core::ffi::{c_char, c_int, c_void};
use core::ptr::NonNull;
use xen_sys as sys;

/// A function of Xen's that handles an IRQ.
///
/// # Safety
///
/// It is called with the `dev_id` that stands beside it, while the IRQ is in progress.
pub type Function = unsafe extern "C" fn(c_int, *mut c_void);

/// What handles an IRQ, before an IRQ has it.
pub struct NewAction(NonNull<sys::irqaction>);

impl NewAction {
    /// Takes one of C's, which no IRQ has; `None` for a null pointer.
    ///
    /// # Safety
    ///
    /// It stays until the IRQ is released or destroyed, and its function may be called until then.
    pub unsafe fn from_c(raw: *mut sys::irqaction) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    /// Allocates one, which is freed when the IRQ is released. `None` where there is no memory.
    ///
    /// Context: IRQs on.
    ///
    /// # Safety
    ///
    /// The function may be called until the IRQ is released or destroyed, and the name stays until
    /// then.
    pub unsafe fn allocate(
        function: Function,
        name: *const c_char,
        dev_id: *mut c_void,
    ) -> Option<Self> {
        let (size, align) = (size_of::<sys::irqaction>(), align_of::<sys::irqaction>());
        // SAFETY: The allocator takes any size and any power of two.
        let raw = unsafe { sys::_xmalloc(size as u64, align as u64) };
        let raw = NonNull::new(raw.cast::<sys::irqaction>())?;
        let action = sys::irqaction {
            handler: Some(function),
            name,
            dev_id,
            free_on_release: true,
        };
        // SAFETY: The memory was just allocated, and has the size and the alignment.
        unsafe { raw.write(action) };
        Some(Self(raw))
    }

    /// Frees one that was allocated, and that no IRQ has got.
    pub fn free(self) {
        // SAFETY: As long as this lives, no IRQ has it.
        unsafe {
            if (&raw const (*self.0.as_ptr()).free_on_release).read() {
                sys::xfree(self.0.as_ptr().cast());
            }
        }
    }
}

/// A handler of Xen's that runs, or is to run: the IRQ has [`Status::IN_PROGRESS`] as long as this
/// lives, and who takes the action from the IRQ waits until it has not.
#[must_use = "the IRQ is in progress until this is handed to `next`"]
pub struct Request {
    desc: IrqDesc<'static>,
    function: Option<Function>,
    dev_id: *mut c_void,
}

impl Request {
    /// Runs it.
    ///
    /// Context: IRQs on, the descriptor's lock not held.
    pub(super) fn handle(&self) {
        if let Some(function) = self.function {
            // SAFETY: `release_irq()` and `destroy_irq()` wait while the IRQ is in progress, before
            // the action or what it refers to is freed.
            unsafe { function(self.desc.irq(), self.dev_id) };
        }
    }

    /// The handler has returned. Returns it if it is to run again, because the IRQ has arrived
    /// meanwhile; else calls `end`, with the descriptor locked.
    pub fn next(self, irqs: IrqsOff<'_>, end: impl FnOnce(HeldDesc<'_>)) -> Option<Self> {
        signal::with_lock(self.desc, irqs, |held| {
            if held.has(Status::PENDING) && !held.has(Status::DISABLED) {
                held.unset(Status::PENDING);
                return Some(self);
            }
            held.unset(Status::IN_PROGRESS);
            end(held);
            None
        })
    }
}

impl HeldDesc<'_> {
    /// Gives the IRQ what handles it.
    ///
    /// # Errors
    ///
    /// It has something; then the new action is returned.
    pub fn set_action(self, action: NewAction) -> Result<(), NewAction> {
        if self.has_action() {
            return Err(action);
        }
        set_field!(self, action)(action.0.as_ptr());
        Ok(())
    }

    /// The name of what of Xen's handles it.
    pub(super) fn action_name(self) -> *const c_char {
        let action = field!(self, action);
        if action.is_null() || self.has(Status::GUEST) {
            return core::ptr::null();
        }
        // SAFETY: Without GUEST it is a `struct irqaction`, which is neither changed nor freed
        // while the lock is held.
        unsafe { (&raw const (*action).name).read() }
    }

    /// An interrupt has arrived that Xen handles. `None` where nothing is to be done now: a CPU
    /// that handles the IRQ already does so once more, and one that is disabled is not handled.
    pub fn begin(self) -> Option<Request> {
        self.unset(Status::REPLAY);
        self.set(Status::PENDING);
        let others = [Status::DISABLED, Status::IN_PROGRESS, Status::GUEST];
        if others.into_iter().any(|status| self.has(status)) {
            return None;
        }
        self.set(Status::IN_PROGRESS);
        self.unset(Status::PENDING);
        let mut request = Request {
            // SAFETY: Descriptors are allocated at boot and stay.
            desc: unsafe { IrqDesc::from_raw(self.as_ptr()) }?,
            function: None,
            dev_id: core::ptr::null_mut(),
        };
        let action = field!(self, action);
        if !action.is_null() {
            // SAFETY: As for the name: `begin` returns before where guests have the IRQ.
            (request.function, request.dev_id) = unsafe { ((*action).handler, (*action).dev_id) };
        }
        Some(request)
    }
}
