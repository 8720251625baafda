//! Refuses to build the library for anything but Xen: on a host's own target it would compile, and
//! mean nothing.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    if target != "x86_64-unknown-none" {
        panic!(
            "xen-irq is a part of Xen and not built for {target}; use `cargo xtask xen`, or `make xen` in a patched tree"
        );
    }
}
