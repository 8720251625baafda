//! One of the two sides: its code, its world, and what its calls did.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Result;

use crate::arena::Arena;
use crate::cpu::Cpu;
use crate::env::{CODE_START, CURRENT, TEXT_END, TEXT_START};
pub(crate) use crate::env::{Env, Script, attempt, record, with};
use crate::heap::Heap;
use crate::loader::{Image, Import};
use crate::machine::Machine;
use crate::trap::Trap;
pub(crate) use crate::trap::fault;
use crate::unit::Unit;

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
            .map_err(|exit| exit.into_trap(|at| self.image.describe(at)))
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
