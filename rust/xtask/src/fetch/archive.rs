//! The Debian archive, read through an apt configuration of its own in the cache.
//!
//! It names the host's mirror and keyring, but other suites than the host's, and an empty package
//! database, so that apt resolves a whole system from nothing. apt checks the signature of every
//! list and the sum of every file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::proc::Cmd;
use crate::{cache, ui};

/// The suites that are read.
pub(super) const SUITES: [Suite; 3] = [Suite::Trixie, Suite::TrixieBackports, Suite::Sid];

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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::TrixieBackports => "trixie-backports",
            Self::Sid => "sid",
        }
    }
}

/// What an archive is opened with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The mirror; the host's unless given.
    pub(super) mirror: Option<String>,
    /// How long a server may be silent.
    pub(super) stall: Duration,
    /// How often a failed download is tried again.
    pub(super) retries: u32,
    /// Lists without a signature are accepted. Only tests set it.
    pub(super) unsigned: bool,
}

/// One upstream tarball that a suite lists.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) version: String,
    pub(super) directory: String,
    pub(super) file: String,
    pub(super) sha256: String,
}

impl Source {
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
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (sum, _size, file) = (words.next()?, words.next()?, words.next()?);
                Some((sum.to_owned(), file.to_owned()))
            })
            .find(|(_, file)| file.contains(".orig.tar.") && !file.ends_with(".asc"))?;
        Some(Self {
            version: field("Version")?,
            directory: field("Directory")?,
            file,
            sha256,
        })
    }
}

/// The archive with its lists; locked, because apt runs once at a time.
pub(super) struct Archive {
    dir: PathBuf,
    config: PathBuf,
    mirror: String,
    _lock: cache::Lock,
}

impl Archive {
    /// Opens the archive in the directory `dir`, without touching the network.
    pub(super) fn open(dir: &Path, settings: &Settings) -> Result<Self> {
        for sub in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(dir.join(sub))
                .with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let lock = cache::Lock::take(&dir.join(".lock"))?;
        let mirror = match &settings.mirror {
            Some(mirror) => mirror.clone(),
            None => host_mirror()?,
        };
        let trust = if settings.unsigned {
            "Trusted: yes".to_owned()
        } else {
            format!("Signed-By: {}", keyring()?)
        };
        let suites = SUITES.map(Suite::name).join(" ");
        write_if_new(
            &dir.join("debian.sources"),
            &format!(
                "Types: deb deb-src\nURIs: {mirror}\nSuites: {suites}\nComponents: main\n{trust}\n"
            ),
        )?;
        write_if_new(&dir.join("status"), "")?;
        // What a package of backports needs comes from trixie, and from sid only where it must.
        write_if_new(
            &dir.join("preferences"),
            "Package: *\nPin: release n=sid\nPin-Priority: 50\n",
        )?;
        let config = dir.join("apt.conf");
        let (at, stall, retries) = (dir.display(), settings.stall.as_secs(), settings.retries);
        write_if_new(
            &config,
            &format!(
                r#"Dir::State::lists "{at}/lists";
Dir::State::status "{at}/status";
Dir::Cache "{at}";
Dir::Etc::sourcelist "{at}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "{at}/preferences";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "{retries}";
Acquire::http::Timeout "{stall}";
Acquire::https::Timeout "{stall}";
Acquire::http::Proxy::127.0.0.1 "DIRECT";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
"#
            ),
        )?;
        Ok(Self {
            dir: dir.to_owned(),
            config,
            mirror,
            _lock: lock,
        })
    }

    fn get(&self, limit: Duration) -> Cmd {
        Cmd::new("apt-get")
            .env("APT_CONFIG", &self.config)
            .arg("-q")
            .limit(limit)
    }

    fn cache(&self, args: &[&str]) -> Result<String> {
        Cmd::new("apt-cache")
            .env("APT_CONFIG", &self.config)
            .args(args)
            .output()
    }

    /// Brings the lists up to date unless they are young; says whether it did.
    pub(super) fn update_if_old(&self, limit: Duration) -> Result<bool> {
        let stamp = self.dir.join("updated");
        let young = |time: SystemTime| time.elapsed().is_ok_and(|elapsed| elapsed < FRESH);
        let sources = fs::metadata(self.dir.join("debian.sources"))?.modified()?;
        if let Ok(time) = fs::metadata(&stamp).and_then(|meta| meta.modified())
            && young(time)
            && time >= sources
        {
            return Ok(false);
        }
        self.update(limit)?;
        Ok(true)
    }

