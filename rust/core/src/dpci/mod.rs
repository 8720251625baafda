//! Interrupts of devices that are passed through to HVM guests: when they are delivered, what lines
//! they stand for, and to which vCPU one goes that may go to several.
//!
//! The unit (`rust/dpci`) is in work.

pub mod hash;
pub mod lines;
pub mod state;
pub mod vectors;
