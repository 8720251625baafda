//! The edge: what the units need of Xen, as safe Rust.
//!
//! All `unsafe` of the project lives here and in `rust/exports`, each block with its reason. Three
//! facts hold everywhere and are not repeated at each block:
//!
//! - Xen's objects are seen through *views*: copyable pointers that read or write one field at a
//!   time. Other CPUs and C change those objects at any moment, so no reference to a whole object
//!   is ever formed.
//! - A view is made by an export from a pointer that C passed in, or read from a field of another
//!   view. C keeps an object alive for as long as the call that handed it out runs, under the lock
//!   or RCU section that the caller documents.
//! - Fields that are read while others may write them are at most eight bytes, aligned, and read in
//!   one piece.
#![no_std]
#![allow(unsafe_code)]
#![deny(unsafe_op_in_unsafe_fn)]

#[macro_use]
pub mod base;
pub mod arch;
#[cfg(feature = "irq")]
pub mod irq;
#[cfg(feature = "msi")]
pub mod msi;
pub mod objects;
pub mod remap;
pub mod sync;
#[cfg(feature = "vmsi")]
pub mod vmsi;
