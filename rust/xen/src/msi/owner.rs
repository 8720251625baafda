//! Who owns devices.

use crate::arch::nospec;
use crate::base::view::field;
use crate::objects::domain::Domain;
use xen_sys as sys;

impl Domain<'_> {
    /// Returns whether it owns the hardware.
    pub fn is_hardware(self) -> bool {
        nospec::evaluate(hardware() == Some(self))
    }

    /// Returns whether it stands for the owner of devices that dom0 has given up and that have no
    /// new owner.
    pub fn is_io(self) -> bool {
        // SAFETY: A pointer that is written while Xen boots.
        unsafe { (&raw const sys::dom_io).read_volatile() == self.as_ptr() }
    }

    /// Returns whether it has memory; a domain without has mapped nothing yet.
    pub fn has_memory(self) -> bool {
        // SAFETY: The domain is alive as a view's, and the number that is read is a part of it.
        unsafe { sys::shim_domain_has_memory(self.as_ptr()) }
    }
}

/// The domain that owns the hardware: dom0. There is none before Xen has built it.
pub fn hardware() -> Option<Domain<'static>> {
    // SAFETY: The pointer leads nowhere or to a domain that lives as long as Xen.
    unsafe { Domain::from_raw((&raw const sys::hardware_domain).read_volatile()) }
}

/// Returns whether Xen sees each write of a domain to configuration space before it is carried out:
/// those of a PV dom0 trap, and are all shown to `pci_conf_write_intercept()`; those of a PVH dom0
/// go through vPCI, which shows few.
pub(crate) fn writes_to_config_are_seen() -> bool {
    hardware().is_some_and(|domain| field!(domain, options) & sys::XEN_IRQ_CDF_HVM as u32 == 0)
}
