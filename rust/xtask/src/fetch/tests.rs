//! What becomes of a search when the servers fail, and that nothing half done stays in the cache.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::archive::{SUITES, Suite};
use super::server::{Answer, Server};
use super::*;

/// A server, a cache, and a fetcher between them.
struct World {
    server: Server,
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

/// A file of the archive, as its lists describe it.
#[derive(Clone)]
struct File {
    name: String,
    content: Vec<u8>,
}

impl File {
    fn new(name: &str) -> Self {
        // Long enough for a half of it to be something.
        let content = format!("{name} ").repeat(500).into_bytes();
        let name = name.to_owned();
        Self { name, content }
    }

    fn sha256(&self) -> String {
        Sha256::digest(&self.content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn path(&self) -> String {
        format!("pool/{}", self.name)
    }
}

/// The lists of the suites: stanzas of sources and of packages for each.
#[derive(Default)]
struct Lists(Vec<(Suite, String, String)>);

impl Lists {
    fn source(mut self, suite: Suite, package: &str, version: &str, file: &File) -> Self {
        let (sum, size, name) = (file.sha256(), file.content.len(), &file.name);
        let stanza = format!(
            "Package: {package}\nBinary: {package}\nVersion: {version}\nDirectory: pool\n\
             Format: 3.0 (quilt)\nFiles:\n 0123456789abcdef0123456789abcdef {size} {name}\n\
             Checksums-Sha256:\n {sum} {size} {name}\n\n"
        );
        self.0.push((suite, stanza, String::new()));
        self
    }

    fn package(mut self, suite: Suite, name: &str, version: &str, more: &str, file: &File) -> Self {
        let (sum, size, path) = (file.sha256(), file.content.len(), file.path());
        let stanza = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\nFilename: {path}\n\
             Size: {size}\nSHA256: {sum}\n{more}\n"
        );
        self.0.push((suite, String::new(), stanza));
        self
    }
}

impl World {
    fn new() -> Self {
        let server = Server::start();
        let dir = tempfile::tempdir().unwrap();
        let fetcher = Fetcher {
            cache: Cache::at(dir.path().join("cache")).unwrap(),
            folder: None,
            settings: Settings {
                mirror: Some(server.url()),
                stall: Duration::from_secs(1),
                retries: 0,
                unsigned: true,
            },
            limit: None,
            rustup: "/no/rustup".into(),
        };
        let world = Self {
            server,
            dir,
            fetcher,
        };
        world.publish(Lists::default());
        world
    }

    /// Puts lists on the server.
    fn publish(&self, lists: Lists) {
        for suite in SUITES {
            let name = suite.name();
            let mine = || lists.0.iter().filter(|(of, ..)| *of == suite);
            let sources: String = mine().map(|(_, source, _)| source.as_str()).collect();
            let packages: String = mine().map(|(.., package)| package.as_str()).collect();
            let mut release = format!(
                "Origin: Debian\nLabel: Debian\nSuite: {name}\nCodename: {name}\n\
                 Date: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: amd64\nComponents: main\n\
                 SHA256:\n"
            );
            let files = [
                ("main/source/Sources", sources),
                ("main/binary-amd64/Packages", packages),
            ];
            for (path, text) in files {
                let file = File {
                    name: path.to_owned(),
                    content: text.into_bytes(),
                };
                release += &format!(" {} {} {path}\n", file.sha256(), file.content.len());
                let path = format!("dists/{name}/{path}");
                self.server.put(&path, Answer::File(file.content));
            }
            let path = format!("dists/{name}/Release");
            self.server.put(&path, Answer::File(release.into_bytes()));
        }
    }

    fn offer(&self, file: &File) {
        self.server
            .put(&file.path(), Answer::File(file.content.clone()));
    }

