//! Debian packages: on the host, and from newer suites without touching the host's apt.
//!
//! Newer suites are read through an apt configuration of our own in the cache: same mirror and keyring as the host's,
//! other lists, and an empty package database, so that apt resolves a whole system from nothing. apt checks the
//! archive's signature and every file's sum.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use crate::proc::Cmd;
use crate::{cache, ui};

/// Names a Xen source tarball to be used instead of the archive's; nothing checks its sum.
pub(crate) const TARBALL_OVERRIDE: &str = "XEN_IRQ_XEN_TARBALL";

/// Names a directory with tarballs of [`PINNED`] versions, used before any archive.
pub(crate) const SOURCES: &str = "XEN_IRQ_SOURCES";

/// Upstream tarballs in the pool that need no index: a version stays there after the suites have dropped it.
const PINNED: &[(&str, &str, &str)] = &[(
    "xen",
    "xen_4.20.3+127-gc42374a105.orig.tar.xz",
    "df0831854a55a8f31cb3cb85036f2edc928e2ef098d77f815f5714bfafac68f3",
)];

/// The suites that are read, newest last.
const SUITES: [Suite; 3] = [Suite::Trixie, Suite::TrixieBackports, Suite::Sid];

/// Lists younger than this are taken as they are, unless a download fails.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// A Debian suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// Debian 13.
    Trixie,
    /// Newer packages for Debian 13.
    TrixieBackports,
    /// Debian unstable.
    Sid,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::TrixieBackports => "trixie-backports",
            Self::Sid => "sid",
        }
    }
}

/// Installs what is missing of `packages` on the host.
///
/// # Errors
///
/// When packages are missing and apt-get fails, or we are neither root nor have sudo; the error names them.
pub(crate) fn host_install(packages: &[&str]) -> Result<()> {
    let missing = host_missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let step = ui::step(format!("installing {list}"));
    let root = nix::unistd::geteuid().is_root();
    // -n: a hidden password prompt would look like a hang.
    if !root && Cmd::new("sudo").args(["-n", "true"]).run().is_err() {
        bail!("packages are missing: run `sudo apt-get install {list}`, then try again");
    }
    let apt = |args: &[&str]| {
        let cmd = if root {
            Cmd::new("env")
        } else {
            Cmd::new("sudo").args(["-n", "env"])
        };
        cmd.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
            .args(args)
            .run()
    };
    let install = || {
        let mut args = vec!["install", "-y", "--no-install-recommends"];
        args.extend(&missing);
        apt(&args)
    };
    if install().is_err() {
        // Most likely the host's lists are old or absent. One broken third-party source must not stop us: the second
        // try decides.
        let _ = apt(&["update"]);
        install().with_context(|| format!("cannot install {list}"))?;
    }
    step.done();
    Ok(())
}

/// Which of `packages` are not installed on the host.
fn host_missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    // dpkg-query fails when it knows one of them not at all; what it prints about the others still counts.
    let status = Cmd::new("sh")
        .args([
            "-c",
            "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' \"$@\" 2>/dev/null || true",
            "sh",
        ])
        .args(packages)
        .output()
        .context("cannot ask dpkg: this command needs a Debian system")?;
    let installed: Vec<&str> = status
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(packages
        .iter()
        .copied()
        .filter(|package| !installed.contains(package))
        .collect())
}

