//! One of the two sides: its code, its world, and what its calls did.

use std::cell::RefCell;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;

use crate::arena::Arena;
use crate::cpu::{self, Cpu, Trap};
use crate::heap::{Failure, Heap};
use crate::loader::{Image, Import};
use crate::machine::Machine;
use crate::trace::{Entry, Event, Held};
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
    rcu_count: *const i32,
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

    fn rcu_nesting(&self) -> i32 {
        if self.rcu_count.is_null() {
            return 0;
        }
        // SAFETY: the counter is a variable of the image, which lives as long as the side.
        unsafe { self.rcu_count.read_volatile() }
    }
}

thread_local! {
    /// The environment of the call that runs now.
    static CURRENT: RefCell<Option<Box<Env>>> = const { RefCell::new(None) };
}
static TEXT_START: AtomicUsize = AtomicUsize::new(0);
static TEXT_END: AtomicUsize = AtomicUsize::new(0);
static CODE_START: AtomicUsize = AtomicUsize::new(0);

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

/// Ends the call under test.
pub(crate) fn fault(reason: String) -> ! {
    cpu::leave(cpu::Exit::Text(reason))
}

/// Records an event of the call that runs now.
pub(crate) fn record(event: Event) {
    with(|env| env.record(event));
}

/// How a call ended: with a value of rax, or not at all.
pub(crate) type Outcome = Result<u64, Trap>;

/// One side.
pub(crate) struct Side {
    /// What reports call it.
    pub(crate) name: &'static str,
    /// Its code.
    pub(crate) image: Image,
    /// Its CPU.
    pub(crate) cpu: Cpu,
    env: Option<Box<Env>>,
}

impl Side {
    /// Loads the objects of a side, with room for a world of `room` bytes.
    pub(crate) fn new(
        name: &'static str,
        objects: &[PathBuf],
        poison: u8,
        room: usize,
        unit: Unit,
        import: impl Fn(&str) -> Option<Import>,
    ) -> Result<Self> {
        let image = Image::load(objects, import)?;
        let rcu_count = image.variable("per_cpu__rcu_lock_cnt").unwrap_or(0) as *const i32;
        let env = Env {
            arena: Arena::new(room)?,
            heap: Heap::new(poison)?,
            trace: Vec::new(),
            script: Script::plain(0),
            rcu: Vec::new(),
            in_callback: false,
            rcu_roots: Vec::new(),
            onlooker: None,
            irqs_on: true,
            held: Vec::new(),
            watched: [std::ptr::null(); 2],
            rcu_count,
            irq_desc: std::ptr::null_mut(),
            machine: Machine::new()?,
            guard: None,
            unit,
            poison,
        };
        Ok(Self {
            name,
            image,
            cpu: Cpu::new()?,
            env: Some(Box::new(env)),
        })
    }

    /// The environment, between calls.
    pub(crate) fn env(&mut self) -> &mut Env {
        self.env.as_mut().expect("no call runs")
    }

    /// Forgets the world.
    pub(crate) fn clear(&mut self) {
        self.image.reset_variables();
        let env = self.env();
        env.arena.clear();
        env.heap.clear();
        env.trace.clear();
        env.rcu.clear();
        env.in_callback = false;
        env.rcu_roots.clear();
        env.onlooker = None;
        env.held.clear();
        env.irqs_on = true;
        env.machine.clear();
        env.guard = None;
        env.unit.clear();
    }

    /// Calls a function of the image. The trace afterwards is of this call alone.
    pub(crate) fn call(&mut self, function: usize, arguments: &[u64], script: Script) -> Outcome {
        let mut env = self.env.take().expect("calls do not nest");
        env.trace.clear();
        env.held.clear();
        env.script = script;
        env.irqs_on = !script.irqs_off;
        env.heap.start_call(script.memory);
        self.cpu.stepped = env.onlooker.is_some();
        CURRENT.set(Some(env));
        let text = self.image.text();
        TEXT_START.store(text.start, Ordering::Relaxed);
        CODE_START.store(self.image.code().start, Ordering::Relaxed);
        TEXT_END.store(text.end, Ordering::Relaxed);
        let outcome = self.cpu.call(function, arguments);
        self.env = CURRENT.take();
        self.env().onlooker = None;
        outcome
            .map_err(|exit| exit.into_trap(&self.image))
            .and_then(|value| {
                let env = self.env();
                let irqs_on = std::mem::replace(&mut env.irqs_on, true);
                if irqs_on == script.irqs_off {
                    return Err(Trap::Fault("interrupts were left on or off".to_owned()));
                }
                if env.rcu_nesting() != 0 {
                    return Err(Trap::Fault("an RCU read section was left open".to_owned()));
                }
                if env
                    .held
                    .iter()
                    .any(|lock| env.arena.offset(*lock) >> 63 != 0)
                {
                    return Err(Trap::Fault(
                        "a lock of the side's own was left taken".to_owned(),
                    ));
                }
                Ok(value)
            })
    }

    /// How deep preemption is disabled; zero if the side does not count.
    pub(crate) fn preempt_count(&self) -> i32 {
        let count = self.image.variable("per_cpu____preempt_count");
        // SAFETY: the counter is a variable of the image, and no call runs.
        count.map_or(0, |address| unsafe { (address as *const i32).read() })
    }

    /// Looks at the end of a case for memory that leaked or was written wrongly.
    pub(crate) fn check_heap(&mut self) -> Result<(), String> {
        let words = self.image.own_words();
        self.env().heap.check(words.into_iter())
    }

    /// Lets a grace period pass: runs the callbacks that wait for it.
    pub(crate) fn grace_period(&mut self) -> Outcome {
        self.env().trace.clear();
        for (function, argument) in std::mem::take(&mut self.env().rcu) {
            self.env().in_callback = true;
            let outcome = self.call(function as usize, &[argument], Script::plain(0));
            self.env().in_callback = false;
            outcome?;
        }
        Ok(0)
    }

    /// Notes between two calls what readers in RCU sections may find from now on.
    ///
    /// # Errors
    ///
    /// They find freed memory.
    pub(crate) fn publish(&mut self) -> Result<(), String> {
        let env = self.env();
        // SAFETY: the words lie in the arena, which lives as long as `env`; no call runs.
        let roots = env.rcu_roots.iter().map(|word| unsafe { word.read() });
        env.heap.publish(roots)
    }
}
