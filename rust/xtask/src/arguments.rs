//! Values of options, checked where the command line is read: before anything is fetched or built.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::builder::{
    PathBufValueParser, PossibleValuesParser, RangedU64ValueParser, TypedValueParser,
};

use crate::{patch, units};

/// A Xen tree of a supported release.
pub(crate) fn xen_tree() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(patch::tree)
}

/// A directory.
pub(crate) fn directory() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| -> Result<PathBuf> {
        ensure!(path.is_dir(), "there is no directory {}", path.display());
        Ok(path)
    })
}

/// A file that can be written.
pub(crate) fn new_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(writable)
}

/// A replaced file that has a twin, in work or not.
pub(crate) fn replaced_file() -> PossibleValuesParser {
    let in_work = units::IN_WORK.iter().map(|unit| unit.name);
    PossibleValuesParser::new(units::NAMES.into_iter().chain(in_work))
}

/// A number that is not 0.
pub(crate) fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Checks that a file can be written, and leaves none behind.
fn writable(path: PathBuf) -> Result<PathBuf> {
    ensure!(!path.is_dir(), "it is a directory");
    if path.exists() {
        File::options()
            .append(true)
            .open(&path)
            .context("it cannot be written")?;
        return Ok(path);
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    ensure!(
        parent.is_dir(),
        "there is no directory {}",
        parent.display()
    );
    tempfile::tempfile_in(parent)
        .with_context(|| format!("no file can be made in {}", parent.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_checked_and_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        assert_eq!(writable(path.clone()).unwrap(), path);
        assert!(!path.exists());
        std::fs::write(&path, "old").unwrap();
        writable(path.clone()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert!(writable(dir.path().to_owned()).is_err());
        assert!(writable(dir.path().join("no/new")).is_err());
    }
}
