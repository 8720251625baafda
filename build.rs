//! Says what this library is built for, and refuses to be built for anything else.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}
