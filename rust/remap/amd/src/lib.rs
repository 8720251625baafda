//! Interrupt remapping of AMD-Vi (replaces `drivers/passthrough/amd/iommu_intr.c`).
//!
//! - [`enable`]: whether 32-bit destinations can be used.
//! - [`pins`]: IO-APIC pins, which are read and written as if nothing were remapped.
//! - [`messages`]: MSIs of functions and of the HPET.
//! - [`dump`]: debug key `V`.
//!
//! Tables are allocated and freed by other parts of AMD-Vi, for each requester or for all;
//! `xen::remap::amd` offers that.
//!
//! Locks, outer to inner: Xen's IO-APIC lock (pins) or a descriptor's lock (messages), a table's
//! lock. An IOMMU's lock is taken while no table is locked.
#![no_std]
#![deny(unsafe_code)]

pub mod dump;
pub mod enable;
pub mod messages;
pub mod pins;
