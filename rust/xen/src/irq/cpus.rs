//! Sets of CPUs, read and written in place.

use crate::arch::cpu::cpu_ids;
use crate::base::view::Word;
use crate::objects::cpumask::{self, CpuMask, WORDS, words};
use crate::sync::irqs::IrqsOff;
use core::mem::MaybeUninit;
use irq_core::irq::cpus::{CpuSet, CpuSetMut};
use xen_sys as sys;

/// A set of CPUs that is read in place.
#[derive(Clone, Copy)]
pub struct Cpus<'a>(CpuMask<'a>);

/// A set of CPUs of a descriptor, which the holder of its lock changes in place.
pub struct DescCpus<'a>(pub(super) Cpus<'a>);

impl<'a> Cpus<'a> {
    /// The CPUs of a set.
    pub const fn of(mask: CpuMask<'a>) -> Self {
        Self(mask)
    }

    /// Those that are online.
    pub fn online() -> Cpus<'static> {
        // SAFETY: The set is a variable of Xen's, whose words CPUs change by atomic instructions.
        // Nothing writes to a set of this type.
        let mask = unsafe { CpuMask::from_raw((&raw const sys::cpu_online_map).cast_mut()) };
        // SAFETY: The address of a variable is not null.
        Cpus(unsafe { mask.unwrap_unchecked() })
    }

    /// All that there may be.
    pub fn all() -> Cpus<'static> {
        // SAFETY: The set is a constant of Xen's, and nothing writes to a set of this type.
        let mask = unsafe { CpuMask::from_raw((&raw const sys::cpumask_all).cast_mut()) };
        // SAFETY: The address of a constant is not null.
        Cpus(unsafe { mask.unwrap_unchecked() })
    }

    /// One CPU; `None` where there cannot be such a CPU.
    pub fn one(cpu: u32) -> Option<Cpus<'static>> {
        if cpu >= cpu_ids() {
            return None;
        }
        // SAFETY: The set is a constant of Xen's, and nothing writes to a set of this type.
        unsafe { CpuMask::from_raw(sys::shim_cpumask_of(cpu).cast_mut()) }.map(Cpus)
    }

    /// The set.
    pub(super) const fn mask(self) -> CpuMask<'a> {
        self.0
    }

    /// The set, for C, which only reads it.
    pub(super) const fn as_ptr(self) -> *const sys::cpumask_t {
        self.0.as_ptr()
    }

    /// Copies it to this CPU's scratch set.
    pub fn copy_to_scratch(self, irqs: IrqsOff<'_>) {
        DescCpus(Self::scratch(irqs)).copy(&self);
    }

    /// This CPU's scratch set: what was copied there is there until a function of Xen's that is
    /// called with IRQs off uses it.
    pub fn scratch(_: IrqsOff<'_>) -> Cpus<'_> {
        // SAFETY: The set is allocated before the CPU comes online, and stays while the CPU runs.
        unsafe {
            CpuMask::from_raw(cpumask::scratch())
                .map(Cpus)
                .unwrap_unchecked()
        }
    }

    /// The address of a word, if the set has such a word.
    fn place(self, index: u32) -> Option<*mut u64> {
        let words = (index < words()).then_some(self.0.as_ptr().cast::<u64>())?;
        // SAFETY: The set has as many words.
        Some(unsafe { words.add(index as usize) })
    }
}

impl CpuSet for Cpus<'_> {
    fn limit(&self) -> u32 {
        cpu_ids()
    }

    fn word(&self, index: u32) -> u64 {
        // SAFETY: The word is one of the set's, and others access a set's words one by one.
        self.place(index)
            .map_or(0, |word| unsafe { u64::load(word) })
    }
}

impl<'a> DescCpus<'a> {
    /// The set, to be read.
    pub const fn cpus(&self) -> Cpus<'a> {
        self.0
    }
}

impl CpuSet for DescCpus<'_> {
    fn limit(&self) -> u32 {
        cpu_ids()
    }

    fn word(&self, index: u32) -> u64 {
        self.0.word(index)
    }
}

impl CpuSetMut for DescCpus<'_> {
    fn words(&self) -> u32 {
        words()
    }

    fn set_word(&mut self, index: u32, word: u64) {
        if let Some(place) = self.0.place(index) {
            // SAFETY: The word is one of a descriptor's set, and others access a set's words one by
            // one.
            unsafe { u64::store(place, word) };
        }
    }
}

/// A copy of a set of CPUs, for what is done when the lock is dropped that guards the set.
pub struct CpusCopy([MaybeUninit<u64>; WORDS]);

impl CpusCopy {
    /// Copies one.
    pub fn of(cpus: &impl CpuSet) -> Self {
        let mut copy = [const { MaybeUninit::uninit() }; WORDS];
        for index in 0..words() {
            if let Some(word) = copy.get_mut(index as usize) {
                word.write(cpus.word(index));
            }
        }
        Self(copy)
    }

    /// The set, for C, which only reads it.
    pub(super) fn as_ptr(&self) -> *const sys::cpumask_t {
        (&raw const self.0).cast()
    }
}

impl CpuSet for CpusCopy {
    fn limit(&self) -> u32 {
        cpu_ids()
    }

    fn word(&self, index: u32) -> u64 {
        let word = self.0.get(index as usize);
        // SAFETY: `of` has written as many words as are in use.
        word.filter(|_| index < words())
            .map_or(0, |word| unsafe { word.assume_init_read() })
    }
}

impl CpuSetMut for CpusCopy {
    fn words(&self) -> u32 {
        words()
    }

    fn set_word(&mut self, index: u32, word: u64) {
        if let Some(place) = self.0.get_mut(index as usize) {
            place.write(word);
        }
    }
}
