//! Delivery of virtual MSIs to vCPUs (Intel SDM volume 3, sections 12.6.2 and 12.11).
//!
//! Context: any in which an interrupt may be injected; no lock is taken here.

use irq_core::msi::{Delivery, GuestFlags};
use xen::bind::PirqDpci;
use xen::domain::Domain;
use xen::errno::Errno;
use xen::vlapic::{self, Destination};
use xen::{log, xen_assert};

/// Delivers an interrupt to the vCPUs of a destination; `level` is nonzero for a level-triggered one.
///
/// # Errors
///
/// `SRCH` where lowest-priority arbitration finds nobody, `INVAL` for a delivery mode that devices do not have here. A
/// fixed interrupt that nobody takes is lost, as on hardware.
#[inline]
pub fn deliver(
    domain: Domain,
    vector: u8,
    to: Destination,
    mode: u8,
    level: u8,
) -> Result<(), Errno> {
    match Delivery::new(mode) {
        Some(Delivery::Fixed) => to_all(domain, vector, to, level),
        Some(Delivery::LowestPriority) => to_one(domain, vector, to, level),
        None => refuse(domain, mode),
    }
}

#[inline(never)]
fn to_all(domain: Domain, vector: u8, to: Destination, level: u8) -> Result<(), Errno> {
    for vlapic in domain.vcpus().map(|vcpu| vcpu.vlapic()) {
        if vlapic.enabled() && vlapic.matches(to) {
            vlapic.set_irq(vector, level);
        }
    }
    Ok(())
}

#[inline(never)]
fn to_one(domain: Domain, vector: u8, to: Destination, level: u8) -> Result<(), Errno> {
    let chosen = vlapic::lowest_priority(domain, to).ok_or(Errno::SRCH)?;
    chosen.set_irq(vector, level);
    Ok(())
}

#[cold]
#[inline(never)]
fn refuse(domain: Domain, mode: u8) -> Result<(), Errno> {
    log::unsupported_delivery_mode(domain, mode);
    Err(Errno::INVAL)
}

/// Delivers the virtual MSI that a pirq stands for.
pub fn deliver_pirq(domain: Domain, pirq: PirqDpci) {
    xen_assert!(pirq.is_guest_msi());
    let (vector, flags) = pirq.guest_msi();
    let to = Destination {
        id: flags.destination(),
        logical: flags.contains(GuestFlags::LOGICAL),
    };
    let level = u8::from(flags.contains(GuestFlags::LEVEL));
    // Nobody can be told of an error: the device has sent its message.
    let _ = deliver(domain, vector as u8, to, flags.delivery_mode(), level);
}

/// Returns the number of the only vCPU of a destination; `None` where several match, or none.
pub fn sole_vcpu(domain: Domain, to: Destination) -> Option<i32> {
    if domain.max_vcpus() == 1 {
        return Some(0);
    }
    sole_match(domain, to)
}

#[inline(never)]
fn sole_match(domain: Domain, to: Destination) -> Option<i32> {
    let mut found = None;
    for vcpu in domain.vcpus() {
        if vcpu.vlapic().matches(to) && found.replace(vcpu.id()).is_some() {
            return None;
        }
    }
    found
}
