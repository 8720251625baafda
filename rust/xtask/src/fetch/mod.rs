//! Everything that the commands fetch.
//!
//! [`table`] names each artefact and its origins. [`Fetcher::get`] gives the first of them that
//! delivers:
//!
//! 1. What the cache has is taken without touching the network.
//! 2. Otherwise the origins are tried in order. What an origin delivers is unpacked and checked in
//!    a scratch directory; what the check refuses counts as not found.
//! 3. When a download that the lists promised fails for the first time, the lists are brought up to
//!    date and it is tried again: a file leaves the archive when a newer version replaces it.
//! 4. All origins of an artefact share one time limit.
//! 5. The first that delivers is moved into the cache, and one line says which it was, and why not
//!    those before it. A search that fails says in one line why, and what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};

use crate::cache::{self, Cache, Scratch};
use crate::proc::Cmd;
use crate::ui;

mod archive;
#[cfg(test)]
mod server;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use archive::{Archive, Settings};
use table::{Artefact, Origin, Pinned};

/// Names a directory with files that the table pins; it is looked into before the network.
pub(crate) const SOURCES: &str = "XEN_IRQ_SOURCES";

/// Names a Debian mirror to use in place of the host's.
pub(crate) const MIRROR: &str = "XEN_IRQ_MIRROR";

/// What helps when every suite fails.
const NETWORK: &str = "check the network and the host's apt sources, or set XEN_IRQ_MIRROR to a \
                       Debian mirror";

/// Where things are fetched from, and the cache they go to.
pub(crate) struct Fetcher {
    cache: Cache,
    /// See [`SOURCES`].
    folder: Option<PathBuf>,
    settings: Settings,
    /// In place of the artefact's own time limit.
    limit: Option<Duration>,
    /// rustup's name.
    rustup: PathBuf,
}

/// An artefact in the cache.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Where it came from.
    pub(crate) from: String,
    /// Why not from the origins before that, for the user.
    pub(crate) not_from: Vec<String>,
}

/// One search through the origins of an artefact.
struct Search<'a> {
    artefact: &'a Artefact,
    deadline: Instant,
    /// Why the origins so far did not deliver.
    reasons: Vec<String>,
    archive: Option<Archive>,
    /// The lists have been read anew in this search, or cannot be.
    lists_are_new: bool,
    /// What interrupted downloads of several packages leave for the next attempt.
    archives: Option<Scratch>,
}

/// An artefact of the table, from the cache or fetched.
///
/// # Errors
///
/// When no origin delivers; the error says why, and what to do.
pub(crate) fn get(artefact: &Artefact) -> Result<PathBuf> {
    Ok(Fetcher::from_environment(Cache::open()?)?
        .get(artefact)?
        .dir)
}

/// The Debian mirror that things are fetched from.
///
/// # Errors
///
/// When the host's apt has none.
pub(crate) fn mirror() -> Result<String> {
    let fetcher = Fetcher::from_environment(Cache::open()?)?;
    fetcher
        .settings
        .mirror
        .map_or_else(archive::host_mirror, Ok)
}

