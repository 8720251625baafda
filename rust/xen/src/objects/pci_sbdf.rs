//! Where functions are, and their configuration space (`pci_sbdf_t`, `xen/pci.h`).

use xen_sys as sys;

/// The extended capability of a physical function that has virtual ones.
pub const SRIOV: u32 = sys::PCI_EXT_CAP_ID_SRIOV;

/// Where a function is: segment, bus, device and function.
#[derive(Clone, Copy)]
pub struct Sbdf(sys::pci_sbdf_t);

impl Sbdf {
    /// The function at an address.
    pub const fn new(sbdf: sys::pci_sbdf_t) -> Self {
        Self(sbdf)
    }

    /// The function with an ID in a segment.
    pub const fn of(segment: u16, id: u16) -> Self {
        Self(sys::pci_sbdf_t {
            sbdf: (segment as u32) << 16 | id as u32,
        })
    }

    /// The function with an ID in the same segment.
    #[must_use]
    pub fn sibling(mut self, id: u16) -> Self {
        self.0.__bindgen_anon_1.__bindgen_anon_1.bdf = id;
        self
    }

    /// Its ID on the bus: bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    pub fn id(self) -> u16 {
        // SAFETY: Any bits are an ID.
        unsafe { self.0.__bindgen_anon_1.__bindgen_anon_1.bdf }
    }

    /// As Xen has it.
    #[inline]
    pub const fn to_c(self) -> sys::pci_sbdf_t {
        self.0
    }

    /// Reads 8 bits.
    pub fn read8(self, register: u16) -> u8 {
        // SAFETY: Any register of any function may be read.
        unsafe { sys::pci_conf_read8(self.0, register.into()) }
    }

    /// Reads 16 bits.
    #[inline]
    pub fn read16(self, register: u16) -> u16 {
        // SAFETY: Any register of any function may be read.
        unsafe { sys::pci_conf_read16(self.0, register.into()) }
    }

    /// Reads 32 bits.
    #[inline]
    pub fn read32(self, register: u16) -> u32 {
        // SAFETY: Any register of any function may be read.
        unsafe { sys::pci_conf_read32(self.0, register.into()) }
    }

    /// Writes 16 bits.
    #[inline]
    pub fn write16(self, register: u16, value: u16) {
        // SAFETY: A write of configuration space changes a device and none of Xen's memory.
        unsafe { sys::pci_conf_write16(self.0, register.into(), value) }
    }

    /// Writes 32 bits.
    #[inline]
    pub fn write32(self, register: u16, value: u32) {
        // SAFETY: A write of configuration space changes a device and none of Xen's memory.
        unsafe { sys::pci_conf_write32(self.0, register.into(), value) }
    }

    /// Finds an extended capability; `None` where there is none of that kind.
    pub fn extended_capability(self, kind: u32) -> Option<u16> {
        // SAFETY: Any function may be asked.
        let at = unsafe { sys::pci_find_ext_capability(self.0, kind) };
        u16::try_from(at).ok().filter(|&at| at != 0)
    }
}
