//! MSI-X tables as Xen emulates them for an HVM guest.
//!
//! A guest's accesses to a passed-through device's table trap. Xen applies the mask bits itself and
//! remembers the messages that the guest wrote, so that reading them back does not cost a round
//! trip through the device model; the device model still sees every write.

pub mod access;
pub mod beside;
pub mod rows;
pub mod shadow;
pub mod snoop;