impl Fetcher {
    /// As the environment says.
    pub(crate) fn from_environment(cache: Cache) -> Result<Self> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let mirror = variable(MIRROR).map(|value| {
            value
                .into_string()
                .map_err(|value| anyhow!("{MIRROR} is no URL: {}", value.display()))
        });
        Ok(Self {
            cache,
            folder: variable(SOURCES).map(PathBuf::from),
            settings: Settings {
                mirror: mirror.transpose()?,
                stall: Duration::from_secs(30),
                retries: 2,
                unsigned: false,
            },
            limit: None,
            rustup: "rustup".into(),
        })
    }

    /// An artefact, from the cache or fetched.
    ///
    /// # Errors
    ///
    /// When no origin delivers.
    pub(crate) fn get(&self, artefact: &Artefact) -> Result<Found> {
        if let Some(found) = self.cached(artefact)? {
            return Ok(found);
        }
        let _lock = self.cache.lock(artefact.name)?;
        if let Some(found) = self.cached(artefact)? {
            return Ok(found);
        }
        let step = ui::step(format!("fetching {}", artefact.title));
        let limit = self
            .limit
            .unwrap_or(Duration::from_secs(60 * artefact.minutes));
        let mut search = Search {
            artefact,
            deadline: Instant::now() + limit,
            reasons: Vec::new(),
            archive: None,
            lists_are_new: false,
            archives: None,
        };
        for origin in artefact.origins {
            if let Some(mut found) = self.try_origin(&mut search, origin) {
                found.not_from = search.reasons;
                step.done();
                ui::line(&found.line(artefact));
                return Ok(found);
            }
        }
        bail!(
            "{} cannot be had: {}; {}",
            artefact.title,
            search.reasons.join("; "),
            artefact.remedy
        )
    }

    /// What the cache has of an artefact: of the first origin in the table, and of that the newest.
    fn cached(&self, artefact: &Artefact) -> Result<Option<Found>> {
        let names = self.cache.names()?;
        for origin in artefact.origins {
            let mut ids: Vec<String> = Vec::new();
            match origin {
                Origin::Pinned(files) => {
                    ids.extend(files.iter().map(|file| pinned_id(artefact, file)));
                }
                _ => {
                    let base = origin_id(artefact, origin);
                    let of_base = |id: &&String| {
                        id.strip_prefix(&base)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
                    };
                    ids.extend(names.iter().filter(of_base).cloned());
                    ids.sort_by(|a, b| archive::version_order(b, a));
                }
            }
            for id in ids {
                let dir = self.cache.path(&id);
                if dir.exists() && (artefact.accept)(&dir).is_ok() {
                    return Ok(Some(Found {
                        dir,
                        from: "the cache".to_owned(),
                        not_from: Vec::new(),
                    }));
                }
            }
        }
        Ok(None)
    }

    fn try_origin(&self, search: &mut Search<'_>, origin: &Origin) -> Option<Found> {
        match *origin {
            Origin::Pinned(files) => {
                let Some(folder) = &self.folder else {
                    search.reasons.push(format!("{SOURCES} (not set)"));
                    return self.try_pool(search, files);
                };
                let from_folder = files.iter().find_map(|file| {
                    let words = format!("{SOURCES}, {}", file.file);
                    let id = pinned_id(search.artefact, file);
                    self.deliver(search, &id, &words, |dir, _| copy(folder, file, dir))
                });
                from_folder.or_else(|| self.try_pool(search, files))
            }
            Origin::Source { package, version } => self.try_listed(search, |search| {
                let sources = search.archive()?.sources(package, version);
                let sources = search.note(&format!("{package} {version}*"), sources)?;
                if sources.is_empty() {
                    let reason = format!("no suite lists {package} {version}*");
                    search.reasons.push(reason);
                }
                sources.into_iter().find_map(|source| {
                    let base = origin_id(search.artefact, origin);
                    let id = format!("{base}-{}", source.version);
                    let words = format!("the mirror, {}", source.file);
                    self.deliver_from_archive(search, &id, &words, |archive, dir, left| {
                        let sum = &source.sha256;
                        archive.file(&source.directory, &source.file, sum, dir, left)
                    })
                })
            }),
            Origin::Commit {
                repository,
                tag,
                commit,
                sha256,
            } => {
                let id = origin_id(search.artefact, origin);
                let words = format!("{repository}, {tag}");
                let stall = self.settings.stall;
                self.deliver(search, &id, &words, |dir, left| {
                    export(repository, tag, (commit, sha256), dir, stall, left)
                })
            }
            Origin::Package { package, version } => self.try_listed(search, |search| {
                let versions = search.archive()?.versions(package);
                let versions = search.note(package, versions)?;
                let (fit, others): (Vec<_>, Vec<_>) = versions
                    .into_iter()
                    .partition(|full| is_of_release(full, version));
                if fit.is_empty() {
                    let have = if others.is_empty() {
                        "none".to_owned()
                    } else {
                        others.join(", ")
                    };
                    search
                        .reasons
                        .push(format!("the suites list {package} in {have}"));
                }
                fit.into_iter().find_map(|full| {
                    let base = origin_id(search.artefact, origin);
                    let id = format!("{base}-{full}");
                    let words = format!("the mirror, {package} {full}");
                    self.deliver_from_archive(search, &id, &words, |archive, dir, left| {
                        archive.package(package, &full, dir, left)
                    })
                })
            }),
            Origin::Closure { suite, packages } => self.try_listed(search, |search| {
                let first = packages.first().unwrap_or(&"nothing");
                let words = format!("{}, {first} and what goes with it", suite.name());
                let id = origin_id(search.artefact, origin);
                let archives = self.archives(search);
                let archives = search.note(&words, archives)?;
                self.deliver_from_archive(search, &id, &words, |archive, dir, left| {
                    archive.closure(suite, packages, &archives, dir, left)
                })
            }),
            Origin::Rustup {
                component,
                toolchain,
            } => {
                let id = origin_id(search.artefact, origin);
                self.deliver(search, &id, "rustup", |dir, left| {
                    // Without a network rustup tries for long; the archive may be reachable.
                    let limit = left.min(Duration::from_secs(60));
                    Cmd::new(&self.rustup)
                        .args(["component", "add", component])
                        .args(["--toolchain", toolchain])
                        .limit(limit)
                        .run()?;
                    let sysroot = Cmd::new("rustc").args(["--print", "sysroot"]).output()?;
                    let library = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
                    // The component stays where rustup keeps it.
                    std::os::unix::fs::symlink(library, dir.join("library"))
                        .context("cannot link rustup's component")
                })
            }
        }
    }

    /// Tries to get one of some pinned files from the pool of the mirror.
    fn try_pool(&self, search: &mut Search<'_>, files: &[Pinned]) -> Option<Found> {
        self.open_archive(search)?;
        files.iter().find_map(|file| {
            let id = pinned_id(search.artefact, file);
            let words = format!("the mirror's pool, {} (pinned)", file.file);
            self.deliver_from_archive(search, &id, &words, |archive, dir, left| {
                archive.file(file.directory, file.file, file.sha256, dir, left)
            })
        })
    }

    /// Tries what the lists promise, and once more with new lists when old ones were wrong.
    fn try_listed(
        &self,
        search: &mut Search<'_>,
        attempt: impl Fn(&mut Search<'_>) -> Option<Found>,
    ) -> Option<Found> {
        self.open_archive(search)?;
        if !search.lists_are_new {
            let archive = search.archive()?;
            let updated = search.time().and_then(|left| archive.update_if_old(left));
            match updated {
                Ok(updated) => search.lists_are_new = updated,
                Err(error) => search.give_up_on_lists(&error),
            }
        }
        let reasons = search.reasons.len();
        let found = attempt(search);
        if found.is_some() || search.lists_are_new {
            return found;
        }
        // What old lists promised in vain says nothing.
        search.reasons.truncate(reasons);
        search.lists_are_new = true;
        // Even then, the lists of some suites may be new.
        let archive = search.archive()?;
        if let Err(error) = search.time().and_then(|left| archive.update(left)) {
            search.give_up_on_lists(&error);
        }
        attempt(search)
    }

    /// Opens the archive once in a search. Waiting for another process is not counted as searching.
    fn open_archive(&self, search: &mut Search<'_>) -> Option<()> {
        if search.archive.is_none() {
            let before = Instant::now();
            let opened = Archive::open(&self.cache.path("apt"), &self.settings);
            search.deadline += before.elapsed();
            search.archive = Some(search.note("Debian's archive", opened)?);
        }
        Some(())
    }

    /// The directory for downloads of several packages, one in a search.
    fn archives(&self, search: &mut Search<'_>) -> Result<PathBuf> {
        if search.archives.is_none() {
            let name = format!("{}.archives", search.artefact.name);
            search.archives = Some(self.cache.scratch(&name)?);
        }
        let scratch = search.archives.as_ref().context("just made")?;
        Ok(scratch.path().to_owned())
    }

    fn deliver_from_archive(
        &self,
        search: &mut Search<'_>,
        id: &str,
        words: &str,
        download: impl FnOnce(&Archive, &Path, Duration) -> Result<()>,
    ) -> Option<Found> {
        let archive = search.archive.take()?;
        let found = self.deliver(search, id, words, |dir, left| download(&archive, dir, left));
        search.archive = Some(archive);
        found
    }

    /// Lets `download` fill a directory within a time limit, and moves what comes of it into the
    /// cache as `id`. A failure joins the search's reasons and leaves nothing behind.
    fn deliver(
        &self,
        search: &mut Search<'_>,
        id: &str,
        words: &str,
        download: impl FnOnce(&Path, Duration) -> Result<()>,
    ) -> Option<Found> {
        let left = search.time();
        let artefact = search.artefact;
        let attempt = || {
            let left = left?;
            let files = self.cache.scratch(&format!("{id}.files"))?;
            download(files.path(), left)?;
            let made = self.cache.scratch(id)?;
            (artefact.finish)(files.path(), made.path())?;
            (artefact.accept)(made.path())?;
            self.cache.keep(&made, id)
        };
        let dir = search.note(words, attempt())?;
        Some(Found {
            dir,
            from: words.to_owned(),
            not_from: Vec::new(),
        })
    }
}

