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
}
