//! Fault (when compiled with jump tables): a dense `match` with calls in its arms.
#![no_std]

unsafe extern "C" {
    safe fn first(value: u64) -> u64;
    safe fn second(value: u64) -> u64;
    safe fn third(value: u64) -> u64;
    safe fn fourth(value: u64) -> u64;
    safe fn fifth(value: u64) -> u64;
}

/// Chooses among five.
#[unsafe(no_mangle)]
pub extern "C" fn planted_jump_table(which: u64) -> u64 {
    match which {
        0 => first(1).wrapping_mul(3),
        1 => second(2).wrapping_mul(5),
        2 => third(3).wrapping_mul(7),
        3 => fourth(4).wrapping_mul(11),
        4 => fifth(5).wrapping_mul(13),
        _ => 0,
    }
}
