//! IRQs that are created for messages, and destroyed.

use crate::{assign_vector, clear, with_vectors};
use irq_core::irq::cpus::CpuSetMut;
use xen::base::errno::Errno;
use xen::irq::cpus::Cpus;
use xen::irq::create::{CreatedIrq, Reserved, cpus_of_node};
use xen::irq::handler::Status;
use xen::irq::log;
use xen::irq::place::{self, PlacedDesc};
use xen::xen_assert;

/// Creates an IRQ, with a vector on one of a node's CPUs, or of all. With `permit`, the current
/// domain may use it (`create_irq()`).
///
/// # Errors
///
/// [`Errno::NOSPC`] where no IRQ or no vector is free, [`Errno::NOMEM`].
#[doc(alias = "create_irq")]
pub fn create(node: Option<u8>, permit: bool) -> Result<CreatedIrq, Errno> {
    let new = Reserved::first().ok_or(Errno::NOSPC)?;
    let desc = new.desc();
    let assigned = new.initialize().and_then(|()| {
        let assigned = assign_vector(desc, node.and_then(cpus_of_node));
        xen_assert!(!new.has_creator());
        assigned
    });
    if let Err(errno) = assigned {
        new.free();
        return Err(errno);
    }
    let new = new.created();
    if permit && let Err((domain, errno)) = new.permit_access() {
        log::not_permitted(domain, desc.irq(), errno);
    }
    Ok(new)
}

/// Destroys an IRQ that was created (`destroy_irq()`).
///
/// Context: IRQs on.
#[doc(alias = "destroy_irq")]
pub fn destroy(irq: CreatedIrq) {
    let desc = irq.desc();
    irq.deny_access(|domain, errno| log::not_denied(domain, desc.irq(), errno));
    let locked = desc.lock();
    let Some(held) = PlacedDesc::of(locked.held()) else {
        xen_assert!(false);
        return;
    };
    let action = irq.action(held);
    held.unset(Status::GUEST);
    held.shut_down();
    held.set(Status::DISABLED);
    let action = action.take(held);
    place::affinity(held).copy(&Cpus::all());
    drop(locked);

    let action = action.wait();

    with_vectors(desc, |held, lock| {
        held.set_unused_handler();
        clear(held, lock);
        place::set_used(*held, None);
    });
    action.free();
}
