//! The processor, and the memory of devices.

pub mod cpu;
pub mod fixmap;
pub(crate) mod mmio;
pub mod nospec;
pub(crate) mod wide;
