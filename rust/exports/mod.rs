//! The C ABI: one file for each C file that is replaced. An export turns arguments into views, calls the room that does
//! the work, and turns the result into what C expects; there is nothing else in it.
//!
//! Parameters that C declares narrower than 32 bits are taken as `u32` and truncated: rustc relies on the caller to
//! extend them, which the psABI does not promise and Xen's `alternative_call()` does not do.

#[cfg(feature = "vmsi")]
mod vmsi;
