//! Which tables a domain has: they come and go with the bindings of their functions' interrupts.
//!
//! Context: the domain's event lock is held for writing, and `pcidevs_lock` or the domain's
//! `pci_lock`; IRQs on.

use crate::emulate::lose;
use irq_core::vmsi::snoop::Candidate;
use irq_hw::msix::{ENTRY_SIZE, VECTOR_CTRL};
use xen::base::errno::Errno;
use xen::objects::domain::Domain;
use xen::objects::pci_dev::{KeptDev, PciDev, PcidevsLocked};
use xen::objects::pirq::Pirq;
use xen::sync::rwlock::EventLock;
use xen::vmsi::tables::{Binding, LockedTables};
use xen::xen_assert;

/// Sets up emulation for a domain that gets a function with MSI-X.
#[doc(alias = "msixtbl_init")]
pub fn set_up(domain: Domain, lock: PcidevsLocked) {
    if let Some(domain) = domain.hvm()
        && domain.has_vlapic()
        && !domain.has_msix_emulation()
    {
        domain.set_up_msix_emulation(lock);
    }
}

/// Takes note that a pirq was bound whose function's table the guest sees at `base`.
///
/// # Errors
///
/// `NODEV` before [`set_up`]; `INVAL` where the pirq is no MSI, or its function has no MSI-X;
/// `NOMEM`.
#[doc(alias = "msixtbl_pt_register")]
pub fn register(lock: &EventLock, pirq: Pirq, base: u64) -> Result<(), Errno> {
    xen_assert!(lock.domain().device_list_is_locked());
    let tables = LockedTables::of(lock).ok_or(Errno::NODEV)?;
    let binding = binding(pirq).ok_or(Errno::INVAL)?;
    tables.bind(binding, base)?;
    let domain = tables.domain();

    // A write under way may have begun before there was the table, and an answer to a read may be
    // older than its end.
    for vcpu in domain.vcpus() {
        if let Some(write) = vcpu.request().pending_write() {
            lose(domain, write.span(0));
        }
    }

    // The guest's write that brought the device model here may be the one that unmasks the entry.
    let control = base.wrapping_add(u64::from(binding.number()) * ENTRY_SIZE + VECTOR_CTRL);
    for vcpu in domain.vcpus().filter(|vcpu| vcpu.is_blocked_in_xen()) {
        let source = None;
        if vcpu.snooped() == (Candidate { control, source }) {
            vcpu.set_unmask_address(control);
        }
    }
    Ok(())
}

/// Takes note that a pirq is about to be unbound.
#[doc(alias = "msixtbl_pt_unregister")]
pub fn unregister(lock: &EventLock, pirq: Pirq) {
    xen_assert!(lock.domain().device_list_is_locked());
    if let Some(tables) = LockedTables::of(lock)
        && let Some(binding) = binding(pirq)
    {
        tables.unbind(binding);
    }
}

/// A function is removed, or Xen gives it up: its owner's table of it goes, whether or not its
/// interrupts were unbound.
///
/// Context: the owner's event lock is not held; IRQs on.
pub fn forget(device: PciDev, lock: PcidevsLocked) {
    let device = KeptDev::of(device, lock);
    if let Some(domain) = device.owner().and_then(Domain::with_msix_emulation) {
        LockedTables::lock(domain).remove(device.identity());
    }
}

/// Removes all tables of a domain that is going away.
#[doc(alias = "msixtbl_pt_cleanup")]
pub fn clean_up(domain: Domain) {
    if let Some(domain) = domain.with_msix_emulation() {
        LockedTables::lock(domain).remove_all();
    }
}

/// Returns what a pirq is bound to.
///
/// The descriptor's lock is held for the look only: with the event lock held the pirq stays what it
/// is.
fn binding(pirq: Pirq) -> Option<Binding> {
    Binding::of(&pirq.lock_desc()?)
}
