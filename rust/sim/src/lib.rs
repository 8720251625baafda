//! Models of what the interrupt subsystem works with, for tests on a host.
//!
//! A model written with the code is no second opinion on it (the twin is that). It shows what the
//! code does when other parties act at the worst moment.
#![forbid(unsafe_code)]

pub mod amd;
pub mod device_model;
pub mod dice;
pub mod iommu;
pub mod pci;
pub mod vcpu;
pub mod vtd;
