//! The same sources make the same Rust object: in other directories, from vendored crates and from
//! files of another date.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Options, RUST_OBJECT, build, configure, make};
use crate::cache::Scratch;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::vendor;

/// Builds Xen from copies of its source and of this repository, with vendored crates, and compares
/// the Rust object with that of the usual build.
///
/// # Errors
///
/// The objects differ, or something cannot be built.
pub(crate) fn elsewhere() -> Result<()> {
    let options = Options::default();
    let built = build(&options)?;
    let name = format!("target/elsewhere-{}", std::process::id());
    let scratch = Scratch::create(repository().join(name))?;
    let [copy, crates, source, objects] =
        ["repository", "vendored", "source", "objects"].map(|name| scratch.path().join(name));

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
    Cmd::new("cp")
        .args(["--recursive", "--preserve=links,mode"])
        .args([&built.tree, &source])
        .output()?;
    vendor::write(&repository(), &crates)?;

    let usual = options.make(&source, &objects);
    let elsewhere = [
        ("XEN_IRQ_RS", copy),
        ("CARGO_HOME", crates.join(vendor::CARGO_HOME)),
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
