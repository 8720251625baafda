//! What the functions that stand for Xen's find, and how they get at it while a call runs.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::arena::Arena;
use crate::heap::{Failure, Heap};
use crate::machine::Machine;
use crate::trace::{Entry, Event, Held};
use crate::trap::fault;
use crate::unit::Unit;

/// What the functions that stand for Xen's find and change while a call runs.
pub(crate) struct Env {
    /// The objects that C can see.
    pub(crate) arena: Arena,
    /// Xen's allocator.
    pub(crate) heap: Heap,
    /// What the call did so far.
    pub(crate) trace: Vec<Entry>,
    /// What the functions answer where the world does not say.
    pub(crate) script: Script,
    /// Callbacks that wait for the end of a grace period: function and argument.
    pub(crate) rcu: Vec<(u64, u64)>,
    /// Whether the call that runs is such a callback.
    pub(crate) in_callback: bool,
    /// Words in the arena at which readers in RCU sections begin.
    pub(crate) rcu_roots: Vec<*const u64>,
    /// What looks at the world after each instruction of the next call.
    pub(crate) onlooker: Option<Onlooker>,
    /// Whether interrupts are on.
    pub(crate) irqs_on: bool,
    /// Addresses of the spin locks that are held.
    pub(crate) held: Vec<u64>,
    /// The read-write locks whose words go to the trace.
    pub(crate) watched: [*const u32; 2],
    /// Where the per-CPU nesting of RCU read sections is, if the side counts it.
    pub(crate) rcu_count: *const i32,
    /// Xen's array of interrupt descriptors.
    pub(crate) irq_desc: *mut xen_sys::irq_desc,
    /// Devices, IOMMUs and IO-APICs.
    pub(crate) machine: Machine,
    /// What sees to it that what a lock guards changes under that lock only; it looks before a lock
    /// is taken or released.
    pub(crate) guard: Option<Onlooker>,
    /// What the subject's own fakes find and change.
    pub(crate) unit: Unit,
    /// Fills memory that must not be read; differs between the sides.
    pub(crate) poison: u8,
}

/// Says what another CPU must not see that looks between two instructions.
pub(crate) type Onlooker = fn(&mut Env) -> Result<(), String>;

/// A change of the world, and the address that it is about.
pub(crate) type Meanwhile = (fn(u64), u64);

/// The answers of Xen's functions during one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// Decides every answer that is not an error.
    pub(crate) salt: u64,
    /// Which allocations fail.
    pub(crate) memory: Failure,
    /// The function call, counted among those that can fail, that fails; and its errno.
    pub(crate) error: Option<(u32, i32)>,
    /// Calls so far among those that can fail.
    pub(crate) fallible: u32,
    /// What another CPU does while softirqs are processed.
    pub(crate) meanwhile: Option<Meanwhile>,
    /// Whether interrupts are off when the call begins.
    pub(crate) irqs_off: bool,
}

impl Script {
    /// Everything succeeds.
    pub(crate) fn plain(salt: u64) -> Self {
        Self {
            salt,
            memory: Failure::Never,
            error: None,
            fallible: 0,
            meanwhile: None,
            irqs_off: false,
        }
    }

    /// The same for a call that may come with interrupts off, which every other one does.
    pub(crate) fn anywhere(self) -> Self {
        Self {
            irqs_off: self.salt.is_multiple_of(2),
            ..self
        }
    }

    /// Counts a call that can fail; answers the errno when it is the one that shall.
    pub(crate) fn outcome(&mut self) -> i32 {
        let number = self.fallible;
        self.fallible += 1;
        match self.error {
            Some((nth, errno)) if nth == number => errno,
            _ => 0,
        }
    }
}

impl Env {
    /// The offset of a pointer in the arena.
    pub(crate) fn offset<T>(&self, pointer: *const T) -> u64 {
        self.arena.offset(pointer as u64)
    }

    /// Records an event.
    pub(crate) fn record(&mut self, event: Event) {
        let word = |place: *const u32| {
            if place.is_null() {
                return 0;
            }
            // SAFETY: a watched lock lies in the arena, which lives as long as `self`.
            unsafe { place.read_volatile() }
        };
        let held = Held {
            irqs_on: self.irqs_on,
            spin_locks: self
                .held
                .iter()
                .filter(|lock| self.arena.offset(**lock) >> 63 == 0)
                .count(),
            rcu: self.rcu_nesting(),
            rwlocks: self.watched.map(word),
        };
        self.trace.push(Entry { event, held });
    }

    pub(crate) fn rcu_nesting(&self) -> i32 {
        if self.rcu_count.is_null() {
            return 0;
        }
        // SAFETY: the counter is a variable of the image, which lives as long as the side.
        unsafe { self.rcu_count.read_volatile() }
    }
}

thread_local! {
    /// The environment of the call that runs now.
    pub(crate) static CURRENT: RefCell<Option<Box<Env>>> = const { RefCell::new(None) };
}

pub(crate) static TEXT_START: AtomicUsize = AtomicUsize::new(0);

pub(crate) static TEXT_END: AtomicUsize = AtomicUsize::new(0);

pub(crate) static CODE_START: AtomicUsize = AtomicUsize::new(0);

/// The code of the side that runs now.
pub(crate) fn running_text() -> Range<usize> {
    TEXT_START.load(Ordering::Relaxed)..TEXT_END.load(Ordering::Relaxed)
}

/// The same with the glue.
pub(crate) fn running_code() -> Range<usize> {
    CODE_START.load(Ordering::Relaxed)..TEXT_END.load(Ordering::Relaxed)
}

/// Gives a function that stands for one of Xen's its environment.
pub(crate) fn with<R>(body: impl FnOnce(&mut Env) -> R) -> R {
    CURRENT.with_borrow_mut(|env| {
        body(
            env.as_mut()
                .expect("Xen's functions are called from calls only"),
        )
    })
}

/// Like [`with`]; an error ends the call under test.
pub(crate) fn attempt<R>(body: impl FnOnce(&mut Env) -> Result<R, String>) -> R {
    match with(body) {
        Ok(result) => result,
        Err(reason) => fault(reason),
    }
}

/// Has the onlooker of the call that runs now look, between two instructions of the code under
/// test.
pub(crate) fn look_on() -> Result<(), String> {
    with(|env| env.onlooker.map_or(Ok(()), |look| look(env)))
}

/// Records an event of the call that runs now.
pub(crate) fn record(event: Event) {
    with(|env| env.record(event));
}
