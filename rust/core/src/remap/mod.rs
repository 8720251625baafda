//! Interrupt remapping.

pub mod slots;
pub mod source;
