//! What is said about IRQs.

use crate::arch::cpu::cpu_ids;
use crate::base::errno::Errno;
use crate::base::log::print;
use crate::irq::cpus::Cpus;
use crate::objects::domain::Domain;
use core::ffi::c_uint;
use xen_sys as sys;

/// A domain cannot use an IRQ that it had created.
#[cold]
pub fn not_permitted(domain: Domain<'_>, irq: i32, errno: Errno) {
    print!(
        c"<G><0>Could not grant %pd access to IRQ%d (error %d)\n",
        domain.as_ptr(),
        irq,
        errno.negative()
    );
}

/// A domain may still use an IRQ that is destroyed.
#[cold]
pub fn not_denied(domain: Domain<'_>, irq: i32, errno: Errno) {
    print!(
        c"<G><0>Could not revoke %pd access to IRQ%u (error %d)\n",
        domain.as_ptr(),
        irq as c_uint,
        errno.negative()
    );
}

/// An IRQ that gets its first vector has a map of used ones.
#[cold]
pub fn has_map(irq: i32) {
    print!(c"<2>Unassigned IRQ %d already has used_vectors\n", irq);
}

/// An IRQ that gets its first vector has one.
#[cold]
pub fn has_vector(irq: i32, vector: u8) {
    print!(
        c"<2>IRQ%d already assigned vector %02x\n",
        irq,
        c_uint::from(vector)
    );
}

/// It has one that no IRQ can have.
#[cold]
pub fn has_bogus_vector(irq: i32, vector: u8) {
    print!(
        c"<1>IRQ%d mapped to bogus vector %02x\n",
        irq,
        c_uint::from(vector)
    );
}

/// An IRQ stays on a CPU that goes offline.
#[cold]
pub fn cannot_move(irq: i32) {
    print!(c"Cannot set affinity for IRQ%u\n", irq as c_uint);
}

/// An IRQ is on CPUs that were not asked for, because none of those is online.
#[cold]
pub fn affinity_broken(irq: i32, cpus: Cpus<'_>) {
    print!(
        c"Broke affinity for IRQ%u, new: {%*pbl}\n",
        irq as c_uint,
        cpu_ids(),
        cpus.as_ptr()
    );
}
