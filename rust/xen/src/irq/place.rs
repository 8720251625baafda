//! The places of an IRQ, as its descriptor holds them.

use crate::base::view::{Word, field, set_field};
use crate::objects::cpumask::{CpuMask, CpuMaskVar};
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use irq_core::irq::cpus::CpuSet;
use irq_core::irq::moves::Place;
use irq_core::irq::vectors::VectorSet;
use xen_sys as sys;

/// Bit 0 of the byte of bit-fields.
const MOVE_IN_PROGRESS: u8 = 1;

/// A set of CPUs that is read and written in place.
#[derive(Clone, Copy)]
pub struct Cpus<'a>(CpuMask<'a>);

/// How many CPUs there can be.
fn limit() -> u32 {
    // SAFETY: The number is written while Xen boots, before there is a second CPU.
    unsafe { (&raw const sys::nr_cpu_ids).read_volatile() }
}

impl<'a> Cpus<'a> {
    /// The CPUs of a set.
    pub const fn of(mask: CpuMask<'a>) -> Self {
        Self(mask)
    }

    /// Those that are online.
    pub fn online() -> Cpus<'static> {
        // SAFETY: The set is a variable of Xen's, whose words CPUs change by atomic instructions.
        // Nothing here writes to it.
        let mask = unsafe { CpuMask::from_raw((&raw const sys::cpu_online_map).cast_mut()) };
        // SAFETY: The address of a variable is not null.
        Cpus(unsafe { mask.unwrap_unchecked() })
    }

    /// All that there may be.
    pub fn all() -> Cpus<'static> {
        // SAFETY: The set is a constant of Xen's, and nothing here writes to it.
        let mask = unsafe { CpuMask::from_raw((&raw const sys::cpumask_all).cast_mut()) };
        // SAFETY: The address of a constant is not null.
        Cpus(unsafe { mask.unwrap_unchecked() })
    }

    /// The set, for C.
    pub const fn as_ptr(self) -> *mut sys::cpumask_t {
        self.0.as_ptr()
    }

    /// How many words of a set are in use.
    fn words() -> usize {
        // SAFETY: The function computes a number.
        unsafe { sys::shim_cpumask_words() as usize }
    }

    fn word(self, cpu: u32) -> u64 {
        let words = self.0.as_ptr().cast::<u64>();
        // SAFETY: All callers ask for a CPU below the limit, for which each set has a bit. Others
        // access a set's words one by one.
        unsafe { u64::load(words.add(cpu as usize / 64)) }
    }

    fn change(self, cpu: u32, change: impl FnOnce(u64, u64) -> u64) {
        if cpu >= limit() {
            return;
        }
        let words = self.0.as_ptr().cast::<u64>();
        let word = change(self.word(cpu), 1 << (cpu % 64));
        // SAFETY: The CPU is below the limit, for which each set has a bit; others access a set's
        // words one by one.
        unsafe { u64::store(words.add(cpu as usize / 64), word) };
    }

    /// Combines each word with that of another set.
    fn combine(self, other: Self, combine: impl Fn(u64, u64) -> u64) {
        let (words, others) = (self.as_ptr().cast::<u64>(), other.as_ptr().cast::<u64>());
        for index in 0..Self::words() {
            // SAFETY: Each set has as many words, which others access one by one.
            unsafe {
                let word = combine(u64::load(words.add(index)), u64::load(others.add(index)));
                u64::store(words.add(index), word);
            }
        }
    }
}

impl CpuSet for Cpus<'_> {
    fn contains(&self, cpu: u32) -> bool {
        cpu < limit() && self.word(cpu) >> (cpu % 64) & 1 != 0
    }

    fn intersects(&self, other: &Self) -> bool {
        (0..limit())
            .step_by(64)
            .any(|cpu| self.word(cpu) & other.word(cpu) != 0)
    }

    fn next(&self, cpu: u32) -> Option<u32> {
        (cpu..limit()).find(|&cpu| self.contains(cpu))
    }

    fn clear(&mut self) {
        self.combine(*self, |_, _| 0);
    }

    fn insert(&mut self, cpu: u32) {
        self.change(cpu, |word, bit| word | bit);
    }

    fn remove(&mut self, cpu: u32) {
        self.change(cpu, |word, bit| word & !bit);
    }

    fn copy(&mut self, other: &Self) {
        self.combine(*other, |_, other| other);
    }

    fn retain(&mut self, other: &Self) {
        self.combine(*other, |word, other| word & other);
    }
}

/// A field that holds a vector, or -1.
fn vector(word: i16) -> Option<u8> {
    u8::try_from(word).ok()
}

