//! Local APICs, and what else the functions that stand for Xen's find and change.

use xen_sys as sys;

use super::delivery::Delivery;
use super::handled::Handled;
use super::spec::{DOMAINS, IRQS, MOST_CPUS, Mask, has};
use crate::side;
use crate::xen::get;

/// A source of interrupts: the CPU and the vector it sends to.
pub(super) type Source = (usize, u8);

/// What the functions of the driver know while a call runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platform {
    /// The CPU that runs.
    pub(super) me: usize,
    pub(super) cpus: usize,
    /// The vectors that are pending on each CPU.
    pub(super) pending: Vec<[u64; 4]>,
    /// Where the source of each IRQ sends to.
    pub(super) sources: Vec<Option<Source>>,
    /// The IRQs that `init_one_irq_desc()` was called for.
    pub(super) set_up: Vec<i32>,
    /// The IRQ that is destroyed, where another CPU handles it.
    pub(super) handled: Option<Handled>,
    /// `set_desc_affinity()`.
    pub(super) set_desc_affinity: usize,
    /// The map of used vectors of an IO-APIC.
    pub(super) io_apic_map: u64,
    /// Sets of one CPU, in a row.
    pub(super) single: u64,
    /// The domains, the number of the one that runs, and whether they are found by their IDs.
    pub(super) domains: [u64; DOMAINS],
    pub(super) current: usize,
    pub(super) domain_lives: bool,
    /// Where the counts of preemption and RCU sections of CPU 0 are, and how far those of the CPU
    /// that runs are from there; 0 where the side has none.
    pub(super) counts: [u64; 2],
    pub(super) offset: u64,
    /// What is for IRQs that are set up.
    pub(super) delivery: Delivery,
}

impl Platform {
    pub(super) fn new(cpus: usize) -> Self {
        Self {
            cpus,
            pending: vec![[0; 4]; cpus],
            sources: vec![None; IRQS],
            ..Self::default()
        }
    }

    /// A CPU has gone offline: its timers go to another one.
    pub(super) fn leave(&mut self, cpu: usize) {
        let timers = self.delivery.timers.values_mut();
        timers
            .filter(|timer| timer.cpu == cpu)
            .for_each(|timer| timer.cpu = 0);
    }

    /// The counts of preemption and RCU sections of the CPU that runs.
    pub(super) fn counts(&self) -> [Option<*mut i32>; 2] {
        let place = |count: u64| (count != 0).then(|| count.wrapping_add(self.offset) as *mut i32);
        self.counts.map(place)
    }

    /// Has the source of an IRQ send to a vector at a destination, if that is one.
    pub(super) fn program(&mut self, desc: *const sys::irq_desc, destination: u32) {
        if let Some(cpu) = cpu_of(destination) {
            let irq = get!(desc, irq) as usize;
            self.sources[irq] = Some((cpu, get!(desc, arch.vector) as u8));
        }
    }

    /// Makes a vector pending on a CPU.
    pub(super) fn pend(&mut self, cpu: usize, vector: u8) {
        if let Some(words) = self.pending.get_mut(cpu) {
            words[usize::from(vector / 64)] |= 1 << (vector % 64);
        }
    }

    /// Makes it pending on all CPUs of a set.
    pub(super) fn pend_all(&mut self, mask: &Mask, vector: u8) {
        let cpus = self.cpus;
        for cpu in (0..cpus).filter(|&cpu| has(mask, cpu)) {
            self.pend(cpu, vector);
        }
    }

    /// Takes the highest vector that is pending on a CPU.
    pub(super) fn take(&mut self, cpu: usize) -> Option<u8> {
        let words = &mut self.pending[cpu];
        let word = (0..4).rev().find(|&word| words[word] != 0)?;
        let bit = 63 - words[word].leading_zeros();
        words[word] &= !(1 << bit);
        Some(word as u8 * 64 + bit as u8)
    }
}

/// The vector by which CPUs are told to clean up.
pub(super) const CLEAN_UP: u8 = sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u8 + 2;

/// A descriptor's set of CPUs.
pub(super) fn set_at(set: *mut sys::cpumask) -> Mask {
    // SAFETY: a set of a world, for as many CPUs as Xen is built for; no call runs.
    unsafe { set.cast::<Mask>().read() }
}

/// Gives a function its platform.
pub(super) fn with<R>(body: impl FnOnce(&mut Platform) -> R) -> R {
    side::with(|env| body(env.unit.of_mut()))
}

/// The APIC ID of a CPU.
pub(super) fn apic_id(cpu: usize) -> u32 {
    cpu as u32 * 2 + 1
}

/// The CPU with an APIC ID.
fn cpu_of(id: u32) -> Option<usize> {
    let cpu = id.checked_sub(1)? as usize / 2;
    (cpu < MOST_CPUS).then_some(cpu)
}

/// The first registers with what is in service and pending in x2APIC mode, of eight.
const ISR: u32 = 0x810;
const IRR: u32 = 0x820;

/// What RDMSR reads on the CPU that runs.
pub(super) fn read_msr(msr: u32) -> u64 {
    with(|platform| {
        let me = platform.me;
        let in_service = platform.delivery.in_service.get(me);
        let (words, index) = match msr.checked_sub(ISR)? {
            index @ 0..8 => (in_service?, index),
            _ => (
                &platform.pending[me],
                msr.checked_sub(IRR).filter(|index| *index < 8)?,
            ),
        };
        Some(words[index as usize / 2] >> (index % 2 * 32) & 0xffff_ffff)
    })
    .unwrap_or(0)
}
