//! Interrupt remapping of VT-d (replaces `drivers/passthrough/vtd/intremap.c`).
//!
//! - [`enable`]: the table and the hardware that uses it, and extended interrupt mode.
//! - [`pins`]: IO-APIC pins, which are read and written as if nothing were remapped.
//! - [`messages`]: MSIs of functions and of HPETs, remapped or posted.
//!
//! Locks, outer to inner: Xen's IO-APIC lock (pins) or a descriptor's lock (messages), a table's
//! lock, its IOMMU's register lock.
#![no_std]
#![deny(unsafe_code)]

pub mod enable;
pub mod messages;
pub mod pins;
