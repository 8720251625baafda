//! What MSI and MSI-X of guests need of Xen, and nothing else does.

pub mod bind;
pub mod ioreq;
mod shadow;
pub mod tables;
pub mod vlapic;
pub mod vpci;
