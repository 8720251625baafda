//! Interrupt remapping.

pub mod slots;