    /// The names of the cache's entries; asserts that nothing half done is among the files.
    fn entries(&self) -> Vec<String> {
        let mut open = vec![self.dir.path().join("cache")];
        while let Some(dir) = open.pop() {
            for path in files(&dir).unwrap() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                // apt keeps empty directories of this name.
                let empty = path.is_dir() && files(&path).unwrap().is_empty();
                assert!(
                    (name == "partial" && empty) || !name.contains("partial"),
                    "{} stays",
                    path.display()
                );
                assert!(!name.ends_with(".FAILED"), "{} stays", path.display());
                if path.is_dir() {
                    open.push(path);
                }
            }
        }
        let mut names = self.fetcher.cache.names().unwrap();
        names.retain(|name| name != "apt");
        names
    }
}

/// An artefact of files that are not unpacked.
fn artefact(origins: Vec<Origin>) -> Artefact {
    Artefact {
        name: "thing",
        title: "the thing",
        minutes: 1,
        origins: origins.leak(),
        finish: keep_all,
        accept: accept_all,
        remedy: "do this",
    }
}

fn pinned(files: &[&File]) -> Origin {
    let pinned: Vec<Pinned> = files
        .iter()
        .map(|file| Pinned {
            directory: "pool",
            file: file.name.clone().leak(),
            sha256: file.sha256().leak(),
        })
        .collect();
    Origin::Pinned(pinned.leak())
}

const SOURCE: Origin = Origin::Source {
    package: "xen",
    version: "4.20.",
};

const PACKAGE: Origin = Origin::Package {
    package: "rust-src",
    version: "1.95.0",
};

/// The content of the only file of what was found.
fn content(found: &Found) -> Vec<u8> {
    let files = files(&found.dir).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read(&files[0]).unwrap()
}

#[test]
fn the_directory_comes_before_the_pool_and_the_cache_before_both() {
    let mut world = World::new();
    let file = File::new("xen_4.20.1.orig.tar.xz");
    world.offer(&file);
    let folder = world.dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(&file.name), &file.content).unwrap();
    world.fetcher.folder = Some(folder.clone());
    let artefact = artefact(vec![pinned(&[&file])]);
    let found = world.fetcher.get(&artefact).unwrap();
    assert_eq!(found.from, "XEN_IRQ_SOURCES, xen_4.20.1.orig.tar.xz");
    assert_eq!(content(&found), file.content);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(world.fetcher.get(&artefact).unwrap().from, "the cache");
    assert_eq!(world.server.asked(""), 0, "the network was not needed");
}

#[test]
fn a_wrong_sum_in_the_directory_ends_in_the_pool() {
    let mut world = World::new();
    let file = File::new("xen_4.20.1.orig.tar.xz");
    world.offer(&file);
    fs::write(world.dir.path().join(&file.name), "something else").unwrap();
    world.fetcher.folder = Some(world.dir.path().to_owned());
    let found = world
        .fetcher
        .get(&artefact(vec![pinned(&[&file])]))
        .unwrap();
    assert_eq!(content(&found), file.content);
    let line = found.line(&artefact(Vec::new()));
    assert!(
        line.starts_with(
            "the thing: from the mirror's pool, xen_4.20.1.orig.tar.xz (pinned); not from \
             XEN_IRQ_SOURCES, xen_4.20.1.orig.tar.xz: it has the SHA-256 "
        ),
        "{line}"
    );
    assert_eq!(world.entries().len(), 1);
}