/// The upstream tarball of the source package `package` in the newest version that starts with `version_prefix`.
///
/// The variable [`TARBALL_OVERRIDE`] replaces Xen's.
///
/// # Errors
///
/// When no suite has such a version or none of its tarballs can be had.
pub(crate) fn source_tarball(package: &str, version_prefix: &str) -> Result<PathBuf> {
    if package == "xen"
        && let Some(path) = std::env::var_os(TARBALL_OVERRIDE).filter(|path| !path.is_empty())
    {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "{TARBALL_OVERRIDE} names {}, which is not a file",
            path.display()
        );
        return Ok(path);
    }
    let key = format!("source {package} {version_prefix}");
    let entry = cache::entry(&format!("source-{package}"), &key, |dir| {
        let mut step = ui::step(format!(
            "fetching the source of {package} {version_prefix}*"
        ));
        let mut failures = Vec::new();
        let mut pinned = Source::pinned(package, version_prefix);
        if pinned.any(|source| attempt(&mut failures, || from_directory(&source, dir))) {
            step.done();
            return Ok(());
        }
        let archive = Archive::open()?;
        let mut pinned = Source::pinned(package, version_prefix);
        if pinned.any(|source| attempt(&mut failures, || archive.fetch(&source, dir))) {
            step.done();
            return Ok(());
        }
        drop(archive);
        let result = with_fresh_lists(|archive| {
            let all = archive.cache(&["showsrc", "--only-source", package])?;
            let mut sources: Vec<Source> = all
                .split("\n\n")
                .filter_map(Source::parse)
                .filter(|source| source.version.starts_with(version_prefix))
                .collect();
            sources.sort_by(|a, b| version_order(&b.version, &a.version));
            sources.dedup();
            ensure!(
                !sources.is_empty(),
                "no suite of Debian has {package} {version_prefix}*"
            );
            for source in &sources {
                step.note(source.file.clone());
                if attempt(&mut failures, || archive.fetch(source, dir)) {
                    return Ok(());
                }
            }
            bail!(
                "no tarball of {package} can be had: {}",
                failures.join("; ")
            )
        });
        result?;
        step.done();
        Ok(())
    })?;
    only_file(&entry)
}

/// Whether `get` succeeds; if not, the reason joins `failures`.
fn attempt(failures: &mut Vec<String>, get: impl FnOnce() -> Result<()>) -> bool {
    let result = get();
    let done = result.is_ok();
    failures.extend(result.err().map(|error| format!("{error:#}")));
    done
}

/// Copies a tarball from the directory that [`SOURCES`] names, if its sum is right.
fn from_directory(source: &Source, dir: &Path) -> Result<()> {
    let from = std::env::var_os(SOURCES)
        .filter(|path| !path.is_empty())
        .with_context(|| format!("{SOURCES} is not set"))?;
    let path = Path::new(&from).join(&source.file);
    let found = cache::sha256(&path)?;
    ensure!(
        found == source.sha256,
        "{} has the SHA-256 {found}, not {}",
        path.display(),
        source.sha256
    );
    fs::copy(&path, dir.join(&source.file))
        .with_context(|| format!("cannot copy {}", path.display()))?;
    Ok(())
}

/// One upstream tarball of the archive.
#[derive(Debug, PartialEq)]
struct Source {
    version: String,
    directory: String,
    file: String,
    sha256: String,
}

impl Source {
    /// The pinned tarballs of a package whose version begins with `version_prefix`.
    fn pinned(package: &str, version_prefix: &str) -> impl Iterator<Item = Self> {
        PINNED.iter().filter_map(move |(name, file, sha256)| {
            let rest = file.strip_prefix(package)?.strip_prefix('_')?;
            let version = rest.split_once(".orig.")?.0;
            let fits = *name == package && version.starts_with(version_prefix);
            fits.then(|| Self {
                version: version.to_owned(),
                directory: format!("pool/main/{}/{package}", &package[..1]),
                file: (*file).to_owned(),
                sha256: (*sha256).to_owned(),
            })
        })
    }

    /// Reads a stanza of `apt-cache showsrc`.
    fn parse(stanza: &str) -> Option<Self> {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(str::to_owned)
        };
        let (sha256, file) = stanza
            .lines()
            .skip_while(|line| !line.starts_with("Checksums-Sha256:"))
            .skip(1)
            .take_while(|line| line.starts_with(' '))
            .find_map(|line| {
                let mut words = line.split_whitespace();
                let (sum, _size, file) = (words.next()?, words.next()?, words.next()?);
                file.contains(".orig.tar.")
                    .then(|| (sum.to_owned(), file.to_owned()))
            })
            .filter(|(_, file)| !file.ends_with(".asc"))?;
        Some(Self {
            version: field("Version")?,
            directory: field("Directory")?,
            file,
            sha256,
        })
    }
}

/// Debian's order of versions; equal when dpkg cannot tell.
fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    let is = |relation| {
        Cmd::new("dpkg")
            .args(["--compare-versions", a, relation, b])
            .run()
            .is_ok()
    };
    if is("lt") {
        std::cmp::Ordering::Less
    } else if is("gt") {
        std::cmp::Ordering::Greater
    } else {
        std::cmp::Ordering::Equal
    }
}

