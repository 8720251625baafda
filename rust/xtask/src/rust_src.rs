//! The pinned rustc, and the sources of core that belong to it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::fetch;
use crate::proc::Cmd;

/// The release that rust-toolchain.toml pins, known where this command was compiled.
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");

/// The release that the workspace is built with.
pub(crate) fn rust_version() -> Result<&'static str> {
    TOOLCHAIN
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'))
        .context("rust-toolchain.toml has no line `channel = \"…\"`")
}

/// Checks that the compiler at hand is the pinned one; an override in the environment may have
/// replaced it.
pub(crate) fn check_rustc() -> Result<()> {
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

pub(crate) fn has_core(dir: &Path) -> bool {
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
}
