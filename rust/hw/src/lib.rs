//! Formats of the manuals.
#![no_std]
#![forbid(unsafe_code)]
