//! What the rest of Xen keeps while vmsi.c is driven alone.

use xen_sys as sys;

/// State of the fakes.
#[derive(Default)]
pub(crate) struct Platform {
    /// Each domain's pirqs: the domain's address, the number, and the structure.
    pub(super) pirqs: Vec<(u64, i32, *mut sys::pirq)>,
    /// Memory of a guest, by its first address; where there is none, what reads it finds is made
    /// up.
    pub(super) guest_memory: Vec<(u64, Vec<u8>)>,
    /// `pcidevs_lock`, where Rust has vmsi.c and C has msi.c.
    pub(super) pcidevs: Option<Pcidevs>,
}

/// Which other CPU has the lock when it is asked for.
#[derive(Clone, Copy)]
pub(super) enum Holder {
    Nobody,
    /// It drops the lock after so many vain tries.
    Drops(u32),
    /// After so many it waits for the vCPU to stop, of which this is the count of pauses.
    Waits(u32, *mut i32),
    /// It waits; so often the vCPU asked since.
    Waiting(u32, *mut i32),
}

/// `pcidevs_lock`, where Rust has vmsi.c and C has msi.c.
pub(super) struct Pcidevs {
    pub(super) lock: u64,
    /// Whether interrupts are posted: only then a holder may wait for a vCPU.
    pub(super) intpost: bool,
    pub(super) holder: Holder,
}
