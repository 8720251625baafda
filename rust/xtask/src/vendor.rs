//! `cargo xtask vendor`: the crates beside a configuration of cargo, for a build without a network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::patch::repository;
use crate::proc::Cmd;
use crate::{host, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory to write; it must not be there.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// What cargo's home has to be, below the directory.
pub(crate) const CARGO_HOME: &str = ".cargo";

/// The crates, below the directory.
const CRATES: &str = "crates";

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let Args { dir } = args;
    write(&repository(), &dir)?;
    println!(
        "build with CARGO_HOME={} in the environment",
        dir.canonicalize()?.join(CARGO_HOME).display()
    );
    Ok(())
}

/// Writes the crates that a copy of this repository needs, and those that core's sources name.
pub(crate) fn write(repository: &Path, dir: &Path) -> Result<()> {
    ensure!(!dir.exists(), "{} is there already", dir.display());
    let library = host::rust_src()?.join("library/Cargo.toml");
    let home = dir.join(CARGO_HOME);
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let dir = dir.canonicalize()?;
    let step = ui::step("writing the crates");
    Cmd::new("cargo")
        .args([
            "vendor",
            "--quiet",
            "--locked",
            "--versioned-dirs",
            "--sync",
        ])
        .arg(library)
        .arg(dir.join(CRATES))
        // What core's sources need is not in this repository's lock, and theirs names it.
        .env("RUSTC_BOOTSTRAP", "1")
        .dir(repository)
        .output()?;
    // cargo takes the path from the directory above its home.
    let config = format!(
        "[source.crates-io]\nreplace-with = \"vendored\"\n\n\
         [source.vendored]\ndirectory = \"{CRATES}\"\n\n\
         [net]\noffline = true\n"
    );
    fs::write(dir.join(CARGO_HOME).join("config.toml"), config)?;
    step.done();
    Ok(())
}
