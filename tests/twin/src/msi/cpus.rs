//! Sets of CPUs, as operations name them and as Xen keeps them.

use std::sync::atomic::{AtomicU32, Ordering};

use xen_sys as sys;

use crate::xen::{get, set};

/// How many CPUs may come online.
pub(super) const CPUS: u32 = 16;

/// Those that interrupts are for when a world begins, one each.
pub(super) const FIRST_CPUS: u64 = 0xf;

/// Words of a mask.
const WORDS: usize = size_of::<sys::cpumask>() / size_of::<u64>();

/// The most CPUs that there can be.
pub(super) const MOST_CPUS: u32 = WORDS as u32 * u64::BITS;

/// How many CPUs there are, of which operations name some; the others are never online.
static COUNT: AtomicU32 = AtomicU32::new(CPUS);

/// Has both sides' CPUs lie so that there are `count` in all.
pub(super) fn spread_cpus(count: u32) {
    COUNT.store(count, Ordering::Relaxed);
}

/// The place in a mask of a CPU that operations name: from the first of all to the last.
fn place(cpu: u32) -> (usize, u32) {
    let bit = cpu * (COUNT.load(Ordering::Relaxed) - 1) / (CPUS - 1);
    ((bit / u64::BITS) as usize, bit % u64::BITS)
}

/// The CPUs of a mask. One that operations cannot name counts as the 64th.
pub(super) fn cpus(mask: *const sys::cpumask) -> u64 {
    let bits = get!(mask, bits);
    let is_in = |cpu: &u32| {
        let (word, bit) = place(*cpu);
        bits[word] >> bit & 1 != 0
    };
    let cpus = (0..CPUS).filter(is_in).fold(0, |cpus, cpu| cpus | 1 << cpu);
    if bits == bits_of(cpus) {
        cpus
    } else {
        cpus | 1 << 63
    }
}

/// The words of a mask with these CPUs.
fn bits_of(cpus: u64) -> [u64; WORDS] {
    let mut bits = [0; WORDS];
    for cpu in (0..CPUS).filter(|cpu| cpus >> cpu & 1 != 0) {
        let (word, bit) = place(cpu);
        bits[word] |= 1 << bit;
    }
    bits
}

/// Fills a mask.
pub(super) fn set_cpus(mask: *mut sys::cpumask, cpus: u64) {
    set!(mask, bits, bits_of(cpus));
}