/// Lets the first of two pinned files fail as `answer` says; gives the reason that the user reads.
fn first_fails(answer: Option<Answer>) -> String {
    let mut world = World::new();
    // The drip is ended by the time limit alone.
    if matches!(answer, Some(Answer::Drip(_))) {
        world.fetcher.limit = Some(Duration::from_secs(4));
    }
    let (bad, good) = (File::new("bad.tar"), File::new("good.tar"));
    if let Some(answer) = answer {
        world.server.put(&bad.path(), answer);
    }
    world.offer(&good);
    let both = artefact(vec![pinned(&[&bad]), pinned(&[&good])]);
    let alone = artefact(vec![pinned(&[&bad])]);
    let start = Instant::now();
    let error = world.fetcher.get(&alone).unwrap_err().to_string();
    assert!(
        start.elapsed() < Duration::from_secs(25),
        "{:?}",
        start.elapsed()
    );
    assert!(
        error.starts_with("the thing cannot be had: ") && error.ends_with("; do this"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(world.entries().is_empty(), "{:?}", world.entries());
    if world.fetcher.limit.is_none() {
        let found = world.fetcher.get(&both).unwrap();
        assert_eq!(content(&found), good.content);
        assert!(found.from.contains("good.tar"), "{}", found.from);
        assert_eq!(world.entries().len(), 1);
    }
    error
}

#[test]
fn not_found_ends_in_the_next_origin() {
    let error = first_fails(None);
    assert!(error.contains("404 Not Found"), "{error}");
}

#[test]
fn a_wrong_sum_ends_in_the_next_origin() {
    let error = first_fails(Some(Answer::File(b"something else".repeat(9))));
    assert!(error.contains("Hash Sum mismatch"), "{error}");
}

#[test]
fn a_cut_transfer_ends_in_the_next_origin() {
    let error = first_fails(Some(Answer::Cut(File::new("bad.tar").content)));
    assert!(error.contains("Failed to fetch"), "{error}");
}

#[test]
fn a_stall_ends_in_the_next_origin() {
    let error = first_fails(Some(Answer::Stall));
    assert!(error.contains("Connection failed"), "{error}");
}

#[test]
fn a_transfer_that_never_ends_is_ended_by_the_time_limit() {
    let error = first_fails(Some(Answer::Drip(vec![b'x'; 1000])));
    assert!(error.contains("took longer than"), "{error}");
}

#[test]
fn after_the_time_limit_no_origin_is_tried() {
    let mut world = World::new();
    world.fetcher.limit = Some(Duration::ZERO);
    let file = File::new("good.tar");
    world.offer(&file);
    let error = world.fetcher.get(&artefact(vec![pinned(&[&file])]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("no time is left"), "{error}");
    assert_eq!(world.server.asked("good.tar"), 0);
}

#[test]
fn versions_of_the_suites_are_tried_from_the_newest() {
    let world = World::new();
    let [old, middle, new, other] = ["4.20.9", "4.20.10", "4.20.11", "4.21.0"]
        .map(|version| File::new(&format!("xen_{version}.orig.tar.xz")));
    world.publish(
        Lists::default()
            .source(Suite::Trixie, "xen", "4.20.9-1", &old)
            .source(Suite::Sid, "xen", "4.21.0-1", &other)
            .source(Suite::TrixieBackports, "xen", "4.20.11-1", &new)
            .source(Suite::Sid, "xen", "4.20.10-1", &middle),
    );
    for file in [&old, &middle, &other] {
        world.offer(file);
    }
    let found = world.fetcher.get(&artefact(vec![SOURCE])).unwrap();
    assert_eq!(found.from, "the mirror, xen_4.20.10.orig.tar.xz");
    assert_eq!(content(&found), middle.content);
    assert!(found.not_from[0].contains("xen_4.20.11.orig.tar.xz"));
    assert_eq!(world.server.asked(&other.name), 0);
    // What came from a suite is found in the cache, without the lists.
    let before = world.server.asked("");
    let again = world.fetcher.get(&artefact(vec![SOURCE])).unwrap();
    assert_eq!((again.dir, again.from.as_str()), (found.dir, "the cache"));
    assert_eq!(world.server.asked(""), before);
}

#[test]
fn what_is_refused_counts_as_not_found() {
    let world = World::new();
    let (first, second) = (File::new("first.tar"), File::new("second.tar"));
    world.offer(&first);
    world.offer(&second);
    let refuse_first = |dir: &Path| {
        ensure!(!dir.join("first.tar").exists(), "the series does not fit");
        Ok(())
    };
    let origins = vec![pinned(&[&first, &second])];
    let picky = Artefact {
        accept: refuse_first,
        ..artefact(origins.clone())
    };
    // In the cache, too.
    world.fetcher.get(&artefact(origins)).unwrap();
    let found = world.fetcher.get(&picky).unwrap();
    assert_eq!(content(&found), second.content);
    assert!(
        found
            .not_from
            .iter()
            .any(|why| why.ends_with("(pinned): the series does not fit")),
        "{:?}",
        found.not_from
    );
}

#[test]
fn old_lists_are_brought_up_to_date() {
    let world = World::new();
    let (old, new) = (
        File::new("xen_4.20.1.orig.tar.xz"),
        File::new("xen_4.20.2.orig.tar.xz"),
    );
    world.publish(Lists::default().source(Suite::Trixie, "xen", "4.20.1-1", &old));
    world.offer(&old);
    world.fetcher.get(&artefact(vec![SOURCE])).unwrap();
    // The archive moves on.
    world.publish(Lists::default().source(Suite::Trixie, "xen", "4.20.2-1", &new));
    world.server.remove(&old.path());
    world.offer(&new);
    let renamed = Artefact {
        name: "another",
        ..artefact(vec![SOURCE])
    };
    let found = world.fetcher.get(&renamed).unwrap();
    assert_eq!(content(&found), new.content);
    assert!(found.not_from.is_empty(), "{:?}", found.not_from);
}

#[test]
fn a_list_that_cannot_be_had_is_named_and_the_others_serve() {
    let half = Answer::Cut(b"Package: xen\n".repeat(9));
    for (path, answer) in [
        ("dists/sid/main/source/Sources", half),
        ("dists/sid/InRelease", Answer::Stall),
    ] {
        let world = World::new();
        let file = File::new("xen_4.20.1.orig.tar.xz");
        world.publish(
            Lists::default()
                .source(Suite::Trixie, "xen", "4.20.1-1", &file)
                .source(Suite::Sid, "other", "1", &file),
        );
        world.offer(&file);
        world.server.put(path, answer);
        let found = world.fetcher.get(&artefact(vec![SOURCE])).unwrap();
        assert_eq!(content(&found), file.content);
        let reasons = found.not_from;
        assert!(
            reasons.len() == 1
                && reasons[0].starts_with("Debian's package lists: ")
                && reasons[0].contains("/sid"),
            "{path}: {reasons:?}"
        );
    }
}

#[test]
fn lists_without_a_signature_are_refused() {
    let mut world = World::new();
    world.fetcher.settings.unsigned = false;
    let file = File::new("xen_4.20.1.orig.tar.xz");
    world.publish(Lists::default().source(Suite::Trixie, "xen", "4.20.1-1", &file));
    world.offer(&file);
    let error = world.fetcher.get(&artefact(vec![SOURCE])).unwrap_err();
    assert!(format!("{error}").contains("is not signed"), "{error}");
    assert_eq!(world.server.asked(&file.name), 0);
}

#[test]
fn a_list_with_another_sum_than_its_release_is_refused() {
    let world = World::new();
    let file = File::new("xen_4.20.1.orig.tar.xz");
    world.publish(Lists::default().source(Suite::Trixie, "xen", "4.20.1-1", &file));
    world.offer(&file);
    let forged = Answer::File(b"Package: xen\n".to_vec());
    world.server.put("dists/trixie/main/source/Sources", forged);
    let error = world.fetcher.get(&artefact(vec![SOURCE])).unwrap_err();
    assert!(
        error.to_string().contains("Debian's package lists: "),
        "{error}"
    );
    assert!(world.entries().is_empty());
}

#[test]
fn a_package_falls_back_to_another_suite_and_then_to_its_pinned_file() {
    let world = World::new();
    let [sid, backports] = ["rust-src_1.95.0-2.deb", "rust-src_1.95.0-1.deb"].map(File::new);
    let newer = File::new("rust-src_1.97.0-1.deb");
    let lists = || {
        Lists::default()
            .package(Suite::Sid, "rust-src", "1.95.0-2", "", &sid)
            .package(
                Suite::TrixieBackports,
                "rust-src",
                "1.95.0-1",
                "",
                &backports,
            )
            .package(Suite::Trixie, "rust-src", "1.97.0-1", "", &newer)
    };
    world.publish(lists());
    world.offer(&backports);
    let found = world.fetcher.get(&artefact(vec![PACKAGE])).unwrap();
    assert_eq!(found.from, "the mirror, rust-src 1.95.0-1");
    assert_eq!(content(&found), backports.content);

    // No suite has the release any more.
    let world = World::new();
    let only_newer = Lists::default().package(Suite::Sid, "rust-src", "1.97.0-1", "", &newer);
    world.publish(only_newer);
    world.offer(&backports);
    let both = artefact(vec![PACKAGE, pinned(&[&backports])]);
    let found = world.fetcher.get(&both).unwrap();
    assert_eq!(
        found.from,
        "the mirror's pool, rust-src_1.95.0-1.deb (pinned)"
    );
    assert_eq!(found.not_from[0], "the suites list rust-src in 1.97.0-1");
}

const KERNELS: [Origin; 2] = [
    Origin::Closure {
        suite: Suite::Trixie,
        packages: &["linux-image"],
    },
    Origin::Closure {
        suite: Suite::Sid,
        packages: &["linux-image"],
    },
];

#[test]
fn a_kernel_between_two_point_releases_comes_from_another_suite() {
    let world = World::new();
    let [meta, image, new_meta, new_image] = [
        "linux-image_6.deb",
        "linux-image-6_6.deb",
        "linux-image_7.deb",
        "linux-image-7_7.deb",
    ]
    .map(File::new);
    let needs = |name: &str| format!("Depends: {name}\n");
    world.publish(
        Lists::default()
            .package(
                Suite::Trixie,
                "linux-image",
                "6",
                &needs("linux-image-6"),
                &meta,
            )
            .package(Suite::Trixie, "linux-image-6", "6", "", &image)
            .package(
                Suite::Sid,
                "linux-image",
                "7",
                &needs("linux-image-7"),
                &new_meta,
            )
            .package(Suite::Sid, "linux-image-7", "7", "", &new_image),
    );
    // The image of trixie has been replaced; half of what it needs can be downloaded.
    for file in [&meta, &new_meta, &new_image] {
        world.offer(file);
    }
    let found = world.fetcher.get(&artefact(KERNELS.to_vec())).unwrap();
    assert!(found.from.starts_with("sid, "), "{}", found.from);
    let names: Vec<_> = files(&found.dir)
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        ["linux-image-7_7_amd64.deb", "linux-image_7_amd64.deb"]
    );
    assert_eq!(world.entries().len(), 1);
}

#[test]
fn a_kernel_whose_image_is_in_no_list_comes_from_another_suite() {
    let world = World::new();
    let [meta, new_meta] = ["linux-image_6.deb", "linux-image_7.deb"].map(File::new);
    let depends = "Depends: linux-image-6\n";
    world.publish(
        Lists::default()
            .package(Suite::Trixie, "linux-image", "6", depends, &meta)
            .package(Suite::Sid, "linux-image", "7", "", &new_meta),
    );
    world.offer(&meta);
    world.offer(&new_meta);
    let found = world.fetcher.get(&artefact(KERNELS.to_vec())).unwrap();
    assert!(found.from.starts_with("sid, "), "{}", found.from);
    assert_eq!(content(&found), new_meta.content);
}

#[test]
fn rustup_that_fails_or_hangs_ends_in_the_next_origin() {
    let mut world = World::new();
    let file = File::new("good.tar");
    world.offer(&file);
    let rustup = Origin::Rustup {
        component: "rust-src",
        toolchain: "0.0.0",
    };
    let artefact = artefact(vec![rustup, pinned(&[&file])]);
    let script = world.dir.path().join("rustup");
    fs::write(
        &script,
        "#!/bin/sh\necho 'error: no such component' >&2\nexit 1\n",
    )
    .unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    world.fetcher.rustup = script;
    let found = world.fetcher.get(&artefact).unwrap();
    assert_eq!(content(&found), file.content);
    assert_eq!(found.not_from[0], "rustup: no such component");
}

/// A repository in the directory with one tag, and the commit that the tag is.
fn repository(dir: &Path) -> String {
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b"];
        super::git(dir)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(identity)
            .args(args)
    };
    git(&["init", "--quiet"]).run().unwrap();
    fs::write(dir.join("file"), "text").unwrap();
    git(&["add", "file"]).run().unwrap();
    git(&["commit", "--quiet", "--message=a"]).run().unwrap();
    git(&["tag", "RELEASE-1"]).run().unwrap();
    let commit = git(&["rev-parse", "HEAD"]).output().unwrap();
    commit.trim().to_owned()
}

/// The tarball of a repository's tag, by its SHA-256.
fn sum_of_tag(dir: &Path) -> String {
    let tarball = dir.join("tarball");
    let output = format!("--output={}", tarball.display());
    let git = super::git(dir).args(["archive", "--prefix=source/", &output, "RELEASE-1^{commit}"]);
    git.run().unwrap();
    crate::cache::sha256(&tarball).unwrap()
}

fn commit(dir: &Path, commit: &str, sha256: &str) -> Origin {
    Origin::Commit {
        repository: format!("file://{}", dir.display()).leak(),
        tag: "RELEASE-1",
        commit: commit.to_owned().leak(),
        sha256: sha256.to_owned().leak(),
    }
}

#[test]
fn a_tag_is_taken_where_it_is_the_pinned_commit() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let pinned = repository(dir.path());
    let sum = sum_of_tag(dir.path());
    let gone = tempfile::tempdir().unwrap().path().join("gone");
    let origins = vec![
        commit(&gone, &pinned, &sum),
        commit(dir.path(), &pinned, &sum),
    ];
    let found = world.fetcher.get(&artefact(origins)).unwrap();
    let files = files(&found.dir).unwrap();
    assert_eq!(files.len(), 1, "{files:?}");
    let tar = Cmd::new("tar").arg("--to-stdout").arg("-xf").arg(&files[0]);
    assert_eq!(tar.output().unwrap(), "text");
    assert!(found.from.ends_with(", RELEASE-1"), "{}", found.from);
    assert_eq!(found.not_from.len(), 1, "{:?}", found.not_from);
    assert_eq!(world.entries().len(), 1);
}

#[test]
fn a_tag_that_has_moved_is_refused() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let moved = repository(dir.path());
    let pinned = "0123456789abcdef0123456789abcdef01234567";
    let origins = vec![commit(dir.path(), pinned, &sum_of_tag(dir.path()))];
    let error = world.fetcher.get(&artefact(origins)).unwrap_err();
    let reason = format!("it is the commit {moved}, not {pinned}");
    assert!(error.to_string().contains(&reason), "{error:#}");
    assert!(world.entries().is_empty());
}

#[test]
fn a_tag_with_another_sum_is_refused() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let pinned = repository(dir.path());
    let other = "0".repeat(64);
    let origins = vec![commit(dir.path(), &pinned, &other)];
    let error = world.fetcher.get(&artefact(origins)).unwrap_err();
    let reason = format!("its SHA-256 is {}, not {other}", sum_of_tag(dir.path()));
    assert!(error.to_string().contains(&reason), "{error:#}");
    assert!(world.entries().is_empty());
}
