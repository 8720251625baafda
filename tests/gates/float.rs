//! Fault: floating point.
#![no_std]

/// Multiplies in an SSE register.
#[unsafe(no_mangle)]
pub extern "C" fn planted_float(value: u64) -> u64 {
    (value as f64 * 1.5) as u64
}
