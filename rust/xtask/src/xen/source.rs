//! The source that is built: a copy of a Xen tree below target/, brought to the wanted state of the
//! series.
//!
//! The tree itself is only read. A file of the copy is written only when its content changes, so
//! that make rebuilds no more than it has to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::tarball;
use crate::fetch::table::XEN_SOURCE;
use crate::patch::{Series, State};
use crate::proc::Cmd;
use crate::{cache, fetch};

/// Names a tarball of Xen to be used in place of the one that is fetched; the user answers for it.
const TARBALL: &str = "XEN_IRQ_XEN_TARBALL";

/// The source of Xen that is built unless the user names a tree, in the cache.
///
/// # Errors
///
/// When it cannot be fetched, or the user's tarball cannot be unpacked.
pub(crate) fn fetched() -> Result<PathBuf> {
    let Some(tarball) = std::env::var_os(TARBALL).filter(|path| !path.is_empty()) else {
        return fetch::get(&XEN_SOURCE);
    };
    let tarball = PathBuf::from(tarball);
    let about = fs::metadata(&tarball)
        .ok()
        .filter(fs::Metadata::is_file)
        .with_context(|| format!("{TARBALL} names {}, which is no file", tarball.display()))?;
    let path = tarball.display();
    let key = format!("{path} {} {:?}", about.len(), about.modified()?);
    cache::entry("xen-tarball", &key, |dir| {
        tarball::unpack_one(&tarball, dir)
    })
}

/// Makes `copy` a copy of `tree` in the state `wanted`.
///
/// # Errors
///
/// When `tree` is no Xen tree of a supported release, was built in place, or does not take the
/// series.
pub(crate) fn prepare(tree: &Path, wanted: State, copy: &Path) -> Result<()> {
    let series = Series::of(tree)?;
    let is_git = tree.join(".git").exists();
    let files = if is_git { tracked(tree)? } else { all(tree)? };
    let mut ours: BTreeMap<PathBuf, Option<Vec<u8>>> =
        series.bring_to(tree, wanted)?.into_iter().collect();
    if is_git {
        // The copy has no history that Xen's build could ask for its version.
        ours.insert(".scmversion".into(), Some(commit(tree)?.into_bytes()));
    }
    let mut kept = BTreeSet::new();
    for path in files.iter().filter(|path| !ours.contains_key(*path)) {
        if carry(&tree.join(path), &copy.join(path))? {
            kept.insert(path.clone());
        }
    }
    for (path, content) in ours {
        if let Some(content) = content {
            write_if_changed(&copy.join(&path), &content)?;
            kept.insert(path);
        }
    }
    for path in all(copy)?.difference(&kept) {
        remove(&copy.join(path))?;
    }
    Ok(())
}

/// The commit of a git tree, as Xen's banner shows it.
fn commit(tree: &Path) -> Result<String> {
    let about = Cmd::new("git")
        .args(["log", "-1", "--format=%ad git:%h"])
        .dir(tree)
        .output()?;
    Ok(about.trim().to_owned())
}

/// The files that git tracks.
fn tracked(tree: &Path) -> Result<BTreeSet<PathBuf>> {
    let list = Cmd::new("git")
        .args(["ls-files", "-z"])
        .dir(tree)
        .output()?;
    Ok(list
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect())
}

/// Every file of a tree without git.
fn all(tree: &Path) -> Result<BTreeSet<PathBuf>> {
    if ["xen/.config", "xen/include/generated"]
        .iter()
        .any(|path| tree.join(path).exists())
    {
        bail!(
            "{0} was built in place; run `make -C {0}/xen distclean` first",
            tree.display()
        );
    }
    let mut files = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        let full = tree.join(&dir);
        if !full.exists() {
            continue;
        }
        for entry in
            fs::read_dir(&full).with_context(|| format!("cannot read {}", full.display()))?
        {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else {
                files.insert(path);
            }
        }
    }
    Ok(files)
}

/// Copies a file or a symbolic link when the copy differs; tells whether there was anything to
/// copy.
fn carry(from: &Path, to: &Path) -> Result<bool> {
    let Ok(kind) = fs::symlink_metadata(from) else {
        // Tracked, but deleted by the user.
        return Ok(false);
    };
    if kind.is_symlink() {
        let target = fs::read_link(from)?;
        if fs::read_link(to).ok().as_ref() != Some(&target) {
            remove(to)?;
            make_parent(to)?;
            std::os::unix::fs::symlink(&target, to)
                .with_context(|| format!("cannot link {}", to.display()))?;
        }
        return Ok(true);
    }
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_if_changed(to, &content)?;
    let mode = kind.permissions();
    if fs::metadata(to)?.permissions() != mode {
        fs::set_permissions(to, mode)
            .with_context(|| format!("cannot set the mode of {}", to.display()))?;
    }
    Ok(true)
}

fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    make_parent(path)?;
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("a path without a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_follows_its_tree_and_leaves_the_rest_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        make_parent(&from).unwrap();
        fs::create_dir(&from).unwrap();
        fs::write(from.join("file"), "1").unwrap();
        std::os::unix::fs::symlink("file", from.join("link")).unwrap();
        assert!(carry(&from.join("file"), &to.join("file")).unwrap());
        assert!(carry(&from.join("link"), &to.join("link")).unwrap());
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("file"));
        let before = fs::metadata(to.join("file")).unwrap().modified().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        carry(&from.join("file"), &to.join("file")).unwrap();
        assert_eq!(
            fs::metadata(to.join("file")).unwrap().modified().unwrap(),
            before
        );
        fs::write(from.join("file"), "2").unwrap();
        carry(&from.join("file"), &to.join("file")).unwrap();
        assert_eq!(fs::read(to.join("file")).unwrap(), b"2");
        assert!(!carry(&from.join("gone"), &to.join("gone")).unwrap());
    }

    #[test]
    fn a_tree_that_was_built_in_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("xen")).unwrap();
        fs::write(dir.path().join("xen/.config"), "").unwrap();
        let error = all(dir.path()).unwrap_err().to_string();
        assert!(error.contains("was built in place"), "{error}");
    }
}
