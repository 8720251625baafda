//! An IRQ that another CPU handles while it is destroyed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use xen_sys as sys;

use crate::services::is_locked;
use crate::xen::addr;

/// How long the handler goes on when the lock is free.
const REST: Duration = Duration::from_micros(50);

/// That IRQ.
#[derive(Clone, Debug)]
pub(super) struct Handled {
    status: usize,
    stage: Arc<AtomicU8>,
}

/// Stages: the IRQ was shut down; the call that destroys it is over.
const SHUT_DOWN: u8 = 1;
const OVER: u8 = 2;

/// The CPU that handles it.
pub(super) struct Handler(JoinHandle<()>, Handled);

impl Handled {
    /// Another CPU handles it, until some time after it was shut down.
    pub(super) fn begin(desc: *mut sys::irq_desc) -> (Self, Handler) {
        let handled = Self {
            status: addr!(desc, status) as usize,
            stage: Arc::default(),
        };
        let in_progress = sys::XEN_IRQ_INPROGRESS as u32;
        handled.status().fetch_or(in_progress, Ordering::SeqCst);
        let (theirs, lock) = (handled.clone(), addr!(desc, lock) as u64);
        let thread = without_signals(move || {
            let waits = || match theirs.stage.load(Ordering::SeqCst) {
                OVER => false,
                SHUT_DOWN => is_locked(lock),
                _ => true,
            };
            while waits() {
                std::hint::spin_loop();
            }
            std::thread::sleep(REST);
            theirs.status().fetch_and(!in_progress, Ordering::SeqCst);
        });
        (handled.clone(), Handler(thread, handled))
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: the word of a descriptor of a world, which outlives the handler.
        unsafe { AtomicU32::from_ptr(self.status as *mut u32) }
    }

    /// Whether it is handled.
    pub(super) fn is_busy(&self) -> bool {
        let in_progress = sys::XEN_IRQ_INPROGRESS as u32;
        self.status().load(Ordering::SeqCst) & in_progress != 0
    }

    /// Has the handler return, as soon as the lock is free.
    pub(super) fn end(&self) {
        self.stage.store(SHUT_DOWN, Ordering::SeqCst);
    }
}

impl Handler {
    /// Waits until it has returned.
    pub(super) fn join(self) {
        self.1.stage.store(OVER, Ordering::SeqCst);
        self.0.join().expect("the handler returns");
    }
}

/// Starts a thread that takes no signals: these are for what runs the code under test.
fn without_signals(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    // SAFETY: sets of signals; the first is filled and the second written before it is read.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        let thread = std::thread::spawn(run);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        thread
    }
}
