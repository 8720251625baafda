//! The types, constants, functions and variables of the Xen tree that is being built, as bindgen
//! reads them.
//!
//! Nothing here is written by hand: `include/bindings.h` says what is read, `allowlist.txt` what is
//! kept. Layouts are those of the tree's own configuration, and bindgen's layout assertions stop
//! the build when rustc disagrees with clang. Only `rust/xen`, `rust/exports` and the twin use this
//! crate; the units see the safe types of `rust/xen`.
#![no_std]
#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_code,
    unnecessary_transmutes,
    unsafe_op_in_unsafe_fn,
    unused,
    improper_ctypes,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
