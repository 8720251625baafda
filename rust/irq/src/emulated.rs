//! Pirqs of HVM domains that stand for interrupts of the domain's own, emulated hardware.
//!
//! The domain's event lock, held for writing, guards what a pirq stands for and the map that leads
//! from the emulated interrupt to its pirq. The map has no entry for interrupts of devices that are
//! passed through: several pirqs may stand for one kind of those.

use irq_core::irq::pirqs::Emuirq;
use xen::base::errno::Errno;
use xen::irq::pirq_log as log;
use xen::irq::pirqs::Pirqs;
use xen::objects::irq_desc::IrqDesc;
use xen::sync::rwlock::EventLock;

/// Reads C's word for an emulated interrupt, of which there are as many as IRQs.
fn known(word: i32) -> Option<Emuirq> {
    Emuirq::of(word).filter(|emuirq| match emuirq {
        Emuirq::Gsi(gsi) => *gsi < IrqDesc::count(),
        Emuirq::Message | Emuirq::PassedThrough => true,
    })
}

/// Has a pirq stand for an emulated interrupt (`map_domain_emuirq_pirq()`). Where one of both
/// stands for something else, all stays as it is, without an error.
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::INVAL`] for a domain that is not an HVM domain, and for numbers that there are not;
/// [`Errno::NOMEM`].
#[doc(alias = "map_domain_emuirq_pirq")]
pub fn map(lock: &EventLock<'_>, pirq: i32, emuirq: i32) -> Result<(), Errno> {
    let all = Pirqs::of(lock);
    let domain = all.domain();
    let pirqs = all.emulated().ok_or(Errno::INVAL)?;
    let (Some(number), Some(new)) = (all.numbered(pirq), known(emuirq)) else {
        log::invalid_emulated(domain, pirq, emuirq);
        return Err(Errno::INVAL);
    };
    let in_map = new != Emuirq::PassedThrough;
    let old = pirqs.get(number).and_then(|pirq| pirq.emuirq());
    let old_pirq = in_map.then(|| pirqs.pirq_of(new)).flatten();
    if old.is_some_and(|old| old != new) || old_pirq.is_some_and(|old| old != pirq) {
        log::already_emulated(domain, pirq, emuirq);
        return Ok(());
    }
    let view = pirqs.get_or_allocate(number).ok_or(Errno::NOMEM)?;
    if in_map && let Err(errno) = pirqs.add(new, number) {
        all.clean_up(view.pirq());
        return Err(errno);
    }
    view.set_emuirq(Some(new));
    Ok(())
}

/// Has a pirq no longer stand for an emulated interrupt (`unmap_domain_pirq_emuirq()`).
///
/// # Errors
///
/// [`Errno::INVAL`] where it stands for none.
#[doc(alias = "unmap_domain_pirq_emuirq")]
pub fn unmap(lock: &EventLock<'_>, pirq: i32) -> Result<(), Errno> {
    let all = Pirqs::of(lock);
    let pirqs = all.emulated().ok_or(Errno::INVAL)?;
    let number = all.numbered(pirq).ok_or(Errno::INVAL)?;
    let view = pirqs.get(number);
    let Some((view, old)) = view.and_then(|view| Some((view, view.emuirq()?))) else {
        log::not_mapped(all.domain(), pirq);
        return Err(Errno::INVAL);
    };
    view.set_emuirq(None);
    all.clean_up(view.pirq());
    if old != Emuirq::PassedThrough {
        pirqs.remove(old);
    }
    Ok(())
}
