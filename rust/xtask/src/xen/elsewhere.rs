//! The same sources make the same Rust object: in other directories, with vendored crates and
//! core's sources in another place, and from files of another date.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Options, RUST_OBJECT, build, configure, make};
use crate::cache::{self, Cache};
use crate::patch::repository;
use crate::proc::Cmd;
use crate::{host, vendor};

/// The scratch directory.
const NAME: &str = "elsewhere";

/// Builds Xen from copies of its source, of this repository and of what the cache has of core's
/// sources, with vendored crates, and compares the Rust object with that of the usual build. (Where
/// core's sources came with the toolchain they are taken from there.)
///
/// # Errors
///
/// The objects differ, or something cannot be built.
pub(crate) fn elsewhere() -> Result<()> {
    let options = Options::default();
    let built = build(&options)?;
    // Not in this repository, where cargo would find its configuration.
    let cache = Cache::open()?;
    let _lock = cache.lock(NAME)?;
    let scratch = cache.scratch(NAME)?;
    let [copy, crates, source, objects, caches] =
        ["repository", "vendored", "source", "objects", "caches"]
            .map(|name| scratch.path().join(name));

    fs::create_dir(&copy).with_context(|| format!("cannot create {}", copy.display()))?;
    let files = Cmd::new("git")
        .args(["ls-files"])
        .dir(repository())
        .output()?;
    Cmd::new("cp")
        .args(["--parents", "--target-directory"])
        .arg(&copy)
        .args(files.lines())
        .dir(repository())
        .output()?;
    let copy_tree = |from: &Path, to: &Path| {
        Cmd::new("cp")
            .args(["--recursive", "--preserve=links,mode"])
            .args([from, to])
            .output()
            .map(drop)
    };
    copy_tree(&built.tree, &source)?;
    let others = caches.join("xen-irq");
    fs::create_dir_all(&others).with_context(|| format!("cannot create {}", others.display()))?;
    let core = host::rust_src()?;
    if core.starts_with(cache::dir()?) {
        copy_tree(&core, &others)?;
    }
    vendor::write(&repository(), &crates)?;

    let usual = options.make(&source, &objects);
    let elsewhere = [
        ("XEN_IRQ_RS", copy),
        ("CARGO_HOME", crates.join(vendor::CARGO_HOME)),
        ("XDG_CACHE_HOME", caches),
    ]
    .map(|(name, path)| format!("{name}={}", path.display()));
    let make = make::Make {
        variables: [usual.variables, elsewhere.into()].concat(),
        ..usual
    };
    configure(&make, &options)?;
    make.run("build", "building Xen elsewhere")?;

    let read = |path: std::path::PathBuf| {
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let [here, there] = [&built.objects, &make.objects].map(|place| read(place.join(RUST_OBJECT)));
    ensure!(
        here? == there?,
        "{RUST_OBJECT} differs between this build and one of the same sources elsewhere"
    );
    println!("{RUST_OBJECT} is the same, from copies with vendored crates");
    Ok(())
}
