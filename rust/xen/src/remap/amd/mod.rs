//! AMD-Vi (`drivers/passthrough/amd`).
//!
//! An IOMMU tells by the requester, which is the ID that a message bears, which table remaps the
//! message. What Xen keeps of requesters, their tables, and the IO-APICs and HPETs that firmware
//! speaks of have files of their own.

use crate::base::boot::Booting;
use crate::base::list;
use crate::base::view::{field, view};
use crate::objects::msi_desc::KeptMsi;
use core::mem::offset_of;
use irq_core::remap::entry::Format;
use xen_sys as sys;

mod allocate;
mod lock;
pub mod log;
mod platform;
mod requester;
mod table;

pub use allocate::{free_shared_table, order_of_user};
pub use lock::{EntryLock, Locked, NewEntry, RequesterTable, TableLock, lock_shared_table};
pub use platform::{Hpet, PinEntry, Pins, allocate_io_apic, hpet, index_of_io_apic};
pub use requester::{Requester, Served};

view! {
    /// An IOMMU.
    Iommu, sys::amd_iommu
}

/// A device as firmware knows it: a PCI function, or one that sends messages as if it were one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The PCI segment.
    pub segment: u16,
    /// Bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    pub id: u16,
}

impl Device {
    /// The sender of an MSI.
    #[inline]
    pub fn sending(desc: KeptMsi) -> Self {
        match desc.device() {
            Some(function) => Self {
                segment: function.segment(),
                id: function.id(),
            },
            // It has one sender besides functions.
            None => platform::hpet_device(),
        }
    }

    /// Returns whether it is an IOMMU itself; no IOMMU remaps the messages of those.
    #[inline]
    pub fn is_iommu(self) -> bool {
        iommus().any(|iommu| iommu.device() == self)
    }

    /// As Xen's formats take it.
    fn sbdf(self) -> sys::pci_sbdf_t {
        sys::pci_sbdf_t {
            sbdf: u32::from(self.segment) << 16 | u32::from(self.id),
        }
    }
}

/// Finds the IOMMUs, maps their registers and reads what firmware says of the devices. They get
/// entries of 128 bits where all of them can do that. Returns whether they can, and nothing else is
/// in the way.
///
/// Context: before IOMMUs are switched on.
pub fn prepare_extended_mode(_: Booting) -> bool {
    // SAFETY: The function is `__init` code, which is there while Xen boots; one CPU runs.
    unsafe { sys::amd_iommu_prepare(true) == 0 }
}

/// Returns whether each requester has a table of its own; else all have the same.
#[inline]
fn tables_per_requester() -> bool {
    // SAFETY: A flag that is written while Xen boots, before there are tables.
    unsafe { (&raw const sys::amd_iommu_perdev_intremap).read_volatile() }
}

/// Has `xen_irq_amd_iommu_dump_intremap_table()` called for each requester that firmware lists.
pub fn dump_each_requester() {
    // SAFETY: The requesters that are listed stay.
    unsafe { sys::shim_dump_intremap_tables() };
}

/// All IOMMUs.
pub fn iommus() -> impl Iterator<Item = Iommu<'static>> {
    // SAFETY: The list is made while Xen boots, before it is read, and its nodes are members of
    // IOMMUs. They are freed only where Xen gives all up at boot (`amd_iommu_init_cleanup()`), in a
    // call during which no view of one is used.
    unsafe { list::nodes(&raw mut sys::amd_iommu_head) }.map(|node| unsafe {
        let iommu = list::container(node, offset_of!(sys::amd_iommu, list));
        Iommu::from_raw(iommu).unwrap_unchecked()
    })
}

impl Iommu<'_> {
    /// The PCI segment that it is on, with the devices that it serves.
    pub fn segment(self) -> u16 {
        field!(self, seg)
    }

    /// The device that it is itself.
    fn device(self) -> Device {
        Device {
            segment: self.segment(),
            id: field!(self, bdf),
        }
    }

    /// How long the entries of its tables are. That is settled before there are any, for all IOMMUs
    /// alike.
    #[inline]
    fn format(self) -> Format {
        if field!(self, ctrl.raw) & u64::from(sys::XEN_IRQ_AMD_CONTROL_GA_EN) != 0 {
            Format::Wide
        } else {
            Format::Narrow
        }
    }

    /// Returns whether it is switched on. Where it is not it keeps nothing of its tables, and takes
    /// no commands.
    #[inline]
    fn is_enabled(self) -> bool {
        field!(self, enabled) != 0
    }
}
