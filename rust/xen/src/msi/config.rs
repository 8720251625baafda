//! Configuration space of functions (`xen/pci.h`).

use core::sync::atomic::{AtomicBool, Ordering};
use irq_core::msi::generation::{Generation, Seen};
use xen_sys as sys;

/// Where a function is: segment, bus, device and function.
#[derive(Clone, Copy)]
pub struct Address(sys::pci_sbdf_t);

impl Address {
    /// The function at an address.
    pub(crate) const fn new(sbdf: sys::pci_sbdf_t) -> Self {
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

    pub(crate) const fn to_c(self) -> sys::pci_sbdf_t {
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

/// What was read of configuration space holds for as long as this is the same.
static GENERATION: Generation = Generation::new();

/// Returns whether what was kept with a generation's number still holds.
#[inline]
pub(crate) fn still_holds(generation: u32) -> bool {
    GENERATION.is(generation)
}

/// Returns whether the boot option `msi-recheck` is set: registers are read each time, as without
/// Rust.
#[inline]
pub fn rechecks() -> bool {
    // SAFETY: A flag that is written while the command line is read.
    unsafe { (&raw const sys::shim_msi_recheck).read_volatile() }
}

/// The generation with which something may be kept that is going to be read now; `None` where
/// nothing may: dom0 is about to write to configuration space, or not all that it writes is seen,
/// or the boot option `msi-recheck` is set.
pub fn generation() -> Option<Seen> {
    if rechecks() || !super::owner::writes_to_config_are_seen() {
        return None;
    }
    GENERATION.current()
}

/// Notes whether this CPU has begun a write that it has not said to be carried out; returns what
/// was noted before.
fn note_writing(writing: bool) -> bool {
    // SAFETY: The variable is that of this CPU, which does not go offline meanwhile, and is used
    // here alone.
    let noted = unsafe { AtomicBool::from_ptr(sys::shim_config_writing()) };
    let before = noted.load(Ordering::Relaxed);
    noted.store(writing, Ordering::Relaxed);
    before
}

/// This CPU is about to carry out a domain's write to configuration space. Nothing is kept of what
/// is read there until [`written`].
///
/// Context: the CPU does nothing else for a domain until then.
pub fn writing() {
    let missed = note_writing(true);
    // A way out that misses `written` is a fault of the series. The write before counts as under
    // way until this one has been carried out.
    xen_assert!(!missed);
    if !missed {
        GENERATION.begin();
    }
}

/// This CPU has carried out the write that it had begun, if any.
pub fn written() {
    if note_writing(false) {
        GENERATION.end();
    }
}

/// Says that something has changed in configuration space that others may have read meanwhile: Xen
/// has written it, or all devices have lost what they were told while the machine slept.
pub fn changed() {
    GENERATION.changed();
}
