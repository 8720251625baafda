//! `cargo xtask test`: everything that has to hold; what finds most per minute comes first.
//!
//! The long scenarios form shards: a run has one of them, which the commit chooses, so that all of
//! them are run again and again while each run is short. Every part of Xen that is in Rust is
//! booted in each shard.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::patch::repository;
use crate::proc::{Cmd, cpu_time};
use crate::units::{IN_WORK, UNITS, Unit};
use crate::xen::{self, Flavour, Options, Parts};
use crate::{grub, guest, host, hosts, offline, run_line, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out what boots a machine.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also build with clang and with the menu off, run all shards, and compare all scenarios with
    /// stock Xen.
    #[arg(long)]
    full: bool,
    /// Run only the checks whose names contain this.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["quick", "full"])]
    only: Option<String>,
    /// Begin no check after so many minutes; what is left out is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    /// Run this one of the shards that the long scenarios form; the commit chooses one, unless
    /// given.
    #[arg(long, value_name = "N", conflicts_with_all = ["quick", "full", "only"],
        value_parser = clap::value_parser!(u8).range(..SHARDS as i64))]
    shard: Option<u8>,
}

impl Args {
    fn wants(&self, check: &Check) -> bool {
        let most = match self {
            Self { full: true, .. } => Cost::Full,
            Self { quick: true, .. } => Cost::Quick,
            _ => Cost::Slow,
        };
        match &self.only {
            Some(text) => check.name.contains(text),
            None => check.cost <= most,
        }
    }
}

/// What a check costs, and so when it is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Quick,
    Slow,
    Full,
}

/// One thing that has to hold.
struct Check {
    name: &'static str,
    cost: Cost,
    /// The shards that it is in.
    shards: &'static [u8],
    work: Work,
}

/// How a check is made.
enum Work {
    /// By a function.
    Call(fn() -> Result<()>),
    /// By scenarios, one or a group.
    Boot(&'static str, Beside),
}

/// What is run beside Rust.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Stock Xen; it has to say the same.
    Stock,
    /// Nothing.
    Nothing,
}

/// How many shards there are.
const SHARDS: u8 = 4;
const EACH: &[u8] = &[0, 1, 2, 3];

/// The first seed of the cases by which slips are judged: each slip was found by these.
const SEED: &str = "1795762235061050000";

