//! The CPUs on which interrupts arrive: what is in service there, and what is to happen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xen_sys as sys;

use super::act::{Act, When};
use super::guest::Guest;
use super::kinds::{KINDS, Kind};
use super::spec::Mask;
use crate::xen::get;

/// The size of an element of `irq_stat[]`, and the word with how many IRQs a CPU is in.
pub(super) const IRQ_STAT: usize = 128;
const LOCAL_IRQ_COUNT: usize = 8;

/// The registers that a world has, one for each interrupt that another may interrupt.
pub(super) const REGISTERS: usize = 16;
/// How deep what happens meanwhile may nest.
const DEEPEST: usize = 4;

/// What a handler is told of its device.
pub(super) fn dev_id_of(irq: u32) -> u64 {
    0x5a00 | u64::from(irq)
}

/// A timer that was initialized, and not killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timer {
    pub(super) function: u64,
    pub(super) data: u64,
    pub(super) cpu: usize,
    /// When it runs out, if it is set.
    pub(super) expires: Option<i64>,
    /// Whether it has run out, and its function has yet to run.
    pub(super) is_due: bool,
}

/// Functions of the image, and Xen's own handler.
#[derive(Clone, Debug, Default)]
pub(super) struct Functions {
    pub(super) affinity: usize,
    pub(super) allocate_pirq: usize,
    pub(super) answer: usize,
    pub(super) answer_locked: usize,
    pub(super) bind: usize,
    pub(super) clean_up_pirq: usize,
    pub(super) complete_move: usize,
    pub(super) destroy: usize,
    pub(super) do_irq: usize,
    pub(super) dump: usize,
    pub(super) end: usize,
    pub(super) fix_up: usize,
    pub(super) handler: usize,
    pub(super) has_pending: usize,
    pub(super) lock: usize,
    pub(super) move_native: usize,
    pub(super) release: usize,
    pub(super) request: usize,
    pub(super) shared: usize,
    pub(super) unbind: usize,
    pub(super) unmap: usize,
    pub(super) unmask: usize,
}

/// An interrupt that a CPU handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) cpu: usize,
    pub(super) vector: u8,
    /// Whether Xen's own handler is for it, and the controller has yet to be told its end.
    pub(super) ends_later: bool,
}

/// What the functions of the driver know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    /// `struct cpu_info` of the stack.
    pub(super) info: usize,
    pub(super) offsets: Vec<u64>,
    /// `irq_stat[]`, and the templates of the pointer to registers and of the counts.
    pub(super) irq_stat: usize,
    pub(super) irq_regs: u64,
    pub(super) functions: Functions,
    pub(super) descs: usize,
    pub(super) handlers: usize,
    pub(super) no_irq_type: u64,
    /// The template of `vector_irq[]`, and `cpu_online_map`.
    pub(super) vector_irq: u64,
    pub(super) online: usize,
    /// The vector that has a function.
    pub(super) direct: u8,
    /// Registers, by how deep calls nest.
    pub(super) regs: usize,
    /// The messages of all IRQs.
    pub(super) messages: usize,
    /// The IRQs that domains may use, by the domains' numbers.
    pub(super) access: BTreeSet<(usize, u64)>,
    /// Whether a domain could not be denied an IRQ in the call that runs.
    pub(super) is_denial_refused: bool,
    /// Functions, the descriptors of all that they may send, and which first ones are in use.
    pub(super) devices: Vec<u64>,
    pub(super) blocks: usize,
    pub(super) enabled: BTreeSet<usize>,
    /// The vectors that are in service on each CPU.
    pub(super) in_service: Vec<[u64; 4]>,
    /// The vectors that were in service, by CPUs, when their IRQs were destroyed.
    pub(super) lost: BTreeSet<(usize, u8)>,
    pub(super) timers: BTreeMap<u64, Timer>,
    pub(super) now: i64,
    /// What each CPU was asked to do: a function and its argument.
    pub(super) asked: Vec<Option<(u64, u64)>>,
    /// The CPUs whose calls run, the outermost first.
    pub(super) running: Vec<usize>,
    /// The interrupts that are handled.
    pub(super) frames: Vec<Frame>,
    /// What carries out an act.
    pub(super) run: Option<fn(&Act) -> bool>,
    /// What happens meanwhile, and where.
    pub(super) meanwhile: VecDeque<(When, Act)>,
    pub(super) guests: Vec<Guest>,
    /// The IRQs that Xen's own handlers were set up for.
    pub(super) by_xen: BTreeSet<usize>,
    /// The IRQs of which a guest is being unbound.
    pub(super) leaving: BTreeSet<usize>,
    /// The IRQs whose pins are masked.
    pub(super) masked: BTreeSet<usize>,
    /// The vector that an EOI is for.
    pub(super) ends: Option<u8>,
    /// Whether the functions of the image are C's, on the second side, too.
    pub(super) is_c: bool,
    /// Whether an IRQ of guests was ended while Xen's handler of another waited for its EOI.
    pub(super) is_early: bool,
    /// What was broken where no call could be ended.
    pub(super) broken: Option<String>,
    /// Whether something was allocated in the call that runs.
    pub(super) has_allocated: bool,
    /// What the call is to do, and whether that was possible.
    pub(super) act: Option<Act>,
    pub(super) was_possible: bool,
}

