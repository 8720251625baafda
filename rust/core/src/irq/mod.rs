//! IRQs: the choice of their vectors, their moves from one CPU to another, those that guests
//! handle, and the order of EOIs.

pub mod cpus;
pub mod eoi;
pub mod guests;
pub mod moves;
pub mod vectors;
