//! Fault: an index that may be out of bounds.
#![no_std]

/// Panics for an index of four or more.
#[unsafe(no_mangle)]
pub extern "C" fn planted_panic(table: &[u64; 4], index: u64) -> u64 {
    table[index as usize]
}