const CHECKS: &[Check] = &[
    quick("formatting", formatting),
    quick("tests of the host's crates", || cargo(&["test", "--quiet"])),
    quick("Xen with Rust builds", || run_line(&["xen"])),
    quick("gates", || run_line(&["gates"])),
    quick("symbols and prototypes", || run_line(&["abi"])),
    quick("stock Xen builds", || run_line(&["xen", "--stock"])),
    quick("where each C function went", || run_line(&["c-map"])),
    quick("debug checks of C", || run_line(&["debug-checks"])),
    // Other cases each time.
    quick("twin", || {
        UNITS
            .iter()
            .try_for_each(|unit| run_line(&["twin", "--file", unit.name, "--cases", "20000"]))
    }),
    quick("instructions of the hot paths", || {
        run_line(&["bench", "--no-times"])
    }),
    quick("set-up and build without a network", || {
        run_line(&["setup", "--fetch"])?;
        offline::run(&[&["setup", "--fetch"], &["xen"]])
    }),
    // A boot needs a network no more than a build.
    call(Cost::Slow, "the main job without a network", || {
        run_line(&["setup", "--fetch"])?;
        offline::run(&[&["boot"]])
    }),
    slow(
        "our own kernels as dom0, as on stock Xen",
        "smoke",
        Beside::Stock,
    ),
    quick("clippy of the host's crates", host_clippy),
    quick("lints of the test kernels", guest::lint),
    quick("clippy of the hypervisor's crates", xen_clippy),
    quick("gates fail on planted faults", || {
        run_line(&["gates", "--self-check"])
    }),
    quick("symbols and prototypes fail on planted faults", || {
        run_line(&["abi", "--self-check"])
    }),
    // Other ones each time.
    quick("twin fails on planted faults", || {
        run_line(&["twin", "--self-check", "--faults", "12"])
    }),
    // Where msi.c is in C, what it frees is kept by other locks.
    Check {
        shards: &[3],
        ..quick("twin of vmsi.c with the other files in C", || {
            run_line(&["twin", "--file", "vmsi", "--alone", "--cases", "20000"])
        })
    },
    // Other ones for each commit.
    Check {
        shards: &[1],
        ..quick("slips in our own Rust are found", || {
            run_line(&[
                "mutants", "--sample", "8", "--cases", "5000", "--seed", SEED,
            ])
        })
    },
    quick("what guests read from MSI-X tables", || {
        run_line(&["twin", "--oracle", "--cases", "200000"])
    }),
    quick("wrong answers from MSI-X tables are found", || {
        run_line(&["twin", "--oracle", "--self-check"])
    }),
    quick(
        "README's recipe leaves GRUB's default as it is",
        grub::check,
    ),
    slow(
        "the machine handed over to another kernel, as on stock Xen",
        "kexec",
        Beside::Stock,
    ),
    slow("devices behind bridges", "bridges", Beside::Nothing),
    slow(
        "a device's own bits of a vector control stay",
        "vector-control",
        Beside::Nothing,
    ),
    slow(
        "a device that disappears, as on stock Xen",
        "unplug",
        Beside::Stock,
    ),
    slow("remapping tables that are full", "fill", Beside::Nothing),
    shard(
        &[1],
        "each message of an MSI on its own processor, as on stock Xen",
        "multi",
        Beside::Stock,
    ),
    slow(
        "suspended to memory and woken, as on stock Xen",
        "sleep",
        Beside::Stock,
    ),
    shard(
        &[1],
        "MSI-X tables of an HVM guest, as on stock Xen",
        "hvm-msix",
        Beside::Stock,
    ),
    slow(
        "entries that an earlier kernel left unmasked",
        "stale",
        Beside::Nothing,
    ),
    shard(
        &[1],
        "a line that is asserted while it is bound, closed and moved",
        "intx",
        Beside::Nothing,
    ),
    slow(
        "interrupts that move while they come",
        "move",
        Beside::Nothing,
    ),
    Check {
        shards: &[0],
        ..call(
            Cost::Slow,
            "our own kernels on a debug build of Xen",
            // The second has a machine without remapping.
            || boot_debug(&["smoke", "stale"]),
        )
    },
    // Off by default, and built once more.
    Check {
        shards: &[2],
        ..quick(
            "gates, twin, planted faults and clippy of units in work",
            in_work,
        )
    },
    Check {
        shards: &[2],
        ..call(Cost::Slow, "units in work boot, as on stock Xen", || {
            IN_WORK.iter().try_for_each(|unit| {
                let line = ["boot", "--scenario", "smoke-pvh", "--compare", "--in-work"];
                run_line(&[&line[..], &[unit.switch]].concat())
            })
        })
    },
    shard(
        &[0],
        "Debian as dom0, VT-d, as on stock Xen",
        "dom0-vtd",
        Beside::Stock,
    ),
    shard(
        &[0],
        "Debian as dom0, 32-bit AMD-Vi, as on stock Xen",
        "dom0-amd",
        Beside::Stock,
    ),
    shard(
        &[1],
        "Debian as dom0, VT-d with 8-bit destinations, as on stock Xen",
        "dom0-vtd-noeim",
        Beside::Stock,
    ),
    shard(
        &[2],
        "Debian as dom0, 128-bit AMD-Vi, as on stock Xen",
        "dom0-amd-xt",
        Beside::Stock,
    ),
    shard(
        &[3],
        "Debian as dom0, no remapping, as on stock Xen",
        "dom0-nointremap",
        Beside::Stock,
    ),
    shard(
        &[2],
        "firmware tables that are wrong, as on stock Xen",
        "firmware",
        Beside::Stock,
    ),
    shard(
        &[2],
        "virtual functions of a NIC, VT-d",
        "sriov-vtd",
        Beside::Nothing,
    ),
    shard(
        &[3],
        "virtual functions of a NIC, AMD-Vi",
        "sriov-amd",
        Beside::Nothing,
    ),
    shard(
        &[3],
        "devices that are reset and change their owners, VT-d",
        "reassign-vtd",
        Beside::Nothing,
    ),
    shard(
        &[1],
        "devices that are reset and change their owners, AMD-Vi",
        "reassign-amd",
        Beside::Nothing,
    ),
    shard(
        &[3],
        "six HVM guests with NIC and disk, VT-d",
        "hvm-vtd",
        Beside::Nothing,
    ),
    shard(
        &[2],
        "six HVM guests with NIC and disk, 32-bit AMD-Vi",
        "hvm-amd",
        Beside::Nothing,
    ),
    shard(
        &[2],
        "pending bits in the page of an HVM guest's MSI-X table",
        "hvm-pending",
        Beside::Nothing,
    ),
    shard(
        &[0],
        "a function that is removed while an HVM guest walks its MSI-X table",
        "hvm-gone",
        Beside::Nothing,
    ),
    shard(
        &[3],
        "virtual functions that disappear while an HVM guest walks the MSI-X table of one",
        "sriov-gone",
        Beside::Nothing,
    ),
    shard(
        &[0],
        "six HVM guests with NIC and disk, 128-bit AMD-Vi",
        "hvm-amd-xt",
        Beside::Nothing,
    ),
    call(Cost::Full, "twin fails on every planted fault", || {
        run_line(&["twin", "--self-check"])
    }),
    call(
        Cost::Full,
        "what needs no machine, without a network",
        || offline::run(&[&["test", "--quick"]]),
    ),
    call(
        Cost::Full,
        "set-up and build on Debian 12, 13 and sid",
        hosts::check,
    ),
    call(
        Cost::Full,
        "all scenarios on a debug build of Xen with a poisoned pool",
        || boot_debug(&["all"]),
    ),
    call(Cost::Full, "a million cases of the oracle", || {
        run_line(&["twin", "--oracle", "--cases", "1000000"])
    }),
    call(Cost::Full, "many more cases of each twin", || {
        UNITS
            .iter()
            .try_for_each(|unit| run_line(&["twin", "--file", unit.name, "--cases", "200000"]))
    }),
    call(Cost::Full, "twin of msi.c with 300 CPUs", || {
        run_line(&["twin", "--file", "msi", "--cpus", "512", "--cases", "20000"])
    }),
    call(Cost::Full, "every slip in our own Rust is found", || {
        run_line(&["mutants"])
    }),
    call(Cost::Full, "menu off is stock Xen", || {
        println!("{} objects are equal", xen::menu_off()?);
        Ok(())
    }),
    call(
        Cost::Full,
        "the same object from other directories and vendored crates",
        xen::elsewhere,
    ),
    call(Cost::Full, "gcc and clang, release and debug", || {
        xen::matrix().map(drop)
    }),
    call(
        Cost::Full,
        "every configuration that stock Xen builds in",
        || run_line(&["configs", "--random", "20"]),
    ),
    call(
        Cost::Full,
        "each part alone in Rust, as on stock Xen",
        || {
            UNITS.iter().try_for_each(|unit| {
                ["smoke", "dom0", "hvm-msix"]
                    .iter()
                    .try_for_each(|scenario| {
                        run_line(&[
                            "boot",
                            "--scenario",
                            scenario,
                            "--compare",
                            "--part",
                            unit.switch,
                        ])
                    })
            })
        },
    ),
    Check {
        name: "all scenarios, as on stock Xen",
        cost: Cost::Full,
        shards: EACH,
        work: Work::Boot("all", Beside::Stock),
    },
];

