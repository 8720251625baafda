//! MSI and MSI-X as guests see them (replaces `arch/x86/hvm/vmsi.c`).
//!
//! - [`deliver`]: a virtual MSI becomes an interrupt of the vCPUs that it is for.
//! - [`emulate`]: an HVM guest's accesses to the MSI-X table of a device that is passed through.
//! - [`complete`]: what remains to be done for such an access when the device model has seen it.
//! - [`register`]: which tables there are.
//! - [`vpci`]: MSI and MSI-X of a PVH dom0, whose capabilities Xen emulates by itself.
//!
//! Locks, outer to inner: the domain's event lock (registration), an RCU section (accesses), a
//! descriptor's lock (mask).
#![no_std]
#![deny(unsafe_code)]

mod adjacent;
pub mod complete;
pub mod deliver;
pub mod emulate;
pub mod register;
pub mod vpci;
