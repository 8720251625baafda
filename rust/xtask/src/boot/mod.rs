//! `cargo xtask boot`: real Xen in an emulated machine.
//!
//! - [`scenarios`], [`smoke`], [`multi`], [`owners`]: the table of what is run.
//! - [`image`], [`cpio`]: what runs in the machine; the scripts are in tests/boot.
//! - [`acpi`], [`firmware`], [`gdb`]: the firmware's tables, made wrong before Xen reads them.
//! - [`emulator`], [`rig`]: the machine, and all that is needed to boot it.
//! - [`protocol`], [`runner`], [`reads`]: following what it says.
//! - [`keys`], [`verdict`]: what has to be seen.
//! - [`summary`]: what the main job ends with.
//! - [`transcript`]: stock and Rust compared.
//! - [`xtf`]: dom0 with the tests of XTF.

mod acpi;
mod bridges;
mod cpio;
mod emulator;
mod firmware;
mod gdb;
mod hang;
mod image;
mod intx;
mod keys;
mod leave;
mod multi;
mod owners;
mod protocol;
mod reads;
mod rig;
mod runner;
mod scenario;
mod scenarios;
mod smoke;
mod stale;
mod summary;
mod transcript;
mod verdict;
mod xtf;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{arguments, host, ui, xen};
use rig::{Payload, Rig};
use scenario::Scenario;
use transcript::Transcript;
use verdict::Row;

pub(crate) use image::prepare_root;
pub(crate) use xtf::{Death, Told, XtfRun};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenario to run, what the names of several begin with (`smoke`, `dom0`, `hvm`), or
    /// `all`, which is every one but `main`: the `hvm-*` hold all that `main` does.
    #[arg(long, default_value = "main", value_name = "NAME")]
    scenario: String,
    /// Run stock Xen; what it cannot come through is shown, and is no failure.
    #[arg(long)]
    stock: bool,
    /// Run stock Xen first where no transcript of it is there to compare with.
    #[arg(long, conflicts_with = "stock")]
    compare: bool,
    /// Build Xen with CONFIG_DEBUG, that is with assertions.
    #[arg(long)]
    debug: bool,
    /// A Xen tree to build instead of Debian's source; it is copied, never changed.
    #[arg(long, value_name = "DIR", value_parser = arguments::xen_tree())]
    xen_tree: Option<PathBuf>,
    #[command(flatten)]
    parts: xen::Parts,
    /// List the scenarios and run none.
    #[arg(long)]
    list: bool,
}

/// Which Xen is booted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Upstream's.
    Stock,
    /// With ours in it.
    Rust,
}

impl Flavour {
    /// The word in file names.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Rust => "rust",
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.list {
        let mut table = ui::Table::new(&["scenario", "what is booted"]);
        for scenario in std::iter::once(&scenarios::MAIN).chain(scenarios::ALL) {
            table.row([scenario.name, scenario.about]);
        }
        table.print();
        return Ok(());
    }
    let chosen = scenarios_named(&args.scenario);
    if chosen.is_empty() {
        bail!(
            "no scenario is called {}: see `cargo xtask boot --list`",
            args.scenario
        );
    }
    host::ensure()?;
    let mut rig = Rig::prepare(args.xen_tree, args.debug, args.parts)?;
    for scenario in chosen {
        let payload = scenario.payload(&rig)?;
        if args.stock {
            boot(&mut rig, scenario, &payload, Flavour::Stock)?;
            continue;
        }
        if args.compare
            && scenario.on_stock
            && stock_transcript(&rig, scenario, &payload)?.is_none()
            && let Err(error) = boot(&mut rig, scenario, &payload, Flavour::Stock)
        {
            // It is there to compare with, and may hang without a fault of ours.
            println!("stock Xen is booted once more: {error:#}");
            boot(&mut rig, scenario, &payload, Flavour::Stock)?;
        }
        boot(&mut rig, scenario, &payload, Flavour::Rust)?;
    }
    Ok(())
}

/// Gets what every boot needs besides Xen: the machine emulator, and dom0's system.
///
/// # Errors
///
/// When one of them cannot be fetched or made.
pub(crate) fn prepare() -> Result<()> {
    emulator::Emulator::get()?;
    image::dom0().map(drop)
}