const fn call(cost: Cost, name: &'static str, run: fn() -> Result<()>) -> Check {
    Check {
        name,
        cost,
        shards: EACH,
        work: Work::Call(run),
    }
}

const fn quick(name: &'static str, run: fn() -> Result<()>) -> Check {
    call(Cost::Quick, name, run)
}

/// Scenarios that every run has.
const fn slow(name: &'static str, scenario: &'static str, beside: Beside) -> Check {
    shard(EACH, name, scenario, beside)
}

/// Scenarios that the runs of some shards have.
const fn shard(
    shards: &'static [u8],
    name: &'static str,
    scenario: &'static str,
    beside: Beside,
) -> Check {
    Check {
        name,
        cost: Cost::Slow,
        shards,
        work: Work::Boot(scenario, beside),
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    if let Some(text) = &args.only {
        ensure!(
            CHECKS.iter().any(|check| args.wants(check)),
            "no check's name contains `{text}`"
        );
    }
    host::ensure()?;
    // What asks for all or for single checks has no shard.
    let shard = match args.shard {
        Some(shard) => Some(shard),
        None if args.full || args.only.is_some() => None,
        None => Some(shard_of_commit()?),
    };
    let mut table = ui::Table::new(&["check", "result", "seconds", "CPU"]);
    let (mut passed, mut skipped) = (0, 0);
    let mut failures = Vec::new();
    let mut times = Vec::new();
    let begin = Instant::now();
    for check in CHECKS {
        let late = args
            .minutes
            .is_some_and(|minutes| begin.elapsed().as_secs() >= 60 * minutes);
        let why = match shard {
            _ if !args.wants(check) => Some("skipped"),
            Some(shard) if !check.shards.contains(&shard) => Some("other shard"),
            _ if late => Some("no time"),
            _ => None,
        };
        if let Some(why) = why {
            skipped += 1;
            table.row([check.name, why, "", ""]);
            continue;
        }
        println!("\n== {}", check.name);
        let (start, cpu) = (Instant::now(), cpu_time());
        let result = match check.run() {
            Ok(()) => {
                passed += 1;
                "ok"
            }
            Err(error) => {
                let failure = format!("{}: {error:#}", check.name);
                eprintln!("error: {failure}");
                failures.push(failure);
                "FAILED"
            }
        };
        let (time, cpu) = (start.elapsed(), cpu_time().saturating_sub(cpu));
        let [seconds, cpu] = [time, cpu].map(|time| time.as_secs().to_string());
        table.row([check.name, result, &seconds, &cpu]);
        times.push((check.name, time));
    }
    println!();
    table.print();
    println!("\n{}", slowest(times));
    let shard = shard.map_or(String::new(), |shard| {
        format!(", shard {shard} of {SHARDS}")
    });
    println!(
        "{passed} passed, {} failed, {skipped} skipped, {} s{shard}",
        failures.len(),
        begin.elapsed().as_secs()
    );
    // Once more, below all that was printed since.
    ensure!(failures.is_empty(), "{}", failures.join("\nerror: "));
    Ok(())
}

impl Check {
    fn run(&self) -> Result<()> {
        match self.work {
            Work::Call(run) => run(),
            Work::Boot(scenario, Beside::Stock) => {
                run_line(&["boot", "--scenario", scenario, "--compare"])
            }
            Work::Boot(scenario, Beside::Nothing) => run_line(&["boot", "--scenario", scenario]),
        }
    }
}

/// How many of the slowest checks are named at the end.
const SLOWEST: usize = 6;

/// The slowest checks, for people.
fn slowest(mut times: Vec<(&str, Duration)>) -> String {
    times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    let slowest = times.iter().take(SLOWEST);
    let slowest = slowest.map(|(name, time)| format!("\n  {:5} s  {name}", time.as_secs()));
    format!("slowest:{}", slowest.collect::<String>())
}

/// The shard that the commit chooses. Without a commit it is the first.
fn shard_of_commit() -> Result<u8> {
    let head = Cmd::new("git")
        .args(["rev-parse", "HEAD"])
        .dir(repository())
        .output();
    head.map_or(Ok(0), |head| shard_of(head.trim()))
}

fn shard_of(commit: &str) -> Result<u8> {
    let start = commit.get(..8).unwrap_or(commit);
    let number = u32::from_str_radix(start, 16)
        .with_context(|| format!("\"{commit}\" is no name of a commit"))?;
    Ok((number % u32::from(SHARDS)) as u8)
}

/// Boots scenarios on a debug build of Xen.
fn boot_debug(scenarios: &[&str]) -> Result<()> {
    scenarios
        .iter()
        .try_for_each(|scenario| run_line(&["boot", "--scenario", scenario, "--debug"]))
}

fn cargo(args: &[&str]) -> Result<()> {
    show(Command::new("cargo").args(args))
}

/// Runs a command in the repository with its output shown. It ends with this one, which is in the
/// same process group.
fn show(command: &mut Command) -> Result<()> {
    let status = command
        .current_dir(repository())
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed ({status})");
    Ok(())
}

fn formatting() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])
}