impl Found {
    /// One line for the user.
    fn line(&self, artefact: &Artefact) -> String {
        let mut line = format!("{}: from {}", artefact.title, self.from);
        if !self.not_from.is_empty() {
            line += &format!("; not from {}", self.not_from.join("; "));
        }
        line
    }
}

impl Search<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// What is left of the time for one more command; none is started without any, because a limit
    /// of zero would be none.
    fn time(&self) -> Result<Duration> {
        let left = self.left();
        ensure!(!left.is_zero(), "no time is left");
        Ok(left)
    }

    fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// The value, or `None` with the reason noted.
    fn note<T>(&mut self, words: &str, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| self.reasons.push(format!("{words}: {}", brief(&error))))
            .ok()
    }

    fn give_up_on_lists(&mut self, error: &Error) {
        self.reasons
            .push(format!("Debian's package lists: {}", brief(error)));
        self.lists_are_new = true;
    }
}

/// The cache's name for what an origin delivers.
fn origin_id(artefact: &Artefact, origin: &Origin) -> String {
    let recipe = format!("{origin:?}");
    format!("{}-{}", artefact.name, cache::short_hash(recipe.as_bytes()))
}

/// The cache's name for what a pinned file holds.
fn pinned_id(artefact: &Artefact, file: &Pinned) -> String {
    format!("{}-{}", artefact.name, &file.sha256[..16])
}