/// Exactly these packages of a suite, without what they depend on. `name=version` names a version.
///
/// # Errors
///
/// When the archive cannot be reached or has no such package.
pub(crate) fn debs(suite: Suite, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let key = format!("debs {} {}", suite.name(), packages.join(" "));
    let name = format!("debs-{}", stem(packages));
    let entry = cache::entry(&name, &key, |dir| {
        let step = ui::step(format!("fetching {}", packages.join(" ")));
        with_fresh_lists(|archive| {
            let target = packages.iter().map(|package| match package.contains('=') {
                true => (*package).to_owned(),
                false => format!("{package}/{}", suite.name()),
            });
            archive.get().arg("download").args(target).dir(dir).run()
        })?;
        step.done();
        Ok(())
    })?;
    files(&entry)
}

/// These packages and all that they depend on (not what they only recommend), as for an empty system.
///
/// `name/suite` takes one package and what it needs from another suite.
///
/// # Errors
///
/// When the archive cannot be reached or the dependencies cannot be met.
pub(crate) fn closure(suite: Suite, packages: &[&str]) -> Result<Vec<PathBuf>> {
    let key = format!("closure {} {}", suite.name(), packages.join(" "));
    let name = format!("closure-{}", stem(packages));
    let entry = cache::entry(&name, &key, |dir| {
        let step = ui::step(format!(
            "fetching {} and what they need",
            packages.join(" ")
        ));
        fs::create_dir(dir.join("partial"))?;
        with_fresh_lists(|archive| {
            archive
                .get()
                .args(["install", "-y", "--download-only", "-t", suite.name(), "-o"])
                .arg(format!("Dir::Cache::archives={}", dir.display()))
                .args(packages)
                .run()
        })?;
        fs::remove_dir_all(dir.join("partial"))?;
        let _ = fs::remove_file(dir.join("lock"));
        step.done();
        Ok(())
    })?;
    files(&entry)
}

/// The versions of a package that the suites have, newest first.
pub(crate) fn versions(package: &str) -> Result<Vec<String>> {
    with_fresh_lists(|archive| {
        let text = archive.cache(&["madison", package])?;
        let binary = text.lines().filter(|line| line.contains(" Packages"));
        Ok(binary
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
            .collect())
    })
}

/// Unpacks packages into a directory without running their scripts.
pub(crate) fn unpack(debs: &[PathBuf], root: &Path) -> Result<()> {
    for deb in debs {
        Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(root).run()?;
    }
    Ok(())
}

