//! IRQs: the choice of their vectors, their moves from one CPU to another, those that guests
//! handle, the order of EOIs, and the pirqs by which domains name IRQs.

pub mod cpus;
pub mod eoi;
pub mod guests;
pub mod moves;
pub mod pirqs;
pub mod vectors;
