//! Fault (when the object is linked with itself): two local symbols of one file share a name.
#![no_std]

core::arch::global_asm!(
    ".pushsection .rodata.planted, \"a\"",
    "planted_duplicate: .quad 1",
    ".popsection"
);