/// A short name for a set of packages, good for a file name.
fn stem(packages: &[&str]) -> String {
    let first = packages.first().copied().unwrap_or("none");
    first
        .chars()
        .take_while(|&c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
        .collect()
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn only_file(dir: &Path) -> Result<PathBuf> {
    let files = files(dir)?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!(
            "{} should hold one file: remove it and try again",
            dir.display()
        ),
    }
}

/// Runs `work` with the archive; when it fails and the lists are old, once more with new ones.
///
/// A package file disappears from the archive when a newer version replaces it, so old lists fail like that.
fn with_fresh_lists<T>(mut work: impl FnMut(&Archive) -> Result<T>) -> Result<T> {
    let archive = Archive::open()?;
    let updated = archive.update(FRESH)?;
    match work(&archive) {
        Err(_) if !updated => {
            archive.update(Duration::ZERO)?;
            work(&archive)
        }
        result => result,
    }
}

/// Our own view of the Debian archive.
struct Archive {
    dir: PathBuf,
    config: PathBuf,
    mirror: String,
    _lock: cache::Lock,
}

impl Archive {
    fn open() -> Result<Self> {
        let dir = cache::dir()?.join("apt");
        for sub in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(dir.join(sub))
                .with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let lock = cache::Lock::take(&dir.join(".lock"))?;
        let mirror = host_mirror()?;
        let keyring = ["gpg", "pgp"]
            .map(|suffix| format!("/usr/share/keyrings/debian-archive-keyring.{suffix}"))
            .into_iter()
            .find(|path| Path::new(path).exists())
            .context("the archive's keys are missing: install debian-archive-keyring")?;
        let suites = SUITES.map(Suite::name).join(" ");
        write_if_new(
            &dir.join("debian.sources"),
            &format!(
                "Types: deb deb-src\nURIs: {mirror}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n"
            ),
        )?;
        write_if_new(&dir.join("status"), "")?;
        let config = dir.join("apt.conf");
        let at = dir.display();
        write_if_new(
            &config,
            &format!(
                r#"Dir::State::lists "{at}/lists";
Dir::State::status "{at}/status";
Dir::Cache "{at}";
Dir::Etc::sourcelist "{at}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"#
            ),
        )?;
        Ok(Self {
            dir,
            config,
            mirror,
            _lock: lock,
        })
    }

    fn get(&self) -> Cmd {
        Cmd::new("apt-get")
            .env("APT_CONFIG", &self.config)
            .arg("-q")
    }

    fn cache(&self, args: &[&str]) -> Result<String> {
        Cmd::new("apt-cache")
            .env("APT_CONFIG", &self.config)
            .args(args)
            .output()
    }

    /// Brings the lists up to date when they are older than `age`; says whether it did.
    fn update(&self, age: Duration) -> Result<bool> {
        let stamp = self.dir.join("updated");
        let young = |time: SystemTime| time.elapsed().is_ok_and(|elapsed| elapsed < age);
        let sources = fs::metadata(self.dir.join("debian.sources"))?.modified()?;
        if let Ok(time) = fs::metadata(&stamp).and_then(|meta| meta.modified())
            && young(time)
            && time >= sources
        {
            return Ok(false);
        }
        let step = ui::step("reading Debian's package lists");
        self.get().arg("update").run().context(
            "Debian's package lists cannot be read: check the network and the host's apt sources",
        )?;
        fs::write(&stamp, "").context("cannot write the time stamp of the lists")?;
        step.done();
        Ok(true)
    }

    /// Downloads a tarball into `dir` and checks its sum against the signed index.
    fn fetch(&self, source: &Source, dir: &Path) -> Result<()> {
        let target = dir.join(&source.file);
        let uri = format!(
            "{}/{}/{}",
            self.mirror.trim_end_matches('/'),
            source.directory,
            source.file
        );
        Cmd::new("/usr/lib/apt/apt-helper")
            .env("APT_CONFIG", &self.config)
            .arg("download-file")
            .arg(&uri)
            .arg(&target)
            .arg(format!("SHA256:{}", source.sha256))
            .run()?;
        let found = cache::sha256(&target)?;
        if found != source.sha256 {
            fs::remove_file(&target)?;
            bail!(
                "{uri} has the SHA-256 {found}, the index says {}",
                source.sha256
            );
        }
        Ok(())
    }
}

/// The mirror of the main Debian archive that the host's apt uses.
fn host_mirror() -> Result<String> {
    let targets = Cmd::new("apt-get")
        .env_remove("APT_CONFIG")
        .args(["indextargets", "--format", "$(LABEL)|$(REPO_URI)"])
        .output()
        .context("cannot ask apt-get for the mirror: this command needs a Debian system")?;
    let lines = || targets.lines().filter_map(|line| line.split_once('|'));
    // The label is known only after an update; before, the path tells the main archive from the others.
    lines()
        .find(|(label, _)| *label == "Debian")
        .or_else(|| lines().find(|(_, uri)| uri.trim_end_matches('/').ends_with("/debian")))
        .map(|(_, uri)| uri.to_owned())
        .context("the host's apt has no Debian archive among its sources: add one")
}

/// Writes a file unless it already has this content, so that its time stays that of the last change.
fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZA: &str = "Package: xen\nVersion: 4.20.3-1\nDirectory: pool/main/x/xen\nChecksums-Sha256:\n \
                          aa 10 xen_4.20.3-1.dsc\n bb 20 xen_4.20.3.orig.tar.xz\nFiles:\n cc 10 xen_4.20.3-1.dsc\n";

    #[test]
    fn a_source_is_its_original_tarball() {
        let source = Source::parse(STANZA).unwrap();
        assert_eq!(source.version, "4.20.3-1");
        assert_eq!(source.directory, "pool/main/x/xen");
        assert_eq!(source.file, "xen_4.20.3.orig.tar.xz");
        assert_eq!(source.sha256, "bb");
    }

    #[test]
    fn a_stanza_without_a_tarball_is_no_source() {
        assert_eq!(Source::parse("Package: x\nVersion: 1\n"), None);
    }

    #[test]
    fn versions_sort_as_dpkg_says() {
        assert!(version_order("4.20.3+127", "4.20.10").is_lt());
        assert!(version_order("1", "1").is_eq());
    }
}
