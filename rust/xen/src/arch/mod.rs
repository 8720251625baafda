//! The processor, and the memory of devices.

pub mod cpu;
pub mod fixmap;
pub mod mmio;
pub mod nospec;
pub mod wide;
