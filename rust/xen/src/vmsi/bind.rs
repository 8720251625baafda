//! How virtual MSIs are bound to a domain's pirqs (`xen/iommu.h`, `asm/hvm/irq.h`,
//! `public/domctl.h`).

use crate::base::errno::Errno;
use crate::objects::domain::Domain;
use crate::objects::pci_dev::KeptDev;
use crate::sync::rwlock::EventLock;
use irq_core::vmsi::deliver::GuestFlags;
use xen_sys as sys;

fn request(pirq: u32, vector: u8, flags: GuestFlags) -> sys::xen_domctl_bind_pt_irq {
    // SAFETY: The structure is plain numbers, and zeroes are valid ones.
    let mut bind: sys::xen_domctl_bind_pt_irq = unsafe { core::mem::zeroed() };
    bind.machine_irq = pirq;
    bind.irq_type = sys::XEN_IRQ_PT_IRQ_TYPE_MSI as u32;
    bind.u.msi.gvec = vector;
    bind.u.msi.gflags = flags.bits();
    bind
}

/// Returns the domain to whose pirqs a function's interrupts are bound.
fn owner<'a>(device: KeptDev<'a>) -> Result<Domain<'a>, Errno> {
    device.owner().ok_or(Errno::NODEV)
}

/// Binds a virtual MSI to a pirq of a function's owner.
///
/// Context: IRQs on; the owner's event lock is not held.
///
/// # Errors
///
/// Those of `pt_irq_create_bind()`; [`Errno::NODEV`] for a function without an owner.
pub fn create(device: KeptDev, pirq: u32, vector: u8, flags: GuestFlags) -> Result<(), Errno> {
    let domain = owner(device)?;
    let bind = request(pirq, vector, flags);
    // SAFETY: The lock of `KeptDev` keeps the owner, and is the one that `pt_irq_create_bind()`
    // asks for. The request is only read.
    Errno::check(unsafe { sys::pt_irq_create_bind(domain.as_ptr(), &raw const bind) })
}

/// Undoes [`create`].
///
/// Context: as for [`create`].
///
/// # Errors
///
/// Those of `pt_irq_destroy_bind()`; [`Errno::NODEV`] for a function without an owner.
pub fn destroy(device: KeptDev, pirq: u32) -> Result<(), Errno> {
    let domain = owner(device)?;
    let bind = request(pirq, 0, GuestFlags::empty());
    // SAFETY: As for `create`.
    Errno::check(unsafe { sys::pt_irq_destroy_bind(domain.as_ptr(), &raw const bind) })
}

/// Which interrupts of a function are to be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    /// This many messages of its MSI.
    Msi(u32),
    /// One entry of its MSI-X table.
    Msix {
        /// Number of the entry.
        entry: u32,
        /// Physical address of the table.
        table: u64,
    },
}

/// Maps interrupts of a function to a new pirq, or a block of them, of its owner; returns the
/// first.
///
/// Context: IRQs on; the owner's event lock is not held.
///
/// # Errors
///
/// Those of `allocate_and_map_msi_pirq()`; [`Errno::NODEV`] for a function without an owner.
pub fn map(device: KeptDev, interrupts: Interrupts) -> Result<i32, Errno> {
    let domain = owner(device)?;
    let (kind, number, table_base) = match interrupts {
        Interrupts::Msi(count) => (sys::MAP_PIRQ_TYPE_MULTI_MSI, count, 0),
        Interrupts::Msix { entry, table } => (sys::MAP_PIRQ_TYPE_MSI, entry, table),
    };
    let mut info = sys::msi_info {
        sbdf: device.sbdf_value(),
        irq: 0,
        entry_nr: number as i32,
        table_base,
    };
    let mut pirq = sys::XEN_IRQ_INVALID_PIRQ;
    // SAFETY: The owner is alive, and both arguments that are written are local variables.
    let result = unsafe {
        sys::allocate_and_map_msi_pirq(
            domain.as_ptr(),
            -1,
            &raw mut pirq,
            kind as i32,
            &raw mut info,
        )
    };
    Errno::check(result).map(|()| pirq)
}

/// Unmaps what [`map`] mapped.
///
/// Context: as for [`map`].
pub fn unmap(device: KeptDev, pirq: i32) {
    let Some(domain) = device.owner() else { return };
    let _lock = EventLock::write(domain);
    // SAFETY: The lock of `KeptDev` keeps the owner, and is the one that `unmap_domain_pirq()` asks
    // for besides the event lock, which was just taken. An error changes nothing.
    unsafe { sys::unmap_domain_pirq(domain.as_ptr(), pirq) };
}
