//! Fault: an exported function believes that its caller has extended a narrow argument.
#![no_std]

/// Uses all 64 bits of the register.
///
/// # Safety
/// `table` has 256 elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn planted_narrow(table: *const u64, index: u8) -> u64 {
    // SAFETY: the caller's table is large enough.
    unsafe { *table.add(usize::from(index)) }
}
