//! The slips, by unit.
//!
//! Kinds that tests overlook are in all of them: what a second CPU does between two steps, what is
//! freed too early, numbers beyond the usual, machine code.

use super::slip::Slip;

mod code;
mod core;
mod edge;
mod irq;
mod msi;
mod remap;
mod vmsi;

/// All of them, in the order of their numbers, which begin at 0.
pub(super) fn all() -> Vec<Slip> {
    ALL.concat()
}

/// A slip's number is its place.
const ALL: &[&[Slip]] = &[
    core::SLIPS,
    vmsi::SLIPS,
    msi::SLIPS,
    remap::SLIPS,
    edge::SLIPS,
    irq::SLIPS,
    code::SLIPS,
];
