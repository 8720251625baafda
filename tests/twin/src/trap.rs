//! How a call of the code under test ends before it returns.

use std::arch::naked_asm;
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The seed of the case that runs now, for reports from where nothing else is known.
pub(crate) static CASE: AtomicU64 = AtomicU64::new(0);

/// Why a call did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// BUG() or a failed ASSERT(), at this place of the code.
    Bug(String),
    /// Anything else that Xen would not survive.
    Fault(String),
}

/// A trap as it happens, before anyone can look up what the addresses mean.
pub(crate) enum Exit {
    Bug {
        at: usize,
    },
    Loop {
        at: usize,
    },
    Access {
        at: usize,
        signal: i32,
        address: usize,
    },
    Mmio {
        at: usize,
        reason: String,
    },
    Text(String),
}

impl Exit {
    /// Says it in words; `describe` names a place of the code.
    pub(crate) fn into_trap(self, describe: impl Fn(usize) -> String) -> Trap {
        match self {
            Exit::Bug { at } => Trap::Bug(describe(at)),
            Exit::Loop { at } => Trap::Fault(format!("an endless loop at {}", describe(at))),
            Exit::Access {
                at,
                signal,
                address,
            } => Trap::Fault(format!(
                "signal {signal} at {}, address {address:#x}",
                describe(at)
            )),
            Exit::Mmio { at, reason } => Trap::Fault(format!("{reason} at {}", describe(at))),
            Exit::Text(reason) => Trap::Fault(reason),
        }
    }
}

/// Where invalid opcodes mean WARN().
static WARNINGS: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

/// Lets an invalid opcode stand for WARN() from now on.
pub(crate) fn expect_warning(at: usize) {
    warnings().insert(at);
}

pub(crate) fn warnings() -> MutexGuard<'static, BTreeSet<usize>> {
    WARNINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a call needs on its way in and out.
#[repr(C)]
pub(crate) struct Frame {
    pub(crate) function: usize,
    pub(crate) arguments: [u64; 6],
    pub(crate) stack: usize,
    pub(crate) host_stack: usize,
    pub(crate) result: u64,
    pub(crate) saved: [u64; 5],
}

/// The call that runs now; null between calls.
pub(crate) static RUNNING: AtomicPtr<Frame> = AtomicPtr::new(ptr::null_mut());

/// Why the call that runs now is being left; written by the handler, read after the way out.
pub(crate) static TRAP: AtomicPtr<Exit> = AtomicPtr::new(ptr::null_mut());

/// The way out of a call: jumped to with the frame in rbx.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn finish() {
    naked_asm!(
        "mov rsp, [rbx + {host_stack}]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        host_stack = const offset_of!(Frame, host_stack),
    )
}

/// Ends the call that runs now, from a function that it called.
fn leave(trap: Exit) -> ! {
    let frame = RUNNING.load(Ordering::Relaxed);
    assert!(!frame.is_null(), "a trap outside a call");
    TRAP.store(Box::into_raw(Box::new(trap)), Ordering::Relaxed);
    // SAFETY: a call runs, so its frame and the host stack it names are live; `finish` expects the
    // frame in rbx.
    unsafe {
        std::arch::asm!(
            "mov rbx, {frame}",
            "jmp {finish}",
            frame = in(reg) frame,
            finish = sym finish,
            options(noreturn),
        )
    }
}

/// Ends the call under test.
pub(crate) fn fault(reason: String) -> ! {
    leave(Exit::Text(reason))
}
