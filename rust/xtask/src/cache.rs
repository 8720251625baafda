//! Downloads and built images, kept between runs and never half used.
//!
//! An entry is built in a scratch directory beside its final place and renamed when it is complete,
//! so whoever finds the final name finds all of it. A lock file makes a second xtask wait for the
//! first instead of building twice.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::proc;

/// The cache directory `$XDG_CACHE_HOME/xen-irq` (or `~/.cache/xen-irq`), created when it is
/// missing.
pub(crate) fn dir() -> Result<PathBuf> {
    Ok(Cache::open()?.dir)
}

/// The directory of the entry `name` for `key`: found, or filled by `build`.
///
/// `build` gets an empty directory; what it leaves there is the entry. `key` holds everything the
/// content depends on: another key is another entry.
///
/// # Errors
///
/// Those of `build`; then no entry exists.
pub(crate) fn entry(
    name: &str,
    key: &str,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let id = format!("{name}-{}", short_hash(key.as_bytes()));
    let cache = Cache::open()?;
    let entry = cache.path(&id);
    if entry.exists() {
        return Ok(entry);
    }
    let _lock = cache.lock(&id)?;
    if entry.exists() {
        return Ok(entry);
    }
    let scratch = cache.scratch(&id)?;
    build(scratch.path())?;
    cache.keep(&scratch, &id)
}

/// A cache: a directory with an entry for each thing that was fetched or built.
pub(crate) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The user's cache, created when it is missing.
    pub(crate) fn open() -> Result<Self> {
        let base = match std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => std::env::home_dir()
                .context("neither XDG_CACHE_HOME nor HOME is set: set one of them")?
                .join(".cache"),
        };
        Self::at(base.join("xen-irq"))
    }

    /// The cache in a directory, created when it is missing.
    pub(crate) fn at(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self { dir })
    }

    /// Where the entry `id` is, or would be.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// The names of all entries.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir)
            .with_context(|| format!("cannot read {}", self.dir.display()))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        // What begins with a dot is a lock or not complete.
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    /// Waits for the lock `name`.
    pub(crate) fn lock(&self, name: &str) -> Result<Lock> {
        Lock::take(&self.dir.join(format!(".{name}.lock")))
    }

    /// An empty scratch directory; only for who holds a lock that goes with the name, because what
    /// is there can then only be what a killed run left.
    pub(crate) fn scratch(&self, name: &str) -> Result<Scratch> {
        Scratch::create(self.dir.join(format!(".{name}.partial")))
    }

    /// Makes what is in a scratch directory the entry `id`, in place of an entry that is there.
    pub(crate) fn keep(&self, scratch: &Scratch, id: &str) -> Result<PathBuf> {
        let entry = self.path(id);
        if entry.exists() {
            fs::remove_dir_all(&entry)
                .with_context(|| format!("cannot remove {}", entry.display()))?;
        }
        fs::rename(scratch.path(), &entry)
            .with_context(|| format!("cannot complete {}", entry.display()))?;
        Ok(entry)
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of `data`.
pub(crate) fn short_hash(data: &[u8]) -> String {
    let digest = Sha256::digest(data);
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of a file, as 64 hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// A lock between processes; the kernel drops it with the file, however the process ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock that `path` stands for.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// A directory that is gone after the run, also after Ctrl-C and panics.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes `path` an empty directory; what was there is removed.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        proc::remove_on_interrupt(&path);
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing to do about a failure here: the next run removes it before use. Renamed entries
        // are simply gone.
        let _ = fs::remove_dir_all(&self.path);
        proc::keep_on_interrupt(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_scratch_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("x");
        let scratch = Scratch::create(path.clone()).unwrap();
        fs::write(scratch.path().join("half"), "").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn the_hash_is_sha256() {
        assert_eq!(short_hash(b"abc"), "ba7816bf8f01cfea");
    }
}
