//! Runs bindgen over `include/bindings.h` with the flags of the Xen tree that is being built.
//!
//! Kbuild (c-shim/Makefile) says where that is: `XEN_SYS_CFLAGS` holds the C flags, `XEN_SYS_CONFIG` the tree's
//! `auto.conf`, `XEN_SYS_SRCTREE` its source folder.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=XEN_SYS_STAMP");
    let flags = variable("XEN_SYS_CFLAGS");
    println!("cargo:rerun-if-changed={}", variable("XEN_SYS_CONFIG"));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let header = repository.join("include/bindings.h");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("allowlist.txt");
    println!("cargo:rerun-if-changed={}", list.display());

    let mut builder = bindgen::Builder::default()
        .header(header.to_str().expect("the repository's path is UTF-8"))
        .clang_args(flags.split_whitespace())
        .clang_arg(format!("-I{}", repository.join("c-shim").display()))
        .clang_args([
            "-fshort-wchar",
            "-target",
            "x86_64-unknown-none-elf",
            "-Wno-everything",
        ])
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .layout_tests(true)
        .generate_comments(false)
        .derive_debug(false)
        .derive_copy(true)
        .prepend_enum_name(false)
        .generate_inline_functions(false)
        .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()));
    for (kind, pattern) in allowed(&list) {
        builder = match kind.as_str() {
            "type" => builder.allowlist_type(pattern),
            "fn" => builder.allowlist_function(pattern),
            "opaque" => builder.opaque_type(pattern),
            "var" => builder.allowlist_var(pattern),
            other => panic!("allowlist.txt: unknown kind `{other}`"),
        };
    }
    let out =
        PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    builder
        .generate()
        .unwrap_or_else(|error| panic!("bindgen cannot read Xen's headers: {error}"))
        .write_to_file(out)
        .expect("OUT_DIR is writable");
}

/// Returns an environment variable that Kbuild sets, or says how it comes to be set.
fn variable(name: &str) -> String {
    println!("cargo:rerun-if-env-changed={name}");
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this crate is built by Xen's Kbuild; use `cargo xtask xen` or `make xen`")
    })
}

/// Yields `(kind, pattern)` of each line of the list.
fn allowed(list: &Path) -> Vec<(String, String)> {
    std::fs::read_to_string(list)
        .expect("allowlist.txt is readable")
        .lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (kind, pattern) = line.split_once(' ').expect("allowlist.txt: `kind pattern`");
            (kind.to_owned(), pattern.trim().to_owned())
        })
        .collect()
}
