//! Delivery of virtual MSIs to vCPUs (Intel SDM volume 3, sections 12.6.2 and 12.11).
//!
//! Context: any in which an interrupt may be injected; no lock is taken here.
//!
//! Where an interrupt is delivered the vCPUs are walked by hand: an iterator has the next one at
//! hand before it is asked for, which takes one more register. One that is not meant counts as the
//! cold case, so that the loop has no jump into its middle (bench: "deliver, fixed").

use core::hint::cold_path;
use irq_core::vmsi::deliver::{Delivery, GuestFlags};
use xen::base::errno::Errno;
use xen::base::hide;
use xen::base::log;
use xen::base::narrow::Narrow;
use xen::objects::domain::HvmDomain;
use xen::objects::hvm_pirq_dpci::PirqDpci;
use xen::objects::vlapic::{self, Destination};
use xen::xen_assert;

/// Delivers an interrupt to the vCPUs of a destination; `level` is nonzero for a level-triggered
/// one.
///
/// # Errors
///
/// `SRCH` where lowest-priority arbitration finds none, `INVAL` for a delivery mode that devices do
/// not have here. A fixed interrupt that no vCPU takes is lost, as on hardware.
#[doc(alias = "vmsi_deliver")]
#[inline]
pub fn deliver(
    domain: HvmDomain,
    vector: Narrow,
    to: Destination,
    mode: Narrow,
    level: Narrow,
) -> Result<(), Errno> {
    match Delivery::new(mode.get()) {
        Some(Delivery::Fixed) => to_all(domain, vector, to, level),
        Some(Delivery::LowestPriority) => to_one(domain, vector, to, level),
        None => refuse(domain, mode.get()),
    }
}

#[inline(never)]
fn to_all(domain: HvmDomain, vector: Narrow, to: Destination, level: Narrow) -> Result<(), Errno> {
    let mut next = domain.first_vcpu();
    while let Some(mut vcpu) = next {
        if vcpu.vlapic().enabled() && vcpu.vlapic().matches(to) {
            vcpu = hide::vcpu(vcpu);
            vcpu.vlapic().set_irq(vector, level);
        } else {
            cold_path();
        }
        next = vcpu.next();
    }
    hide::result(Ok(()))
}

#[inline(never)]
fn to_one(domain: HvmDomain, vector: Narrow, to: Destination, level: Narrow) -> Result<(), Errno> {
    let chosen = vlapic::lowest_priority(domain, to).ok_or(Errno::SRCH)?;
    chosen.set_irq(vector, level);
    Ok(())
}

#[cold]
#[inline(never)]
fn refuse(domain: HvmDomain, mode: u8) -> Result<(), Errno> {
    log::unsupported_delivery_mode(*domain, mode);
    hide::result(Err(Errno::INVAL))
}

/// Delivers the virtual MSI that a pirq stands for.
#[doc(alias = "vmsi_deliver_pirq")]
pub fn deliver_pirq(domain: HvmDomain, pirq: PirqDpci) {
    xen_assert!(pirq.is_guest_msi());
    let (vector, flags) = pirq.guest_msi();
    let to = Destination {
        id: Narrow::new(flags.destination().into()),
        logical: Narrow::new(flags.contains(GuestFlags::LOGICAL).into()),
    };
    let mode = Narrow::new(flags.delivery_mode().into());
    let level = Narrow::new(flags.contains(GuestFlags::LEVEL).into());
    // There is no one to return an error to: the device has sent its message.
    let _ = deliver(domain, Narrow::new(vector), to, mode, level);
}

/// Returns the number of the only vCPU of a destination; -1 where several match, or none.
#[doc(alias = "hvm_girq_dest_2_vcpu_id")]
pub fn sole_vcpu(domain: HvmDomain, to: Destination) -> i32 {
    if domain.max_vcpus() == 1 {
        return 0;
    }
    let mut matching = domain.vcpus().filter(|vcpu| vcpu.vlapic().matches(to));
    match (matching.next(), matching.next()) {
        (Some(vcpu), None) => vcpu.id(),
        _ => -1,
    }
}
