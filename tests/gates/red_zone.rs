//! Fault (when compiled with the red zone): a leaf function with locals in memory.
#![no_std]

/// Keeps two words on the stack.
#[unsafe(no_mangle)]
pub extern "C" fn planted_red_zone(value: u64) -> u64 {
    let mut words = core::mem::MaybeUninit::<[u64; 2]>::uninit();
    let first = words.as_mut_ptr().cast::<u64>();
    // SAFETY: the words are in bounds and written before they are read.
    unsafe {
        first.write_volatile(value);
        first.add(1).write_volatile(value);
        first.read_volatile() ^ first.add(1).read_volatile()
    }
}
