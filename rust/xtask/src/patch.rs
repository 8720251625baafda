//! `cargo xtask patch`: applies the series for a Xen tree, or takes it out again.
//!
//! The whole series is applied to copies of the files that it touches. Only when all of it fits are
//! the results put into the tree, so a tree is never left half patched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::proc::Cmd;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The root of a Xen tree: the directory that contains xen/.
    dir: PathBuf,
    /// Take the series out.
    #[arg(long)]
    reverse: bool,
}

/// What a tree can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As upstream left it.
    Stock,
    /// With the whole series.
    Patched,
}

/// What a file that the series touches has to contain; `None` where it has to be missing.
pub(crate) type Content = (PathBuf, Option<Vec<u8>>);

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let (wanted, done) = if args.reverse {
        (State::Stock, "taken out")
    } else {
        (State::Patched, "applied")
    };
    let series = Series::of(&args.dir)?;
    if series.state(&args.dir)? == wanted {
        println!("{}: the series is {done} already", args.dir.display());
        return Ok(());
    }
    refuse_dirty(&args.dir, &series, wanted)?;
    series.write(&args.dir, wanted)?;
    println!("{}: series {done}", args.dir.display());
    if wanted == State::Patched {
        println!(
            "Configure with `make -C xen rust_defconfig` (or choose UNSUPPORTED and RUST_INTERRUPTS yourself), then"
        );
        println!(
            "build with `make xen XEN_IRQ_RS={}`.",
            repository().display()
        );
    }
    Ok(())
}

/// The root of this repository.
pub(crate) fn repository() -> PathBuf {
    // xtask runs where it was compiled: in rust/xtask of the repository.
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    path.ancestors().nth(2).unwrap_or(path).to_owned()
}

/// The patches for one release of Xen.
pub(crate) struct Series {
    patches: Vec<PathBuf>,
    files: BTreeSet<PathBuf>,
}

impl Series {
    /// Finds the series that fits the release of the tree `dir`.
    ///
    /// # Errors
    ///
    /// When `dir` is no Xen tree, or one of a release that there is no series for.
    pub(crate) fn of(dir: &Path) -> Result<Self> {
        let folder = folder(dir)?;
        ensure!(
            is_program("patch"),
            "patch is not installed; run `cargo xtask setup`"
        );
        let patches: Vec<PathBuf> = names(&folder)?
            .into_iter()
            .filter(|name| name.ends_with(".patch"))
            .map(|name| folder.join(name))
            .collect();
        let mut files = BTreeSet::new();
        for patch in &patches {
            files.extend(touched(&fs::read_to_string(patch)?));
        }
        ensure!(!files.is_empty(), "{} has no patches", folder.display());
        Ok(Self { patches, files })
    }

    /// Tells whether the tree has the series.
    ///
    /// # Errors
    ///
    /// When it has neither all of it nor none of it.
    pub(crate) fn state(&self, dir: &Path) -> Result<State> {
        // Backwards first: a patch that only adds lines may fit a second time, but it comes out
        // only when it is in.
        if self.trial(dir, State::Stock).is_ok() {
            return Ok(State::Patched);
        }
        self.trial(dir, State::Patched).map(|_| State::Stock)
    }

    /// The files that the series touches, as they have to be in the state `wanted`.
    pub(crate) fn bring_to(&self, dir: &Path, wanted: State) -> Result<Vec<Content>> {
        if self.state(dir)? == wanted {
            return self.read(dir);
        }
        self.trial(dir, wanted)
    }

    /// Brings the tree to the state `wanted`, or leaves it as it was.
    fn write(&self, dir: &Path, wanted: State) -> Result<()> {
        let before = self.read(dir)?;
        let after = self.trial(dir, wanted)?;
        let outcome = put_all(dir, &after);
        if outcome.is_err() {
            // The reason is the error to tell; what cannot be written back cannot be helped.
            let _ = put_all(dir, &before);
        }
        outcome
    }

