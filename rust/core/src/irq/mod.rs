//! IRQs: the choice of their vectors, their moves from one CPU to another, and the order of EOIs.

pub mod cpus;
pub mod eoi;
pub mod moves;
pub mod vectors;
