//! Fault: an index that a guest chose reaches memory as it is, or there is none any more.
#![no_std]

/// Does not mask it.
///
/// # Safety
///
/// The index is below 64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xen_irq_msixtbl_read(table: &[u64; 4 * 64], index: usize) -> u64 {
    // SAFETY: the caller says so.
    unsafe { (*table.as_ptr().cast::<[u64; 4]>().add(index))[1] }
}

/// Has none.
#[unsafe(no_mangle)]
pub extern "C" fn xen_irq_msixtbl_write(value: u64) -> u64 {
    value
}