fn host_clippy() -> Result<()> {
    cargo(&[
        "clippy",
        "--quiet",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])
}

/// Makes the checks of replaced files for units in work, which those leave out.
fn in_work() -> Result<()> {
    let built = xen::build(&Options {
        flavour: Flavour::Rust,
        parts: Parts::with_all_in_work(),
        ..Options::default()
    })?;
    run_line(&["gates", &built.objects.to_string_lossy()])?;
    IN_WORK.iter().try_for_each(|unit| {
        let twin = ["twin", "--file", unit.name];
        run_line(&[&twin[..], &["--cases", "20000"]].concat())?;
        run_line(&[&twin[..], &["--self-check", "--faults", "12"]].concat())
    })?;
    let all: Vec<_> = UNITS.iter().chain(&IN_WORK).collect();
    xen_clippy_in(&built, &all)?;
    IN_WORK
        .iter()
        .try_for_each(|unit| xen_clippy_in(&built, &[unit]))
}

/// Runs clippy on the crates that are built for Xen: with all units, and with each alone, which
/// must not need what belongs to another.
fn xen_clippy() -> Result<()> {
    // Of units in work the bindings know nothing in this build.
    let built = xen::build(&Options {
        flavour: Flavour::Rust,
        ..Options::default()
    })?;
    let all: Vec<_> = UNITS.iter().collect();
    xen_clippy_in(&built, &all)?;
    UNITS
        .iter()
        .try_for_each(|unit| xen_clippy_in(&built, &[unit]))
}

