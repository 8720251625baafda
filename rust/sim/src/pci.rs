//! A PCI function that sends messages: one with MSI-X, and one with MSI whose messages can be
//! masked.
//!
//! What it is told arrives late, what it is asked may get no answer, and it may change, be
//! reset, vanish or lie whenever it likes.

pub mod msi;
pub mod msix;

#[cfg(test)]
mod tests;