    /// Applies the series to copies, backwards for [`State::Stock`].
    fn trial(&self, dir: &Path, wanted: State) -> Result<Vec<Content>> {
        let scratch = tempfile::tempdir().context("cannot create a temporary directory")?;
        put_all(scratch.path(), &self.read(dir)?)?;
        let mut patches: Vec<&PathBuf> = self.patches.iter().collect();
        if wanted == State::Stock {
            patches.reverse();
        }
        for patch in patches {
            let applied = Cmd::new("patch")
                .args([
                    "-p1",
                    "--force",
                    "--silent",
                    "--no-backup-if-mismatch",
                    "--reject-file=-",
                ])
                .args((wanted == State::Stock).then_some("--reverse"))
                .arg("--input")
                .arg(patch)
                .dir(scratch.path())
                .run();
            if applied.is_err() {
                let name = patch.file_name().unwrap_or_default().to_string_lossy();
                bail!(
                    "{name} does not fit {}: the tree differs from upstream's there",
                    dir.display()
                );
            }
        }
        self.read(scratch.path())
    }

    fn read(&self, dir: &Path) -> Result<Vec<Content>> {
        let read = |path: &PathBuf| {
            let content = match fs::read(dir.join(path)) {
                Ok(content) => Some(content),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", path.display()));
                }
            };
            Ok((path.clone(), content))
        };
        self.files.iter().map(read).collect()
    }
}

/// The directory of the series that fits the release of the tree `dir`.
///
/// # Errors
///
/// When `dir` is no Xen tree, or one of a release that there is no series for.
fn folder(dir: &Path) -> Result<PathBuf> {
    ensure!(dir.is_dir(), "there is no directory {}", dir.display());
    let release = release(dir)?;
    let all = repository().join("patches");
    let folder = all.join(&release);
    ensure!(
        folder.is_dir(),
        "{} is Xen {release}, which is not supported; there are patches for Xen {}",
        dir.display(),
        names(&all)?.join(", ")
    );
    Ok(folder)
}

/// Takes a Xen tree of a supported release as the value of an option.
///
/// # Errors
///
/// As for [`Series::of`].
pub(crate) fn tree(path: PathBuf) -> Result<PathBuf> {
    folder(&path).map(|_| path)
}

/// Tells whether a program can be found.
pub(crate) fn is_program(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// The release of a Xen tree: major and minor number.
fn release(dir: &Path) -> Result<String> {
    let makefile = dir.join("xen/Makefile");
    let text = fs::read_to_string(&makefile)
        .map_err(|_| anyhow::anyhow!("{} is no Xen tree: it has no xen/Makefile", dir.display()))?;
    let number = |name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix("export ")?
                    .strip_prefix(name)?
                    .trim_start()
                    .strip_prefix('=')
            })
            .map(str::trim)
            .with_context(|| format!("{} does not say {name}", makefile.display()))
    };
    Ok(format!(
        "{}.{}",
        number("XEN_VERSION")?,
        number("XEN_SUBVERSION")?
    ))
}

/// The sorted names in a directory.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The files that a patch touches.
fn touched(patch: &str) -> impl Iterator<Item = PathBuf> {
    patch
        .lines()
        .filter_map(|line| {
            line.strip_prefix("+++ b/")
                .or_else(|| line.strip_prefix("--- a/"))
        })
        .map(PathBuf::from)
}

/// Refuses a git tree with changes of its own: ours could not be told from them later.
///
/// The series itself, not committed, is no such change when it is to be taken out.
fn refuse_dirty(dir: &Path, series: &Series, wanted: State) -> Result<()> {
    if !dir.join(".git").exists() {
        return Ok(());
    }
    let status = Cmd::new("git")
        .args(["status", "--porcelain", "--untracked-files=no", "-z"])
        .dir(dir)
        .output()?;
    let foreign = status
        .split('\0')
        .filter_map(|line| line.get(3..))
        .find(|path| wanted == State::Patched || !series.files.contains(Path::new(path)));
    match foreign {
        None => Ok(()),
        Some(path) => bail!(
            "{} has uncommitted changes ({path}); commit or stash them first",
            dir.display()
        ),
    }
}

/// Makes files below `dir` what they have to be.
fn put_all(dir: &Path, files: &[Content]) -> Result<()> {
    files
        .iter()
        .try_for_each(|(path, content)| put(&dir.join(path), content.as_deref()))
}

/// Makes a file contain `content`, or removes it and the directory that it leaves empty.
fn put(path: &Path, content: Option<&[u8]>) -> Result<()> {
    let parent = path.parent().context("a path without a parent")?;
    let outcome = match content {
        Some(content) => fs::create_dir_all(parent).and_then(|()| fs::write(path, content)),
        None if path.exists() => fs::remove_file(path).map(|()| {
            // Fails when the directory has other files, and then it has to stay.
            let _ = fs::remove_dir(parent);
        }),
        None => Ok(()),
    };
    outcome.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
