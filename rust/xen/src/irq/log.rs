//! What is said about IRQs.

use crate::arch::cpu::cpu_ids;
use crate::base::errno::Errno;
use crate::base::log::{debug, print, word};
use crate::base::view::field;
use crate::irq::cpus::Cpus;
use crate::irq::guests::Guest;
use crate::irq::options;
use crate::irq::place::{self, PlacedDesc};
use crate::objects::domain::Domain;
use crate::objects::irq_desc::HeldDesc;
use crate::objects::pirq::PirqView;
use core::ffi::{c_int, c_uint};
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

/// An interrupt has arrived at a vector that nothing has. `slot` is what stands there instead.
#[cold]
pub fn no_handler(cpu: u32, vector: u8, slot: i32, in_service: bool) {
    print!(
        c"CPU%u: No irq handler for vector %02x (IRQ %d%s)\n",
        cpu,
        c_uint::from(vector),
        slot,
        word(in_service, c", LAPIC", c"")
    );
}

/// The IRQ that had such a vector.
#[cold]
pub fn left_vector(desc: PlacedDesc<'_>) {
    let (places, affinity) = (place::read(desc), place::affinity(desc));
    let handler = field!(desc, handler);
    print!(
        c"IRQ%d a={%*pbl}[{%*pbl},{%*pbl}] v=%02x[%02x] t=%s s=%08x\n",
        desc.irq(),
        cpu_ids(),
        affinity.cpus().as_ptr(),
        cpu_ids(),
        places.cpus.cpus().as_ptr(),
        cpu_ids(),
        places.old_cpus.cpus().as_ptr(),
        c_int::from(field!(desc, arch.vector)),
        c_int::from(field!(desc, arch.old_vector)),
        (*handler).typename,
        field!(desc, status)
    );
}

/// No pirq can be bound to an IRQ that Xen handles.
#[cold]
pub fn in_use(desc: HeldDesc<'_>, domain: Domain<'_>, pirq: PirqView<'_>) {
    print!(
        c"<G><2>Cannot bind IRQ%d to dom%d. In use by '%s'.\n",
        pirq.number(),
        c_int::from(domain.id()),
        desc.action_name()
    );
}

/// A pirq could not be bound.
#[cold]
pub fn bind_out_of_memory(domain: Domain<'_>, pirq: PirqView<'_>) {
    print!(
        c"<G><2>Cannot bind IRQ%d to dom%d. Out of memory.\n",
        pirq.number(),
        c_int::from(domain.id())
    );
}

/// A pirq cannot be bound to an IRQ that another guest has.
#[cold]
pub fn not_shared(domain: Domain<'_>, pirq: PirqView<'_>, would_share: bool) {
    let why = word(
        would_share,
        c"Others do not share",
        c"Will not share with others",
    );
    print!(
        c"<G><2>Cannot bind IRQ%d to dom%d. %s.\n",
        pirq.number(),
        c_int::from(domain.id()),
        why
    );
}

/// An IRQ has as many guests as it can have.
#[cold]
pub fn too_many_guests(domain: Domain<'_>, pirq: PirqView<'_>) {
    print!(
        c"<G><2>Cannot bind IRQ%d to %pd: already at max share %u (increase with irq-max-guests= option)\n",
        pirq.number(),
        domain.as_ptr(),
        c_uint::from(options::most_guests())
    );
}

/// Xen does not know how an IRQ's source is acknowledged.
#[cold]
pub fn unknown_type(desc: HeldDesc<'_>) {
    let handler = field!(desc, handler);
    if !handler.is_null() {
        print!(
            c"Unknown PIC type '%s' for IRQ%d\n",
            (*handler).typename,
            desc.irq()
        );
    }
}

/// More guests were told of an interrupt than are to answer.
#[cold]
pub fn still_in_flight(irq: i32, in_flight: u8, count: u8) {
    print!(
        c"<G><1>IRQ%u: %d/%d handler(s) still in flight at forced EOI\n",
        irq as c_uint,
        c_int::from(in_flight),
        c_int::from(count)
    );
}

/// No guest handles the IRQ that one is to be unbound from.
#[cold]
#[track_caller]
pub fn nothing_to_unbind(domain: Domain<'_>, pirq: PirqView<'_>) {
    debug!(
        "<G><1>",
        "dom%d: pirq %d: desc->action is NULL!",
        c_int::from(domain.id()),
        pirq.number()
    );
}

/// Debug key `i`: how many guests have not answered, before what is said of each.
pub fn dump_in_flight(in_flight: u8, any: bool) {
    let end = if any { b' ' } else { b'\n' };
    print!(c"in-flight=%d%c", c_int::from(in_flight), c_int::from(end));
}

/// Debug key `i`: a guest. What is not known of its event channel is `None`.
pub fn dump_guest(guest: Guest<'_>, pending: Option<bool>, masked: Option<bool>, last: bool) {
    let letter = |known: Option<bool>, yes: u8| match known {
        Some(true) => yes,
        Some(false) => b'-',
        None => b'?',
    };
    print!(
        c"d%d:%3d(%c%c%c)%c",
        c_int::from(guest.domain().id()),
        guest.pirq().number(),
        c_int::from(letter(pending, b'P')),
        c_int::from(letter(masked, b'M')),
        c_int::from(letter(Some(guest.pirq().is_masked()), b'M')),
        c_int::from(if last { b'\n' } else { b',' })
    );
}