impl Delivery {
    pub(super) fn desc(&self, irq: usize) -> *mut sys::irq_desc {
        (self.descs as *mut sys::irq_desc).wrapping_add(irq)
    }

    /// The IRQ of a descriptor.
    pub(super) fn irq_of(&self, desc: u64) -> Option<usize> {
        let distance = (desc as usize).checked_sub(self.descs)?;
        Some(distance / size_of::<sys::irq_desc>())
    }

    /// What [`Event`]s call a descriptor.
    pub(super) fn name_of(&self, desc: u64) -> u64 {
        self.irq_of(desc).map_or(u64::MAX, |irq| irq as u64)
    }

    /// The CPUs that are online.
    pub(super) fn online(&self) -> Mask {
        // SAFETY: a variable of the image.
        unsafe { (self.online as *const Mask).read() }
    }

    /// How an IRQ's controller is told what; none where it has none.
    pub(super) fn kind(&self, irq: usize) -> Option<Kind> {
        let handler = get!(self.desc(irq), handler) as usize;
        let number = handler.checked_sub(self.handlers)?;
        let kind = KINDS.get(number / size_of::<sys::hw_interrupt_type>())?;
        Some(kind.0)
    }

    pub(super) fn is_pic(&self, irq: usize) -> bool {
        self.kind(irq) == Some(Kind::Pic)
    }

    /// The highest vector that is in service on a CPU.
    pub(super) fn highest(&self, cpu: usize) -> Option<u8> {
        let words = self.in_service[cpu];
        let word = (0..4).rev().find(|&word| words[word] != 0)?;
        Some(word as u8 * 64 + 63 - words[word].leading_zeros() as u8)
    }

    /// What happens next at such a place.
    pub(super) fn next_meanwhile(&mut self, when: When) -> Option<Act> {
        let is_next = self
            .meanwhile
            .front()
            .is_some_and(|(next, _)| *next == when);
        let nests = self.running.len() < DEEPEST;
        let next = (is_next && nests).then(|| self.meanwhile.pop_front());
        next.flatten().map(|(_, act)| act)
    }

    /// Whether a CPU takes an interrupt at a vector.
    pub(super) fn accepts(&self, cpu: usize, vector: u8) -> bool {
        self.highest(cpu)
            .is_none_or(|highest| highest / 16 < vector / 16)
    }

    /// An IRQ is destroyed. Where it waits for an EOI behind a higher vector, C never sends that:
    /// the controller is gone then.
    pub(super) fn lose(&mut self, irq: usize) {
        let desc = self.desc(irq);
        let vectors = [get!(desc, arch.vector), get!(desc, arch.old_vector)];
        for vector in vectors.into_iter().flat_map(u8::try_from) {
            for (cpu, words) in self.in_service.iter().enumerate() {
                if words[usize::from(vector / 64)] >> (vector % 64) & 1 != 0 {
                    self.lost.insert((cpu, vector));
                }
            }
        }
    }

    fn is_in_service(&self, cpu: usize, vector: u8) -> bool {
        self.in_service[cpu][usize::from(vector / 64)] >> (vector % 64) & 1 != 0
    }

    /// How many interrupts are in service whose IRQs were destroyed.
    pub(super) fn owed(&self) -> u64 {
        let still = |&&(cpu, vector): &&(usize, u8)| self.is_in_service(cpu, vector);
        self.lost.iter().filter(still).count() as u64
    }

    /// An interrupt that is in service in the end; C leaves those of IRQs that were destroyed.
    pub(super) fn stuck(&self) -> Option<(usize, u8)> {
        let all = (0..self.in_service.len()).flat_map(|cpu| (0..=u8::MAX).map(move |it| (cpu, it)));
        let is_excused = |it: &(usize, u8)| self.is_c && self.lost.contains(it);
        all.filter(|it| !is_excused(it))
            .find(|&(cpu, vector)| self.is_in_service(cpu, vector))
    }

    pub(super) fn begin_service(&mut self, cpu: usize, vector: u8) {
        self.lost.remove(&(cpu, vector));
        self.in_service[cpu][usize::from(vector / 64)] |= 1 << (vector % 64);
    }

    fn break_by(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// The local APIC of a CPU gets an EOI: its highest vector in service is.
    pub(super) fn end_service(&mut self, cpu: usize) -> Option<u8> {
        let Some(vector) = self.highest(cpu) else {
            self.break_by(format!("an EOI on CPU {cpu}, where nothing is in service"));
            return None;
        };
        self.in_service[cpu][usize::from(vector / 64)] &= !(1 << (vector % 64));
        let other = self.ends.filter(|&meant| meant != vector);
        if let Some(meant) = other
            && self.is_c
            && self.lost.remove(&(cpu, vector))
        {
            // It ends what C owes, and C owes this one instead.
            self.lost.insert((cpu, meant));
            return Some(vector);
        }
        if let Some(meant) = other
            && !self.is_early
        {
            self.break_by(format!("an EOI for vector {meant:#x} ends {vector:#x}"));
        }
        Some(vector)
    }

    /// How many IRQs a CPU is in.
    pub(super) fn depth(&self, cpu: usize) -> u32 {
        // SAFETY: a variable of the image.
        unsafe { ((self.irq_stat + cpu * IRQ_STAT + LOCAL_IRQ_COUNT) as *const u32).read() }
    }
}
