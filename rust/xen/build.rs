//! Sets `cfg(hvm)` where Xen is configured with HVM: without it there are no such structures.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(hvm)");
    if std::env::var("DEP_XEN_HVM").is_ok_and(|hvm| hvm == "true") {
        println!("cargo:rustc-cfg=hvm");
    }
}
