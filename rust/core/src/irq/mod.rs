//! IRQs: the choice of their vectors, and their moves from one CPU to another.

pub mod cpus;
pub mod moves;
pub mod vectors;
