//! What a world consists of.

/// As many CPUs as Xen is built for.
pub(super) const MOST_CPUS: usize = 256;
/// IRQs of PICs and IO-APICs, and of all.
pub(super) const GSIS: usize = 20;
pub(super) const IRQS: usize = 32;
/// The IRQ that has what is in use otherwise. It is not created, and does not move.
pub(super) const FILLER: usize = IRQS - 1;
/// Devices, each with a map of used vectors.
pub(super) const DEVICES: usize = 2;

/// The first of two domains.
pub(super) const DOMAIN: u16 = 7;

/// The vector that interrupts of the HPET share.
pub(super) const HPET: u8 = 0x30;

/// A set of CPUs.
pub(super) type Mask = [u64; MOST_CPUS / 64];

/// Whether a CPU is in a set.
pub(super) fn has(mask: &Mask, cpu: usize) -> bool {
    mask[cpu / 64] >> (cpu % 64) & 1 != 0
}

/// A set of one CPU.
pub(super) fn only(cpu: usize) -> Mask {
    let mut mask = Mask::default();
    mask[cpu / 64] |= 1 << (cpu % 64);
    mask
}

/// Which IRQs must not share a vector on different CPUs, by the number that C has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maps {
    None = 1,
    Global = 2,
    PerDevice = 3,
}

/// An IRQ that gets a vector at boot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) irq: usize,
    pub(super) vector: u8,
}

/// A world.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(super) cpus: usize,
    pub(super) online: Mask,
    pub(super) maps: Maps,
    /// Which of the first 16 IRQs IO-APICs handle.
    pub(super) io_apic_irqs: u16,
    pub(super) bound: Vec<Bound>,
    /// What others use of each CPU, in percent, and what decides which vectors.
    pub(super) fill: u64,
    pub(super) salt: u64,
    /// Whether that is the same on all CPUs.
    pub(super) alike: bool,
}
