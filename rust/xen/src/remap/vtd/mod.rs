//! VT-d units (`drivers/passthrough/vtd`).
//!
//! What firmware says of an IOMMU is here; its registers, its interrupt remapping table and the
//! IO-APICs that it serves have modules of their own.

use crate::base::errno::Errno;
use crate::base::list;
use crate::base::view::{field, view};
use crate::objects::pci_dev::PciDev;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, Ordering};
use irq_hw::vtd::ExtendedCapability;
use xen_sys as sys;

pub mod log;
mod pins;
mod registers;
mod table;

pub use pins::Pins;
pub use registers::Registers;
pub use table::{EntryLock, TableLock};

view! {
    /// An IOMMU.
    Iommu, sys::vtd_iommu
}

view! {
    /// What firmware says of an IOMMU.
    Unit, sys::acpi_drhd_unit
}

/// Returns whether invalidations shall go through a queue, as far as the boot options say.
pub fn queue_wanted() -> bool {
    // SAFETY: A flag that is written while Xen boots.
    unsafe { (&raw const sys::iommu_qinval).read_volatile() }
}

/// Returns whether firmware says that interrupts can be remapped.
pub fn firmware_supports_remapping() -> bool {
    // SAFETY: Firmware's tables have been read.
    unsafe { sys::platform_supports_intremap() }
}

/// Returns whether firmware lets local APICs be used in x2APIC mode. After boot the question is
/// settled.
pub fn may_use_x2apic() -> bool {
    // SAFETY: The state is a word that the boot CPU writes. The function is a part of the code that
    // is gone after boot.
    unsafe {
        AtomicU32::from_ptr((&raw mut sys::system_state).cast()).load(Ordering::Relaxed)
            >= sys::SYS_STATE_active
            || sys::platform_supports_x2apic()
    }
}

/// All units.
pub fn units() -> impl Iterator<Item = Unit<'static>> {
    // SAFETY: The list is made while Xen parses DMAR at boot, before it is read, and never changes
    // after that; its nodes are members of units.
    unsafe { list::nodes(&raw mut sys::acpi_drhd_units) }.filter_map(|node| unsafe {
        Unit::from_raw(list::container(node, offset_of!(sys::acpi_drhd_unit, list)))
    })
}

impl Unit<'static> {
    /// The unit that serves a function.
    #[inline]
    pub fn of_function(device: PciDev) -> Option<Self> {
        // SAFETY: The function is alive as a view's. Xen frees no unit after boot.
        unsafe { Self::from_raw(sys::acpi_find_matched_drhd_unit(device.as_ptr())) }
    }

    /// The unit that serves an HPET.
    pub fn of_hpet(id: u32) -> Option<Self> {
        // SAFETY: Any number may be asked for.
        unsafe { Self::from_raw(sys::hpet_to_drhd(id)) }
    }

    /// The unit that serves an IO-APIC, by its APIC ID.
    pub fn of_io_apic(id: u32) -> Option<Self> {
        // SAFETY: Any number may be asked for.
        unsafe { Self::from_raw(sys::ioapic_to_drhd(id)) }
    }

    /// Its IOMMU.
    #[inline]
    pub fn iommu(self) -> Iommu<'static> {
        // SAFETY: A unit that is in the list has an IOMMU, and both stay.
        unsafe { Iommu::from_raw(field!(self, iommu)).unwrap_unchecked() }
    }

    /// The ID that an IO-APIC's requests bear.
    #[doc(alias = "apicid_to_bdf")]
    pub fn id_of_io_apic(self, id: u32) -> Option<u16> {
        // SAFETY: The list is made while Xen parses DMAR at boot, before it is read, and never
        // changes after that. Its nodes are members of this kind.
        unsafe { list::nodes(&raw mut (*self.as_ptr()).ioapic_list) }
            .map(|node| {
                list::container::<sys::acpi_ioapic_unit>(
                    node,
                    offset_of!(sys::acpi_ioapic_unit, list),
                )
            })
            // SAFETY: What is in the list is never freed.
            .find(|&entry| unsafe { (*entry).apic_id } as u32 == id)
            // SAFETY: What is in the list is never freed; any bits are a number.
            .map(|entry| unsafe { (*entry).ioapic.info })
    }

    /// The ID that an HPET's requests bear.
    #[doc(alias = "hpetid_to_bdf")]
    pub fn id_of_hpet(self, id: u32) -> Option<u16> {
        // SAFETY: The list is made while Xen parses DMAR at boot, before it is read, and never
        // changes after that. Its nodes are members of this kind.
        unsafe { list::nodes(&raw mut (*self.as_ptr()).hpet_list) }
            .map(|node| {
                list::container::<sys::acpi_hpet_unit>(node, offset_of!(sys::acpi_hpet_unit, list))
            })
            // SAFETY: What is in the list is never freed.
            .find(|&entry| unsafe { (*entry).id } == id)
            // SAFETY: What is in the list is never freed; any bits are a number.
            .map(|entry| unsafe { (*entry).__bindgen_anon_1.bdf })
    }
}

impl<'a> Iommu<'a> {
    /// Its number in messages.
    pub fn index(self) -> u32 {
        field!(self, index)
    }

    /// What it can do.
    pub fn capability(self) -> ExtendedCapability {
        ExtendedCapability::new([field!(self, ecap)])
    }

    /// Whether it has a table.
    #[inline]
    pub fn has_table(self) -> bool {
        field!(self, intremap.maddr) != 0
    }

    /// Forgets the faults that were recorded.
    pub fn clear_faults(self) {
        // SAFETY: Xen frees no IOMMU after boot, nor unmaps its registers; `clear_fault_bits()`
        // takes the lock of those.
        unsafe { sys::clear_fault_bits(self.as_ptr()) };
    }

    /// Has invalidations go through the queue.
    ///
    /// # Errors
    ///
    /// Those of `enable_qinval()`.
    pub fn enable_queue(self) -> Result<(), Errno> {
        // SAFETY: Xen frees no IOMMU after boot, nor unmaps its registers; `enable_qinval()` takes
        // the lock of those.
        Errno::check(unsafe { sys::enable_qinval(self.as_ptr()) })
    }

    /// Undoes [`Self::enable_queue`].
    pub fn disable_queue(self) {
        // SAFETY: Xen frees no IOMMU after boot, nor unmaps its registers; `disable_qinval()` takes
        // the lock of those.
        unsafe { sys::disable_qinval(self.as_ptr()) };
    }

    /// Makes the IOMMU forget all entries that it keeps.
    pub fn invalidate_all(self) {
        // SAFETY: The IOMMU is one of Xen's, which are never freed. Nothing could be done about a
        // failure, which `queue_invalidate_wait()` has reported.
        unsafe { sys::iommu_flush_iec_global(self.as_ptr()) };
    }
}
