//! Fault: a stack object of alignment 16, whose address LLVM takes for a multiple of 16.
#![no_std]

use core::mem::MaybeUninit;

unsafe extern "C" {
    safe fn outside_buffer(buffer: *mut u8);
}

#[repr(align(16))]
struct Entry(MaybeUninit<[u64; 2]>);

/// Hands out the object's address and its low bits, which are folded to zero.
#[unsafe(no_mangle)]
pub extern "C" fn planted_aligned() -> u64 {
    let mut entry = Entry(MaybeUninit::uninit());
    outside_buffer(entry.0.as_mut_ptr().cast());
    (&raw const entry) as u64 & 15
}