/// What a name on the command line stands for: one scenario, all that begin with the name, or
/// `all`.
fn scenarios_named(name: &str) -> Vec<&'static Scenario> {
    let group = format!("{name}-");
    if name == scenarios::MAIN.name {
        return vec![&scenarios::MAIN];
    }
    let one = scenarios::ALL.iter().any(|scenario| scenario.name == name);
    scenarios::ALL
        .iter()
        .filter(|scenario| match name {
            "all" => true,
            _ if one => scenario.name == name,
            _ => scenario.name.starts_with(&group),
        })
        .collect()
}

/// The scenarios that a name on the command line stands for.
#[cfg(test)]
pub(crate) fn names(name: &str) -> Vec<&'static str> {
    let chosen = scenarios_named(name).into_iter();
    chosen.map(|scenario| scenario.name).collect()
}

/// Runs a scenario, prints what was checked, and keeps log and transcript.
///
/// # Errors
///
/// When it cannot be run, or something in it is false.
fn boot(rig: &mut Rig, scenario: &Scenario, payload: &Payload, flavour: Flavour) -> Result<()> {
    let name = format!("{}-{}", scenario.name, rig.flavour(flavour));
    let (record, log) = rig.boot(&name, payload, flavour)?;
    let transcript = match scenario.fault {
        None => Transcript::new(&payload.inputs, &record.events),
        Some(_) => {
            let events = [&*firmware::said_of_iommus(&record.events), &*record.events].concat();
            Transcript::new(&payload.inputs, &events)
        }
    };
    let mut rows = verdict::judge(scenario.checks, scenario.rules, &record);
    let stock = match flavour {
        Flavour::Stock => None,
        Flavour::Rust => stock_transcript(rig, scenario, payload)?,
    };
    if rows.iter().all(|row| row.ok) {
        let known = scenario
            .numbers
            .iter()
            .filter(|known| flavour == Flavour::Rust && rig.is_in_rust(known.part));
        let stock = stock.as_ref().map(Transcript::counts);
        rows.extend(verdict::count(known, transcript.counts(), stock));
    }
    if let Some(stock) = stock {
        let agreement = match stock.difference(&transcript) {
            None => Ok(format!("{} lines agree", stock.len())),
            Some(difference) => Err(difference),
        };
        rows.push(Row::new("same-as-stock", agreement));
    }
    println!(
        "\n{name}: {}, {:.0} s",
        scenario.about,
        record.took.as_secs_f64()
    );
    verdict::print(&rows);
    println!("serial log: {}", log.display());
    if flavour == Flavour::Stock && !scenario.on_stock {
        println!("Stock Xen need not come through this: what it does is for comparison only.");
        return Ok(());
    }
    if let Some(bad) = rows.into_iter().find(|row| !row.ok) {
        bail!("{name}: {}: {}", bad.name, bad.detail());
    }
    transcript.write(&match flavour {
        Flavour::Stock => rig.stock_transcript(scenario.name, &payload.inputs)?,
        Flavour::Rust => rig.result(&format!("{name}.transcript")),
    })?;
    if scenario.name == scenarios::MAIN.name {
        println!("\nseen:");
        let xen = rig.in_rust(flavour);
        for (name, text) in summary::lines(&record, &xen, &scenario.machine.describe()) {
            println!("  {name:8} {text}");
        }
    }
    Ok(())
}

/// The transcript of stock Xen with the same inputs, if it was run and all was true.
fn stock_transcript(
    rig: &Rig,
    scenario: &Scenario,
    payload: &Payload,
) -> Result<Option<Transcript>> {
    let path = rig.stock_transcript(scenario.name, &payload.inputs)?;
    Ok(Transcript::read(&path).filter(|stock| stock.is_of(&payload.inputs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_for_a_group_or_for_all() {
        assert_eq!(names("dom0-vtd"), ["dom0-vtd"]);
        assert_eq!(
            names("smoke"),
            [
                "smoke-pv-vtd",
                "smoke-pv-amd",
                "smoke-pv-vtd-noeim",
                "smoke-pv-amd-noxt",
                "smoke-pvh-vtd",
                "smoke-pvh-amd"
            ]
        );
        assert_eq!(names("all").len(), scenarios::ALL.len());
        assert_eq!(names("main"), ["main"]);
        assert!(!names("all").contains(&"main"));
        assert!(names("smok").is_empty());
    }
}
