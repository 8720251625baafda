//! IRQs that are created for messages, and destroyed.

use crate::{assign_vector, clear, guests};
use irq_core::irq::cpus::CpuSetMut;
use xen::base::errno::Errno;
use xen::irq::cpus::Cpus;
use xen::irq::create::{CreatedIrq, Reserved, cpus_of_node, take_request};
use xen::irq::log;
use xen::irq::place::{self, PlacedDesc};
use xen::irq::table::VectorLock;
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
    let held = locked.held();
    held.shut_down();
    held.set_disabled(true);
    let action = take_request(desc, held);
    drop(locked);

    // The CPU that handles it tells its controller when the handler has returned.
    let action = action.wait();
    let (locked, bound) = guests::abandon(desc);
    let placed = PlacedDesc::of(locked.held());
    xen_assert!(placed.is_some());
    if let Some(held) = placed {
        held.unbind_msi();
        place::affinity(held).copy(&Cpus::all());
        clear(held, &VectorLock::take());
        place::set_used(*held, None);
    }
    drop(locked);
    action.free();
    if let Some(bound) = bound {
        bound.free();
    }
}
