//! `cargo xtask clean`: removes what the commands made.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cache;
use crate::patch::repository;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also remove the cache with everything that was downloaded or made from it.
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let target = repository().join("target");
    for made in ["xen", "boot", "guest", "twin", "gates"] {
        remove(&target.join(made))?;
    }
    if args.all {
        remove(&cache::dir()?)?;
    }
    Ok(())
}

/// Removes a directory that may not exist.
fn remove(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    println!("removed {}", dir.display());
    Ok(())
}
