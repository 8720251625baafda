//! Interrupt remapping.

pub mod entry;
pub mod slots;
pub mod source;
