//! Xen's x86 interrupt subsystem, behind Xen's C ABI.
//!
//! Xen's Kbuild builds this library as one object, with a feature for each C file that is replaced.
//! README.md shows how the crates hang together.
#![no_std]
#![allow(unsafe_code)]

mod exports;

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    xen::base::bug::panicked(info)
}
