//! What MSI and MSI-X of guests need of Xen, and nothing else does.

pub mod bind;
mod shadow;
pub mod tables;
