//! `cargo xtask setup`: what the other commands need on the host. Each of them calls [`ensure`] first.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::proc::Cmd;
use crate::{apt, cache, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// The host packages, each with its reason.
const PACKAGES: &[(&str, &str)] = &[
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

/// The release that rust-toolchain.toml pins, known where this command was compiled.
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");

/// Runs the command.
pub(crate) fn run(_args: Args) -> Result<()> {
    let mut table = ui::Table::new(&["package", "needed because it"]);
    for (package, reason) in PACKAGES {
        table.row([*package, reason]);
    }
    table.print();
    ensure()?;
    println!("core's sources: {}", rust_src()?.display());
    Ok(())
}

/// Installs the host packages that are missing; quick when none is.
pub(crate) fn ensure() -> Result<()> {
    check_rustc()?;
    let names: Vec<&str> = PACKAGES.iter().map(|(package, _)| *package).collect();
    apt::host_install(&names)
}

/// The release that the workspace is built with.
pub(crate) fn rust_version() -> Result<&'static str> {
    TOOLCHAIN
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'))
        .context("rust-toolchain.toml has no line `channel = \"…\"`")
}

/// Checks that the compiler at hand is the pinned one; an override in the environment may have replaced it.
fn check_rustc() -> Result<()> {
    let pinned = rust_version()?;
    let found = Cmd::new("rustc").arg("--version").output()?;
    let version = found.split_whitespace().nth(1).unwrap_or("unknown");
    ensure!(
        version == pinned,
        "rustc is {version}, but core's sources and the object are made for {pinned}: run `rustup toolchain install \
         {pinned}` and unset RUSTUP_TOOLCHAIN"
    );
    Ok(())
}

/// The directory that contains `library`, the sources of core for exactly the pinned rustc.
///
/// From rustup where it can deliver them, else from Debian's package of the same version.
///
/// # Errors
///
/// When rustc is not the pinned one, or neither source has that version.
pub(crate) fn rust_src() -> Result<PathBuf> {
    check_rustc()?;
    let sysroot = Cmd::new("rustc").args(["--print", "sysroot"]).output()?;
    let rustup = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    if has_core(&rustup) {
        return Ok(rustup);
    }
    let version = rust_version()?;
    let name = format!("rust-src-{version}");
    let entry = cache::entry(&name, &name, |dir| {
        let step = ui::step(format!("fetching the sources of core {version}"));
        // Without a network rustup retries for long; Debian's archive may still be reachable.
        let component = Cmd::new("timeout")
            .args(["60", "rustup", "component", "add", "rust-src"])
            .args(["--toolchain", version])
            .run();
        if component.is_ok() && has_core(&rustup) {
            // A marker: the component itself stays where rustup keeps it.
            std::os::unix::fs::symlink(rustup.join("library"), dir.join("library"))?;
        } else {
            from_debian(version, dir)?;
        }
        step.done();
        Ok(())
    })?;
    if !has_core(&entry) {
        bail!(
            "{} has no library/core: remove it and try again",
            entry.display()
        );
    }
    Ok(entry)
}

/// Unpacks Debian's `rust-src` of this version into `dir`.
fn from_debian(version: &str, dir: &Path) -> Result<()> {
    let versions = apt::versions("rust-src")?;
    // Debian writes the upstream version, then `+dfsg` or `-` and its own.
    let same = |full: &&String| {
        full.strip_prefix(version)
            .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
    };
    let Some(full) = versions.iter().find(same) else {
        bail!(
            "the sources of core {version} cannot be had: rustup has no rust-src component for it, and Debian's \
             rust-src comes as {}; install the component or pin one of these versions",
            versions.join(", ")
        );
    };
    let debs = apt::debs(apt::Suite::Sid, &[&format!("rust-src={full}")])?;
    let scratch = tempfile::tempdir_in(dir)?;
    apt::unpack(&debs, scratch.path())?;
    let source = scratch.path().join(format!("usr/src/rustc-{version}"));
    std::fs::rename(source.join("library"), dir.join("library"))
        .with_context(|| format!("Debian's rust-src {full} has no library directory"))
}

fn has_core(dir: &Path) -> bool {
    dir.join("library/core/Cargo.toml").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_release_is_a_version() {
        let version = rust_version().unwrap();
        assert_eq!(version.split('.').count(), 3, "{version}");
    }

    #[test]
    fn packages_are_sorted_and_have_reasons() {
        assert!(PACKAGES.is_sorted());
        assert!(PACKAGES.iter().all(|(_, reason)| !reason.is_empty()));
    }
}
