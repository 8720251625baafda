//! Fault: memory from Rust's own allocator.
#![no_std]
extern crate alloc;

/// Boxes a value.
#[unsafe(no_mangle)]
pub extern "C" fn planted_allocator(value: u64) -> *mut u64 {
    alloc::boxed::Box::into_raw(alloc::boxed::Box::new(value))
}
