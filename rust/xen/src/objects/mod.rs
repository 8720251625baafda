//! Structures of Xen, one file for each, with all that is read and written of them.
//!
//! None depends on which units are in Rust. What a Xen without HVM lacks is behind `cfg(hvm)`,
//! which follows Xen's configuration.

pub mod arch_msix;
pub mod cpumask;
pub mod domain;
#[cfg(hvm)]
pub mod hvm_pirq_dpci;
pub mod hw_irq_controller;
pub mod ioapic;
#[cfg(hvm)]
pub mod ioreq;
pub mod irq_desc;
pub mod msi_desc;
pub mod msi_info;
pub mod msi_msg;
pub mod pci_dev;
pub mod pci_sbdf;
pub mod pirq;
pub mod rangeset;
pub mod vcpu;
pub mod views;
#[cfg(hvm)]
pub mod vlapic;
#[cfg(hvm)]
pub mod vpci;
