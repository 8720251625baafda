//! Structures of Xen that several units use, one file for each.

pub mod domain;
pub mod ioapic;
pub mod irq;
pub mod msi_desc;
pub mod msix;
pub mod pci;
pub mod vcpu;