fn bits(desc: HeldDesc<'_>) -> *mut u8 {
    // SAFETY: The view's object is alive, and the bit-fields have a byte of their own.
    unsafe { (&raw mut (*desc.as_ptr()).arch._bitfield_1).cast() }
}

macro_rules! set {
    ($desc:expr, $($path:tt)+) => {{
        // SAFETY: The variable is a part of the descriptor, which stays, and its set is allocated
        // when the descriptor is initialized, before the IRQ has a place.
        let mask = unsafe {
            CpuMask::from_raw(CpuMaskVar::set(&raw mut (*$desc.as_ptr()).$($path)+))
                .unwrap_unchecked()
        };
        Cpus::of(mask)
    }};
}

/// Reads the places of an IRQ whose descriptor is held. The sets of CPUs are changed in place; the
/// rest is written by [`write`].
pub fn read(desc: HeldDesc<'_>) -> Place<Cpus<'_>> {
    Place {
        vector: vector(field!(desc, arch.vector)),
        cpus: set!(desc, arch.cpu_mask),
        old_vector: vector(field!(desc, arch.old_vector)),
        old_cpus: set!(desc, arch.old_cpu_mask),
        // SAFETY: The byte is a part of the descriptor.
        in_progress: unsafe { u8::load(bits(desc)) } & MOVE_IN_PROGRESS != 0,
        cleanups: field!(desc, arch.move_cleanup_count),
    }
}

/// Writes them.
pub fn write(desc: HeldDesc<'_>, place: &Place<Cpus<'_>>) {
    let word = |vector: Option<u8>| vector.map_or(-1, i16::from);
    set_field!(desc, arch.vector)(word(place.vector));
    set_field!(desc, arch.old_vector)(word(place.old_vector));
    set_field!(desc, arch.move_cleanup_count)(place.cleanups);
    // SAFETY: The byte is a part of the descriptor, and its lock is held.
    unsafe {
        let rest = u8::load(bits(desc)) & !MOVE_IN_PROGRESS;
        u8::store(bits(desc), rest | u8::from(place.in_progress));
    }
}

/// The CPUs that an IRQ was asked to be on.
pub fn affinity(desc: HeldDesc<'_>) -> Cpus<'_> {
    set!(desc, affinity)
}

/// Returns whether the IRQ has had a vector since it was allocated.
pub fn has_been_assigned(desc: HeldDesc<'_>) -> bool {
    field!(desc, arch.used) == sys::IRQ_USED as i8
}

/// Notes that it has.
pub fn set_assigned(desc: HeldDesc<'_>) {
    set_field!(desc, arch.used)(sys::IRQ_USED as i8);
}

/// Lets the IRQ be allocated again, after all else was written.
pub fn set_unused(desc: HeldDesc<'_>) {
    core::sync::atomic::fence(core::sync::atomic::Ordering::Release);
    set_field!(desc, arch.used)(sys::IRQ_UNUSED as i8);
}

/// The map of vectors that IRQs of one device, or all, must not share.
pub fn used(desc: HeldDesc<'_>) -> Option<&'static VectorSet> {
    let map = field!(desc, arch.used_vectors);
    // SAFETY: The maps are static variables, and arrays that are never freed (io_apic.c); C changes
    // them by atomic instructions.
    unsafe { map.cast::<VectorSet>().as_ref() }
}

/// Chooses that map for an IRQ that is to get its first vector.
pub fn choose_used(desc: HeldDesc<'_>) -> Option<&'static VectorSet> {
    // SAFETY: The number is a descriptor's, and the vector lock is held; for the map, see `used()`.
    unsafe {
        sys::irq_get_used_vector_mask(desc.irq())
            .cast::<VectorSet>()
            .as_ref()
    }
}

/// Notes it.
pub fn set_used(desc: HeldDesc<'_>, map: Option<&'static VectorSet>) {
    let map = map.map_or(core::ptr::null_mut(), |map| (&raw const *map).cast_mut());
    set_field!(desc, arch.used_vectors)(map.cast());
}

/// The vector by which an IRQ is known: for one of a PIC, that of the PIC.
pub fn known_vector(desc: IrqDesc<'_>) -> Option<u8> {
    // SAFETY: The number is a descriptor's.
    u8::try_from(unsafe { sys::irq_to_vector(desc.irq()) }).ok()
}

/// Returns whether a PIC handles the IRQ.
pub fn is_8259a(desc: HeldDesc<'_>) -> bool {
    // SAFETY: The descriptor has a handler: an IRQ whose vector is in use is initialized.
    unsafe { sys::shim_is_8259A(desc.as_ptr()) }
}