/// Runs clippy on the crates of some units, in the environment that Kbuild gave cargo in a build.
fn xen_clippy_in(built: &xen::Build, units: &[&Unit]) -> Result<()> {
    let env = built.objects.join("arch/x86/xen-irq/cargo.env");
    let env =
        std::fs::read_to_string(&env).with_context(|| format!("cannot read {}", env.display()))?;
    let sources = host::rust_src()?.join("library");
    let features: Vec<_> = units
        .iter()
        .map(|unit| format!("xen-irq/{}", unit.name))
        .collect();
    let mut command = Command::new("cargo");
    command.args(["clippy", "--quiet", "--lib"]);
    for package in ["xen-irq", "xen"] {
        command.args(["--package", package]);
    }
    for unit in units {
        command.args(["--package", unit.package]);
    }
    command
        .args(["--features", &features.join(",")])
        .args(["--target", "x86_64-unknown-none"])
        .arg("-Zbuild-std=core,compiler_builtins")
        .args(["--", "--deny", "warnings"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", &sources);
    command.envs(env.lines().filter_map(|line| line.split_once('=')));
    show(&mut command)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::boot;

    /// The scenarios of the checks that a run without options has in a shard.
    fn booted(shard: u8) -> BTreeSet<&'static str> {
        CHECKS
            .iter()
            .filter(|check| check.cost <= Cost::Slow && check.shards.contains(&shard))
            .filter_map(|check| match check.work {
                Work::Boot(scenario, _) => Some(boot::names(scenario)),
                Work::Call(_) => None,
            })
            .flatten()
            .collect()
    }

    /// Debian on wrong firmware tables takes minutes, and our own kernels meet the same tables in
    /// seconds (`firmware`): these are in `--full` alone, which has all scenarios.
    #[test]
    fn every_scenario_is_in_a_shard() {
        let all: BTreeSet<_> = (0..SHARDS)
            .flat_map(booted)
            .chain(boot::names("debian"))
            .collect();
        for scenario in boot::names("all") {
            assert!(all.contains(scenario), "{scenario} is in no shard");
        }
    }

    /// The main job, which each run has, is a guest with VT-d.
    #[test]
    fn every_shard_has_dom0_and_guests_on_both_iommus() {
        let is_main = |check: &&Check| check.name == "the main job without a network";
        let main = CHECKS.iter().find(is_main);
        assert!(main.is_some_and(|check| check.shards == EACH && check.cost <= Cost::Slow));
        for shard in 0..SHARDS {
            let booted = booted(shard);
            let has = |start: &str, iommu: &str| {
                booted
                    .iter()
                    .any(|name| name.starts_with(start) && name.contains(iommu))
            };
            assert!(has("dom0-", ""), "shard {shard} has no dom0");
            for iommu in ["vtd", "amd"] {
                assert!(has("smoke-", iommu), "shard {shard} {iommu}");
            }
            let guests = ["hvm-", "sriov-", "reassign-"];
            let guests = guests.iter().any(|start| has(start, "amd"));
            assert!(guests, "shard {shard} has no guest with AMD-Vi");
        }
    }

    #[test]
    fn the_checks_of_scenarios_name_some() {
        for check in CHECKS {
            assert!(!check.shards.is_empty() && check.shards.iter().all(|shard| *shard < SHARDS));
            if let Work::Boot(scenario, _) = check.work {
                assert!(!boot::names(scenario).is_empty(), "{scenario}");
            }
        }
    }

    #[test]
    fn a_commit_chooses_a_shard() {
        assert_eq!(
            shard_of("00000002ffffffffffffffffffffffffffffffff").unwrap(),
            2
        );
        assert_eq!(
            shard_of("00000005ffffffffffffffffffffffffffffffff").unwrap(),
            1
        );
        assert!(shard_of("no commit").is_err());
    }

    #[test]
    fn the_slowest_checks_come_first() {
        let second = Duration::from_secs(1);
        let text = slowest(vec![("a", second), ("b", 3 * second), ("c", 2 * second)]);
        assert_eq!(text, "slowest:\n      3 s  b\n      2 s  c\n      1 s  a");
    }
}
