//! State machines and algorithms.
#![no_std]
#![forbid(unsafe_code)]
