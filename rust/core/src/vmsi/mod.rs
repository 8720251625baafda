//! MSI and MSI-X as guests see them: MSI-X tables, as Xen emulates them for an HVM guest, and the
//! [delivery](deliver) of their messages.
//!
//! A guest's accesses to a passed-through device's table trap. Xen applies the mask bits itself and
//! remembers the messages that the guest wrote, so that reading them back does not cost a round
//! trip through the device model; the device model still sees every write.

pub mod access;
pub mod beside;
pub mod deliver;
pub mod rows;
pub mod shadow;
pub mod snoop;
