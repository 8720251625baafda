//! PCI devices and their MSI (`xen/pci.h`, `asm/msi.h`).

use crate::domain::Domain;
use crate::list;
use crate::msi_desc::MsiDesc;
use crate::msix::Msix;
use crate::view::{field, view};
use core::mem::offset_of;
use irq_core::remap::source::{Kind, Upstream};
use xen_sys as sys;

view! {
    /// A PCI function.
    PciDev, sys::pci_dev
}

impl<'a> PciDev<'a> {
    /// The domain that owns it.
    #[inline]
    pub fn domain(self) -> Domain<'a> {
        // SAFETY: A function whose interrupts are emulated is assigned; only quarantine takes it from its owner, and the
        // owner's emulation is gone by then.
        unsafe { Domain::from_raw(field!(self, domain)).unwrap_unchecked() }
    }

    /// Its MSI-X capability, if it has one.
    #[inline]
    pub fn msix(self) -> Option<Msix<'a>> {
        // SAFETY: The structure lives as long as the function.
        unsafe { Msix::from_raw(field!(self, msix)) }
    }

    /// Where it is, for the format `%pp`.
    #[inline]
    pub(crate) fn sbdf(self) -> *const sys::pci_sbdf_t {
        // SAFETY: The field is a part of the function's structure.
        unsafe { &raw const (*self.as_ptr()).__bindgen_anon_1.sbdf }
    }

    /// Returns the function's address as a value.
    pub(crate) fn sbdf_value(self) -> sys::pci_sbdf_t {
        // SAFETY: The address of a function never changes.
        unsafe { *self.sbdf() }
    }

    /// The address of the node of the entry that was set up last, or of the list itself where there is none.
    #[inline]
    pub(crate) fn last_msi(self) -> u64 {
        field!(self, msi_list.prev) as u64
    }

    /// The MSI and MSI-X entries that are set up.
    ///
    /// Xen changes the list under `pcidevs_lock` alone. Like upstream, readers that do not hold it rely on the device
    /// model not to unmap an interrupt in the middle of the guest's access.
    pub fn msi_descs(self) -> impl Iterator<Item = MsiDesc<'a>> {
        // SAFETY: The head is a part of the function's structure.
        let head = unsafe { &raw mut (*self.as_ptr()).msi_list };
        // SAFETY: See above; the nodes of this list are members of MSI descriptors.
        unsafe { list::nodes(head) }.filter_map(|node| unsafe {
            MsiDesc::from_raw(list::container(node, offset_of!(sys::msi_desc, list)))
        })
    }

    /// Its ID on the bus: bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    #[inline]
    pub fn id(self) -> u16 {
        // SAFETY: The address of a function never changes.
        unsafe { self.sbdf_value().__bindgen_anon_1.__bindgen_anon_1.bdf }
    }

    /// The PCI segment that it is on.
    #[inline]
    pub fn segment(self) -> u16 {
        field!(self, __bindgen_anon_1.__bindgen_anon_1.seg)
    }

    /// Where its MSI-X capability is; `None` where it has none.
    pub(crate) fn msix_capability(self) -> Option<u16> {
        let at = field!(self, msix_pos);
        (at != 0).then_some(at.into())
    }

    /// Reads 32 bits of its configuration space.
    pub(crate) fn read_config(self, register: u16) -> u32 {
        // SAFETY: Any register of any function may be read.
        unsafe { sys::pci_conf_read32(self.sbdf_value(), register.into()) }
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        kind(field!(self, type_))
    }

    /// What it is, as Xen numbers that.
    pub(crate) fn raw_kind(self) -> u32 {
        field!(self, type_)
    }

    /// How far its phantom functions are apart; 0 where it has none.
    pub fn phantom_stride(self) -> u8 {
        field!(self, phantom_stride)
    }

    /// The bridge that requests of a function of PCI go through.
    pub fn upstream(self) -> Upstream {
        let segment = self.segment();
        let [mut devfn, mut bus] = self.id().to_le_bytes();
        let mut secondary = 0;
        // SAFETY: The variables are ours.
        let found = unsafe {
            sys::find_upstream_bridge(segment, &raw mut bus, &raw mut devfn, &raw mut secondary)
        };
        match found {
            0 => Upstream::Nobody,
            1 => Upstream::Bridge {
                id: u16::from_le_bytes([devfn, bus]),
                // SAFETY: Any function may be asked for.
                kind: kind(unsafe { sys::pdev_type(segment, bus, devfn) }),
                secondary,
            },
            _ => Upstream::Unknown,
        }
    }
}

/// What Xen calls a kind of function.
fn kind(of: sys::pci_dev_pdev_type) -> Kind {
    match of {
        sys::DEV_TYPE_PCIe_ENDPOINT => Kind::Endpoint,
        sys::DEV_TYPE_PCIe_BRIDGE => Kind::Port,
        sys::DEV_TYPE_PCIe2PCI_BRIDGE => Kind::ExpressToPci,
        sys::DEV_TYPE_PCI2PCIe_BRIDGE => Kind::PciToExpress,
        sys::DEV_TYPE_LEGACY_PCI_BRIDGE => Kind::PciBridge,
        sys::DEV_TYPE_PCI_HOST_BRIDGE => Kind::HostBridge,
        sys::DEV_TYPE_PCI => Kind::Pci,
        _ => Kind::Unknown,
    }
}
