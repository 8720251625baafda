//! What the host needs: packages, and the sources of core.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::fetch::table::RUST_SOURCE;
use crate::proc::Cmd;
use crate::{apt, fetch, rust_src};

/// The host packages, each with its reason.
pub(crate) const PACKAGES: &[(&str, &str)] = &[
    (
        "binutils",
        "links the Rust object into Xen; nm and objdump for the gates",
    ),
    ("bison", "Xen's Kconfig parser"),
    ("clang", "builds Xen with clang in the test of the build"),
    (
        "cpio",
        "packs the initial RAM disks of dom0 and of the guests",
    ),
    (
        "debian-archive-keyring",
        "checks the signatures of the suites that parts come from",
    ),
    ("dpkg-dev", "unpacks Debian packages beside the system"),
    ("flex", "Xen's Kconfig lexer"),
    ("gcc", "builds Xen and the C originals of the twin tests"),
    ("git", "reads Xen trees that are clones"),
    ("kmod", "finds the modules that dom0 needs"),
    (
        "libc6-dev",
        "host headers for the C originals of the twin tests",
    ),
    ("libclang-dev", "bindgen reads Xen's headers with it"),
    ("lld", "links Xen when it is built with clang"),
    ("llvm", "binary tools for Xen when it is built with clang"),
    ("make", "Xen's build system"),
    ("patch", "applies the patch series"),
    ("python3", "Xen's build runs scripts in it"),
    ("util-linux", "setpriv ties child processes to this command"),
    ("valgrind", "callgrind counts instructions"),
    ("xz-utils", "unpacks Xen's source"),
    ("zstd", "unpacks kernel modules"),
];

/// Installs the host packages that are missing; quick when none is.
pub(crate) fn ensure() -> Result<()> {
    rust_src::check_rustc()?;
    let names: Vec<&str> = PACKAGES.iter().map(|(package, _)| *package).collect();
    apt::host_install(&names)
}

/// The directory that contains `library`, the sources of core for exactly the pinned rustc.
///
/// # Errors
///
/// When rustc is not the pinned one, or no origin has that version.
pub(crate) fn rust_src() -> Result<PathBuf> {
    rust_src::check_rustc()?;
    let sysroot = Cmd::new("rustc").args(["--print", "sysroot"]).output()?;
    let rustup = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    if rust_src::has_core(&rustup) {
        return Ok(rustup);
    }
    fetch::get(&RUST_SOURCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_sorted_and_have_reasons() {
        assert!(PACKAGES.is_sorted());
        assert!(PACKAGES.iter().all(|(_, reason)| !reason.is_empty()));
    }
}
