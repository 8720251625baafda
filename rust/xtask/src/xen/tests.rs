//! What a developer who runs make without xtask is told about the toolchain: c-shim/rust-src.sh
//! with stand-ins for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::patch::repository;
use crate::proc::Cmd;
use crate::rust_src::rust_version;

/// Runs the script with a rustc that claims to be `version` and to have its files in `sysroot`.
fn rust_src(bin: &Path, version: &str, sysroot: &Path) -> Result<String, String> {
    let print = sysroot.display();
    tool(
        bin,
        "rustc",
        &format!("if [ $1 = --version ]; then echo rustc {version}; else echo {print}; fi"),
    );
    // Only what the script needs is in its path: the host's own cargo and rustc are not.
    for needed in ["cut", "dirname", "sed"] {
        tool(bin, needed, &format!("exec /usr/bin/{needed} \"$@\""));
    }
    // setpriv, which starts every child, lies in the path of this test.
    Cmd::new("/usr/bin/env")
        .arg(format!("PATH={}", bin.display()))
        .arg("/bin/sh")
        .arg(repository().join("c-shim/rust-src.sh"))
        .env("XDG_CACHE_HOME", bin)
        .output()
        .map_err(|error| error.to_string())
}

fn tool(bin: &Path, name: &str, script: &str) {
    let path = bin.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_sources_are_found_in_the_sysroot_and_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let (bin, pinned) = (dir.path(), rust_version().unwrap());
    tool(bin, "cargo", "");
    let cached = bin.join(format!("xen-irq/rust-src-{pinned}-0123/library"));
    let installed = bin.join("lib/rustlib/src/rust/library");
    for library in [&cached, &installed] {
        fs::create_dir_all(library.join("core/src")).unwrap();
        fs::write(library.join("core/src/lib.rs"), "").unwrap();
        let found = rust_src(bin, pinned, bin).unwrap();
        assert_eq!(Path::new(found.trim()), library);
    }
}

#[test]
fn another_rustc_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    tool(dir.path(), "cargo", "");
    let error = rust_src(dir.path(), "1.2.3", dir.path()).unwrap_err();
    assert!(error.contains("rustc is 1.2.3, but"), "{error}");
}

#[test]
fn missing_sources_are_named_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    tool(dir.path(), "cargo", "");
    let error = rust_src(dir.path(), rust_version().unwrap(), dir.path()).unwrap_err();
    assert!(error.contains("run 'cargo xtask setup'"), "{error}");
}

#[test]
fn a_missing_cargo_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = rust_src(dir.path(), rust_version().unwrap(), dir.path()).unwrap_err();
    assert!(error.contains("cargo is not in PATH"), "{error}");
}
