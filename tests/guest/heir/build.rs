//! Says where the kernel is linked: in the memory that the scenarios have Xen keep for a crash
//! kernel.

fn main() {
    println!("cargo::rustc-link-arg-bins=--defsym=image_base=0x4000000");
}
