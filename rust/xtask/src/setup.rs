//! `cargo xtask setup`: what the other commands need on the host. Each of them calls
//! [`host::ensure`] first.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::cache::Cache;
use crate::fetch::Fetcher;
use crate::fetch::table::RUST_SOURCE;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::{boot, fetch, guest, host, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also fetch all that the other commands fetch when they first need it: with that in the
    /// cache, they work without a network.
    #[arg(long)]
    fetch: bool,
    /// Fetch all of it into an empty cache, which is removed afterwards, and print what came from
    /// where.
    #[arg(long, conflicts_with = "fetch")]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.check {
        return check();
    }
    let mut table = ui::Table::new(&["package", "needed because it"]);
    for (package, reason) in host::PACKAGES {
        table.row([*package, reason]);
    }
    table.print();
    host::ensure()?;
    println!("core's sources: {}", host::rust_src()?.display());
    if args.fetch {
        let others = fetch::table::ALL.into_iter();
        for artefact in others.filter(|artefact| artefact.name != RUST_SOURCE.name) {
            let dir = fetch::get(artefact)?;
            println!("{}: {}", artefact.title, dir.display());
        }
        boot::prepare()?;
        let step = ui::step("fetching crates");
        Cmd::new("cargo")
            .args(["fetch", "--locked"])
            .dir(repository())
            .run()?;
        guest::fetch()?;
        step.done();
    }
    Ok(())
}

/// Fetches everything into an empty cache and prints what came from where.
fn check() -> Result<()> {
    host::ensure()?;
    let scratch = Cache::open()?.scratch(&format!("check-{}", std::process::id()))?;
    let fetcher = Fetcher::from_environment(Cache::at(scratch.path().to_owned())?)?;
    let mut table = ui::Table::new(&["artefact", "from", "MB", "seconds"]);
    let mut failures = Vec::new();
    for artefact in fetch::table::ALL {
        let start = Instant::now();
        let (from, size) = match fetcher.get(artefact) {
            Ok(found) => (found.from, (size(&found.dir)? / 1_000_000).to_string()),
            Err(error) => {
                failures.push(format!("{error:#}"));
                ("FAILED".to_owned(), String::new())
            }
        };
        let seconds = start.elapsed().as_secs().to_string();
        table.row([artefact.title.to_owned(), from, size, seconds]);
    }
    table.print();
    ensure!(failures.is_empty(), "{}", failures.join("\nerror: "));
    Ok(())
}

/// The bytes of all files below a path, without following links.
fn size(path: &Path) -> Result<u64> {
    let about = std::fs::symlink_metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    fetch::files(path)?.iter().map(|path| size(path)).sum()
}
