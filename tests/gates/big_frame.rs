//! Fault: a frame of more than 512 bytes.
#![no_std]

use core::mem::MaybeUninit;

unsafe extern "C" {
    safe fn outside_buffer(buffer: *mut u8);
}

/// Keeps 600 bytes on the stack.
#[unsafe(no_mangle)]
pub extern "C" fn planted_big_frame() {
    let mut buffer = MaybeUninit::<[u8; 600]>::uninit();
    outside_buffer(buffer.as_mut_ptr().cast());
}
