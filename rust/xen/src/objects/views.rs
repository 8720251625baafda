//! The views of structures that lead to one another.
//!
//! A function leads to its MSIs, an MSI to its function and its IRQ, an IRQ to its MSI. What is
//! read and written of each is in the file of its structure, which needs the types of the others
//! and no more; so the types are here, and no file depends on one that depends on it.

use crate::base::view::view;
use xen_sys as sys;

view! {
    /// A domain.
    Domain, sys::domain
}

view! {
    /// A vCPU.
    Vcpu, sys::vcpu
}

/// A domain of HVM (or PVH), which has what other domains have something else in the place of.
#[cfg(hvm)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HvmDomain<'a>(pub(super) Domain<'a>);

/// A vCPU of such a domain.
#[cfg(hvm)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HvmVcpu<'a>(pub(super) Vcpu<'a>);

view! {
    /// A PCI function.
    PciDev, sys::pci_dev
}

view! {
    /// What Xen keeps of a function's MSI-X capability.
    Msix, sys::arch_msix
}

view! {
    /// One MSI, or one entry of an MSI-X table, that is set up.
    MsiDesc, sys::msi_desc
}

view! {
    /// A descriptor of an IRQ; they are allocated at boot, one for each IRQ, and stay.
    IrqDesc, sys::irq_desc
}

#[cfg(hvm)]
view! {
    /// A vCPU's local APIC.
    Vlapic, sys::vlapic
}
