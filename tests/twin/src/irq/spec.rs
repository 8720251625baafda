//! What a world consists of.

/// As many CPUs as Xen is built for.
pub(super) const MOST_CPUS: usize = 256;
/// As many as worlds have in which interrupts arrive.
pub(super) const MOST_ARRIVALS: usize = 4;
/// IRQs of PICs and IO-APICs, and of all.
pub(super) const GSIS: usize = 20;
pub(super) const IRQS: usize = 32;
/// The IRQ that has what is in use otherwise. It is not created, and does not move.
pub(super) const FILLER: usize = IRQS - 1;
/// Devices, each with a map of used vectors.
pub(super) const DEVICES: usize = 2;

/// The first of the domains, and how many there are. The first two run.
pub(super) const DOMAIN: u16 = 7;
pub(super) const DOMAINS: usize = 4;

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
    /// How interrupts arrive, where they do.
    pub(super) delivery: Option<Arrivals>,
}

/// What a world is in which IRQs are set up and interrupts arrive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrivals {
    /// After how many interrupts of 10 ms an IRQ is disabled; 0 for none.
    pub(super) limit: u32,
    pub(super) most_guests: u8,
    /// Whether IRQs do not move to where their guests run.
    pub(super) no_balance: bool,
    /// Whether the processor is AMD's.
    pub(super) amd: bool,
    /// The kind of all pins, of those that are not PICs'; none where each has its own.
    pub(super) pins: Option<usize>,
    /// What decides the kinds of pins otherwise, and whether HVM domains take dpci.
    pub(super) salt: u64,
}
