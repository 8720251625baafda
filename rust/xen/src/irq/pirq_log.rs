//! What is said about pirqs that are mapped and unmapped.

use crate::base::log::{debug, debug_lines, lines};
use crate::base::view::field;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::HeldDesc;
use core::ffi::{c_int, c_uint};
use xen_sys as sys;

lines! {
    /// A domain was not given access to the IRQ of a pirq that was to be mapped.
    not_permitted(domain: Domain<'_>, irq: u32, pirq: i32):
        c"<G><0>dom%d: could not permit access to IRQ%d (pirq %d)\n",
        c_int::from(domain.id()), irq, pirq;

    /// The same for a message that is not the first of its block, which is mapped nevertheless.
    message_not_permitted(domain: Domain<'_>, irq: u32, pirq: i32):
        c"<G><1>dom%d: could not permit access to IRQ%d (pirq %d)\n",
        c_int::from(domain.id()), irq, pirq;

    /// A domain may still use an IRQ that was not mapped.
    not_revoked(domain: Domain<'_>, irq: u32, pirq: i32):
        c"<G><0>dom%d: could not revoke access to IRQ%d (pirq %d)\n",
        c_int::from(domain.id()), irq, pirq;

    /// A domain may still use an IRQ that was unmapped.
    not_denied(domain: Domain<'_>, irq: u32, pirq: i32):
        c"<G><0>dom%d: could not deny access to IRQ%d (pirq %d)\n",
        c_int::from(domain.id()), irq, pirq;

    /// A message that is not the first of its block is not unmapped alone.
    is_secondary(domain: Domain<'_>, pirq: i32):
        c"<G><0>dom%d: trying to unmap secondary MSI pirq %d\n",
        c_int::from(domain.id()), pirq;

    /// No pirq stands for a message of a block that is unmapped.
    message_not_mapped(domain: Domain<'_>, pirq: i32):
        c"<G><0>%pd: MSI pirq %d not mapped\n",
        domain.as_ptr(), pirq;
}

debug_lines! {
    /// There is no such pirq, or no such IRQ.
    invalid(domain: Domain<'_>, pirq: i32, irq: i32):
        "<G><0>", "dom%d: invalid pirq %d or irq %d",
        c_int::from(domain.id()), pirq, irq;

    /// One of both is mapped to another, of which the pirq comes first.
    already_mapped(domain: Domain<'_>, pirq: i32, irq: i32, old_pirq: i32, old_irq: i32):
        "<G><1>", "dom%d: pirq %d or irq %d already mapped (%d,%d)",
        c_int::from(domain.id()), pirq, irq, old_pirq, old_irq;

    /// The security module refuses the mapping.
    refused(domain: Domain<'_>, irq: i32, pirq: i32):
        "<G><0>", "dom%d: could not permit access to irq %d mapping to pirq %d",
        c_int::from(domain.id()), irq, pirq;

    /// The IRQ of a message is in use.
    in_use(domain: Domain<'_>, irq: u32):
        "<G><0>", "dom%d: irq %d in use",
        c_int::from(domain.id()), irq;

    /// A pirq that is to be unmapped is not mapped.
    not_mapped(domain: Domain<'_>, pirq: i32):
        "<G><0>", "dom%d: pirq %d not mapped",
        c_int::from(domain.id()), pirq;

    /// A guest is unbound from a pirq that is unmapped.
    unbound_by_force(domain: Domain<'_>, pirq: i32):
        "<G><1>", "dom%d: forcing unbind of pirq %d",
        c_int::from(domain.id()), pirq;

    /// There is no such pirq, or no such emulated interrupt.
    invalid_emulated(domain: Domain<'_>, pirq: i32, emuirq: i32):
        "<G><0>", "dom%d: invalid pirq %d or emuirq %d",
        c_int::from(domain.id()), pirq, emuirq;

    /// One of both is mapped to another.
    already_emulated(domain: Domain<'_>, pirq: i32, emuirq: i32):
        "<G><1>", "dom%d: pirq %d or emuirq %d already mapped",
        c_int::from(domain.id()), pirq, emuirq;

    /// An IRQ for which a pirq is to be chosen has one.
    has_pirq(domain: Domain<'_>, index: i32, wanted: i32, pirq: i32):
        "<G><0>", "dom%d: %d:%d already mapped to %d",
        c_int::from(domain.id()), index, wanted, pirq;

    /// An IRQ that is to be mapped to a certain pirq has another.
    has_other_pirq(domain: Domain<'_>, irq: u32, pirq: i32):
        "<G><0>", "dom%d: irq %d already mapped to pirq %d",
        c_int::from(domain.id()), irq, pirq;

    /// There is no run of free pirqs for as many messages.
    no_block(domain: Domain<'_>, messages: c_uint):
        "<G><0>", "dom%d: no block of %d free pirqs",
        c_int::from(domain.id()), messages;

    /// There is no free pirq.
    no_pirq(domain: Domain<'_>): "<G><0>", "dom%d: no free pirq", c_int::from(domain.id());

    /// There is no such pin.
    no_pin(domain: Domain<'_>, index: i32):
        "<G><0>", "dom%d: map invalid irq %d", c_int::from(domain.id()), index;

    /// The current domain has no IRQ for the pirq that it names.
    no_irq_of_pirq(domain: Domain<'_>):
        "<G><0>", "dom%d: map pirq with incorrect irq!", c_int::from(domain.id());

    /// There is no IRQ for a message.
    no_irq(domain: Domain<'_>):
        "<G><0>", "dom%d: can't create irq for msi!", c_int::from(domain.id());

    /// There is no such kind of interrupt.
    wrong_kind(domain: Domain<'_>, kind: c_int):
        "<G><0>", "dom%d: wrong pirq type %x", c_int::from(domain.id()), kind;
}

/// The IRQ that was created for a message of a block is in use.
#[cold]
#[track_caller]
pub fn message_in_use(domain: Domain<'_>, desc: HeldDesc<'_>, pirq: i32) {
    let handler = field!(desc, handler);
    if !handler.is_null() {
        debug!(
            "<G><0>",
            "dom%d: irq %d (pirq %u) in use (%s)",
            c_int::from(domain.id()),
            desc.irq(),
            pirq,
            (*handler).typename
        );
    }
}
