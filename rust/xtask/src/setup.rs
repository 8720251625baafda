//! `cargo xtask setup`: what the other commands need on the host. Each of them calls [`ensure`]
//! first.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::cache::Cache;
use crate::fetch::Fetcher;
use crate::fetch::table::RUST_SOURCE;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::{apt, boot, fetch, guest, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also fetch all that the other commands fetch when they first need it: with that in the
    /// cache, they work without a network.
    #[arg(long)]
    fetch: bool,
    /// Fetch all of it into an empty cache, which is removed afterwards, and print what came from
    /// where.
    #[arg(long, conflicts_with = "fetch")]
    check: bool,
}

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
pub(crate) fn run(args: Args) -> Result<()> {
    if args.check {
        return check();
    }
    let mut table = ui::Table::new(&["package", "needed because it"]);
    for (package, reason) in PACKAGES {
        table.row([*package, reason]);
    }
    table.print();
    ensure()?;
    println!("core's sources: {}", rust_src()?.display());
    if args.fetch {
        let others = fetch::table::ALL.into_iter();
        for artefact in others.filter(|artefact| artefact.name != RUST_SOURCE.name) {
            let dir = fetch::get(artefact)?;
            println!("{}: {}", artefact.title, dir.display());
        }
        boot::prepare()?;
        let step = ui::step("fetching crates");
        Cmd::new("cargo")
            .args(["fetch", "--locked"])
            .dir(repository())
            .run()?;
        guest::fetch()?;
        step.done();
    }
    Ok(())
}

/// Fetches everything into an empty cache and prints what came from where.
fn check() -> Result<()> {
    ensure()?;
    let scratch = Cache::open()?.scratch(&format!("check-{}", std::process::id()))?;
    let fetcher = Fetcher::from_environment(Cache::at(scratch.path().to_owned())?)?;
    let mut table = ui::Table::new(&["artefact", "from", "MB", "seconds"]);
    let mut failures = Vec::new();
    for artefact in fetch::table::ALL {
        let start = Instant::now();
        let (from, size) = match fetcher.get(artefact) {
            Ok(found) => (found.from, (size(&found.dir)? / 1_000_000).to_string()),
            Err(error) => {
                failures.push(format!("{error:#}"));
                ("FAILED".to_owned(), String::new())
            }
        };
        let seconds = start.elapsed().as_secs().to_string();
        table.row([artefact.title.to_owned(), from, size, seconds]);
    }
    table.print();
    ensure!(failures.is_empty(), "{}", failures.join("\nerror: "));
    Ok(())
}

/// The bytes of all files below a path, without following links.
fn size(path: &Path) -> Result<u64> {
    let about = std::fs::symlink_metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    fetch::files(path)?.iter().map(|path| size(path)).sum()
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

/// Checks that the compiler at hand is the pinned one; an override in the environment may have
/// replaced it.
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
/// # Errors
///
/// When rustc is not the pinned one, or no origin has that version.
pub(crate) fn rust_src() -> Result<PathBuf> {
    check_rustc()?;
    let sysroot = Cmd::new("rustc").args(["--print", "sysroot"]).output()?;
    let rustup = Path::new(sysroot.trim()).join("lib/rustlib/src/rust");
    if has_core(&rustup) {
        return Ok(rustup);
    }
    fetch::get(&RUST_SOURCE)
}

/// Makes a directory with `library` of what rustup or Debian delivered.
pub(crate) fn unpack_rust_src(from: &Path, to: &Path) -> Result<()> {
    let library = to.join("library");
    if from.join("library").is_symlink() {
        return Ok(std::fs::rename(from.join("library"), library)?);
    }
    let scratch = from.join("unpacked");
    std::fs::create_dir(&scratch)?;
    let debs: Vec<PathBuf> = fetch::files(from)?
        .into_iter()
        .filter(|path| path.is_file())
        .collect();
    fetch::unpack(&debs, &scratch)?;
    let source = scratch.join(format!("usr/src/rustc-{}", rust_version()?));
    std::fs::rename(source.join("library"), library)
        .context("Debian's rust-src has no library directory")
}

/// Checks that the sources of core are there; rustup may have removed its component since.
pub(crate) fn check_rust_src(dir: &Path) -> Result<()> {
    ensure!(has_core(dir), "library/core is missing");
    Ok(())
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
