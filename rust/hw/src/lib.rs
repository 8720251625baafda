//! Formats of the manuals: what software and hardware agree on, bit for bit.
//!
//! Nothing here does anything. Each item names the manual's section, so that a reviewer can check
//! it in a minute.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod amd;
mod bits;
pub mod ioapic;
pub mod msi;
pub mod msix;
pub mod pci;
pub mod vtd;