    /// Brings the lists up to date. Those of a suite that cannot be read stay as they were.
    pub(super) fn update(&self, limit: Duration) -> Result<()> {
        let step = ui::step("reading Debian's package lists");
        let updated = self.get(limit).arg("update").run();
        // What was begun is of no use to the next try, which begins anew.
        let partial = self.dir.join("lists/partial");
        for path in super::files(&partial)? {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        updated?;
        fs::write(self.dir.join("updated"), "")
            .context("cannot write the time stamp of the lists")?;
        step.done();
        Ok(())
    }

    /// The upstream tarballs of a source package whose version begins with `prefix`, newest first.
    pub(super) fn sources(&self, package: &str, prefix: &str) -> Result<Vec<Source>> {
        let all = self.cache(&["showsrc", "--only-source", package])?;
        let mut sources: Vec<Source> = all
            .split("\n\n")
            .filter_map(Source::parse)
            .filter(|source| source.version.starts_with(prefix))
            .collect();
        sources.sort_by(|a, b| version_order(&b.version, &a.version));
        sources.dedup();
        Ok(sources)
    }

    /// The versions of a binary package that the suites list, newest first.
    pub(super) fn versions(&self, package: &str) -> Result<Vec<String>> {
        let text = self.cache(&["madison", package])?;
        let binary = text.lines().filter(|line| line.contains(" Packages"));
        let mut versions: Vec<String> = binary
            .filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
            .collect();
        versions.sort_by(|a, b| version_order(b, a));
        versions.dedup();
        Ok(versions)
    }

    /// Downloads a file of the mirror into `dir`; a file with another sum is an error.
    pub(super) fn file(
        &self,
        directory: &str,
        file: &str,
        sha256: &str,
        dir: &Path,
        limit: Duration,
    ) -> Result<()> {
        let uri = format!("{}/{directory}/{file}", self.mirror.trim_end_matches('/'));
        let target = dir.join(file);
        Cmd::new("/usr/lib/apt/apt-helper")
            .env("APT_CONFIG", &self.config)
            .arg("download-file")
            .arg(&uri)
            .arg(&target)
            .arg(format!("SHA256:{sha256}"))
            .limit(limit)
            .run()?;
        let found = cache::sha256(&target)?;
        if found != sha256 {
            bail!("{uri} has the SHA-256 {found}, not {sha256}");
        }
        Ok(())
    }

    /// Downloads one version of a binary package into `dir`.
    pub(super) fn package(
        &self,
        package: &str,
        version: &str,
        dir: &Path,
        limit: Duration,
    ) -> Result<()> {
        self.get(limit)
            .args(["download", &format!("{package}={version}")])
            .dir(dir)
            .run()
    }

    /// Downloads packages and all that they depend on (not what they only recommend) into `dir`,
    /// by way of `archives`, where an attempt that failed leaves what it got.
    pub(super) fn closure(
        &self,
        suite: Suite,
        packages: &[&str],
        archives: &Path,
        dir: &Path,
        limit: Duration,
    ) -> Result<()> {
        let install = |archives: &Path| {
            let cache = format!("Dir::Cache::archives={}", archives.display());
            let get = self.get(limit).args(["install", "-y", "-t", suite.name()]);
            get.args(["-o", &cache])
        };
        fs::create_dir_all(archives.join("partial"))?;
        install(archives)
            .arg("--download-only")
            .args(packages)
            .run()?;
        // With nothing downloaded, all that is needed is listed: an earlier attempt may have left
        // other versions.
        let nothing = tempfile::tempdir_in(archives)?;
        fs::create_dir(nothing.path().join("partial"))?;
        let list = install(nothing.path())
            .arg("--print-uris")
            .args(packages)
            .output()?;
        for name in list.lines().filter_map(listed_name) {
            fs::rename(archives.join(name), dir.join(name))
                .with_context(|| format!("apt-get did not leave {name}"))?;
        }
        Ok(())
    }
}

/// The file name in a line of `apt-get --print-uris`.
fn listed_name(line: &str) -> Option<&str> {
    line.strip_prefix('\'')?.split_whitespace().nth(1)
}

/// The archive's public keys.
fn keyring() -> Result<String> {
    ["gpg", "pgp"]
        .map(|suffix| format!("/usr/share/keyrings/debian-archive-keyring.{suffix}"))
        .into_iter()
        .find(|path| Path::new(path).exists())
        .context("the archive's keys are missing: install debian-archive-keyring")
}

/// Debian's order of versions; equal when dpkg cannot tell.
pub(super) fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
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

/// The mirror of the main Debian archive that the host's apt uses.
pub(super) fn host_mirror() -> Result<String> {
    let targets = Cmd::new("apt-get")
        .env_remove("APT_CONFIG")
        .args(["indextargets", "--format", "$(LABEL)|$(REPO_URI)"])
        .output()
        .context("cannot ask apt-get for the mirror: this command needs a Debian system")?;
    let lines = || targets.lines().filter_map(|line| line.split_once('|'));
    // The label is known only after an update; before, the path tells the main archive from others.
    lines()
        .find(|(label, _)| *label == "Debian")
        .or_else(|| lines().find(|(_, uri)| uri.trim_end_matches('/').ends_with("/debian")))
        .map(|(_, uri)| uri.to_owned())
        .with_context(|| {
            format!(
                "the host's apt has no Debian archive among its sources: add one, or set {}",
                super::MIRROR
            )
        })
}

/// Writes a file unless it already has this content, so that its time stays that of the last
/// change.
fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZA: &str = "Package: xen\nVersion: 4.20.3-1\nDirectory: pool/main/x/xen\n\
                          Checksums-Sha256:\n aa 10 xen_4.20.3-1.dsc\n \
                          ab 11 xen_4.20.3.orig.tar.xz.asc\n bb 20 xen_4.20.3.orig.tar.xz\n\
                          Files:\n cc 10 xen_4.20.3-1.dsc\n";

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

    #[test]
    fn a_printed_line_has_the_file_name_second() {
        let line = "'http://mirror/pool/q_1%3a2.deb' q_1%3a2_amd64.deb 5 SHA256:00";
        assert_eq!(listed_name(line), Some("q_1%3a2_amd64.deb"));
        assert_eq!(listed_name("Reading package lists..."), None);
    }
}