/// Whether a Debian version is of an upstream release.
fn is_of_release(full: &str, release: &str) -> bool {
    full.strip_prefix(release)
        .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

/// Copies a pinned file from a directory of the user's, if its sum is right.
fn copy(folder: &Path, pinned: &Pinned, dir: &Path) -> Result<()> {
    let path = folder.join(pinned.file);
    let found = cache::sha256(&path)?;
    ensure!(
        found == pinned.sha256,
        "it has the SHA-256 {found}, not {}",
        pinned.sha256
    );
    fs::copy(&path, dir.join(pinned.file))
        .with_context(|| format!("cannot copy {}", path.display()))?;
    Ok(())
}

/// Git in a directory, whatever repository the environment names (as in a hook of git's).
fn git(dir: &Path) -> Cmd {
    const NAMES: &[&str] = &[
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
    ];
    let git = Cmd::new("git").arg("-C").arg(dir);
    NAMES.iter().fold(git, |git, name| git.env_remove(name))
}

/// Makes a tarball of a tag in a repository, if the tag is the commit that it should be, and the
/// tarball has the sum that it should have.
fn export(
    repository: &str,
    tag: &str,
    (commit, sha256): (&str, &str),
    dir: &Path,
    stall: Duration,
    left: Duration,
) -> Result<()> {
    let clone = dir.join("clone");
    let end = Instant::now() + left;
    let git = || -> Result<Cmd> {
        let left = end.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no time is left");
        Ok(git(&clone).limit(left))
    };
    fs::create_dir(&clone).with_context(|| format!("cannot make {}", clone.display()))?;
    git()?.args(["init", "--quiet", "--bare"]).run()?;
    git()?
        // A repository that asks for a password is not the one that is meant.
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["-c", "http.lowSpeedLimit=1000", "-c"])
        .arg(format!("http.lowSpeedTime={}", stall.as_secs()))
        .args(["-c", "fetch.fsckObjects=true"])
        .args(["fetch", "--quiet", "--depth=1", repository])
        .arg(format!("refs/tags/{tag}"))
        .run()?;
    let found = git()?.args(["rev-parse", "FETCH_HEAD^{commit}"]).output()?;
    let found = found.trim();
    ensure!(found == commit, "it is the commit {found}, not {commit}");
    let tarball = dir.join(format!("{tag}.tar"));
    git()?
        // A user's configuration changes the tarball.
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .args(["archive", "--prefix=source/", "--output"])
        .arg(&tarball)
        .arg(commit)
        .run()?;
    let found = cache::sha256(&tarball)?;
    ensure!(found == sha256, "its SHA-256 is {found}, not {sha256}");
    fs::remove_dir_all(&clone).with_context(|| format!("cannot remove {}", clone.display()))
}

/// What an error comes down to, in a few words: of apt's messages the first that says something.
fn brief(error: &Error) -> String {
    let text = format!("{error:#}");
    let told = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("| "))
        .filter_map(|line| line.strip_prefix("E: ").or(line.strip_prefix("error: ")))
        .next();
    let line = told.or(text.lines().next()).unwrap_or_default();
    // apt ends with the server's address, which says nothing more.
    let line = line.split(" [IP: ").next().unwrap_or(line);
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Moves all files.
fn keep_all(from: &Path, to: &Path) -> Result<()> {
    keep_some(from, to, "")
}

/// Moves the files whose names begin with `prefix`; none is an error.
fn keep_some(from: &Path, to: &Path, prefix: &str) -> Result<()> {
    let mut any = false;
    for path in files(from)? {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with(prefix) {
            fs::rename(&path, to.join(name))?;
            any = true;
        }
    }
    ensure!(any, "nothing was delivered");
    Ok(())
}

fn accept_all(_: &Path) -> Result<()> {
    Ok(())
}

/// The files of a directory, sorted.
pub(crate) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

/// Unpacks packages into a directory without running their scripts.
///
/// # Errors
///
/// When one cannot be unpacked.
pub(crate) fn unpack(debs: &[PathBuf], root: &Path) -> Result<()> {
    for deb in debs {
        Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(root).run()?;
    }
    Ok(())
}
