//! `cargo xtask test`: everything that has to hold, in the order from cheap to dear.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::abi::REPLACED;
use crate::patch::repository;
use crate::xen::{self, Flavour, Options};
use crate::{grub, guest, offline, run_line, setup, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out what boots a machine.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Also build with clang and with the menu off, and compare all scenarios with stock Xen.
    #[arg(long)]
    full: bool,
    /// Run only the checks whose names contain this.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["quick", "full"])]
    only: Option<String>,
    /// Begin no check after so many minutes; what is left out is said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
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
    run: fn() -> Result<()>,
}

const CHECKS: &[Check] = &[
    quick("formatting", formatting),
    quick("clippy of the host's crates", host_clippy),
    quick("lints of the test kernels", guest::lint),
    quick("tests of the host's crates", || cargo(&["test", "--quiet"])),
    quick("stock Xen builds", || run_line(&["xen", "--stock"])),
    quick("Xen with Rust builds", || run_line(&["xen"])),
    quick("clippy of the hypervisor's crates", xen_clippy),
    quick("set-up and build without a network", || {
        run_line(&["setup", "--fetch"])?;
        offline::run(&[&["setup", "--fetch"], &["xen"]])
    }),
    quick("gates", || run_line(&["gates"])),
    quick("gates fail on planted faults", || {
        run_line(&["gates", "--self-check"])
    }),
    quick("symbols and prototypes", || run_line(&["abi"])),
    quick("symbols and prototypes fail on planted faults", || {
        run_line(&["abi", "--self-check"])
    }),
    // Half of what the command does by itself: CI has random seeds as often as it runs.
    quick("twin", || run_line(&["twin", "--cases", "50000"])),
    // Other ones each time.
    quick("twin fails on planted faults", || {
        run_line(&["twin", "--self-check", "--faults", "24"])
    }),
    quick("instructions of the hot paths", || {
        run_line(&["bench", "--no-times"])
    }),
    quick(
        "README's recipe leaves GRUB's default as it is",
        grub::check,
    ),
    slow("our own kernels as dom0, as on stock Xen", || {
        scenarios("smoke")
    }),
    slow("our own kernels on a debug build of Xen", || {
        run_line(&["boot", "--scenario", "smoke", "--debug"])
    }),
    slow("interrupts that move while they come", || {
        run_line(&["boot", "--scenario", "move"])
    }),
    slow(
        "each message of an MSI on its own processor, as on stock Xen",
        || scenarios("multi"),
    ),
    slow("suspended to memory and woken, as on stock Xen", || {
        scenarios("sleep")
    }),
    slow(
        "the machine handed over to another kernel, as on stock Xen",
        || scenarios("kexec"),
    ),
    slow("remapping tables that are full", || {
        run_line(&["boot", "--scenario", "fill"])
    }),
    slow("devices behind bridges", || {
        run_line(&["boot", "--scenario", "bridges"])
    }),
    // A boot needs a network no more than a build.
    slow("Debian as dom0, as on stock Xen", || {
        offline::run(&[&["boot", "--scenario", "dom0", "--compare"]])
    }),
    slow("MSI-X tables of an HVM guest, as on stock Xen", || {
        scenarios("hvm-msix")
    }),
    slow("HVM guests with NIC and disk, VT-d", || {
        run_line(&["boot", "--scenario", "hvm-vtd"])
    }),
    slow("HVM guests with NIC and disk, 32-bit AMD-Vi", || {
        run_line(&["boot", "--scenario", "hvm-amd"])
    }),
    slow("HVM guests with NIC and disk, 128-bit AMD-Vi", || {
        run_line(&["boot", "--scenario", "hvm-amd-xt"])
    }),
    slow("devices that are reset and change their owners", || {
        run_line(&["boot", "--scenario", "reassign"])
    }),
    slow("virtual functions of a NIC", || {
        run_line(&["boot", "--scenario", "sriov"])
    }),
    full("twin fails on every planted fault", || {
        run_line(&["twin", "--self-check"])
    }),
    full("menu off is stock Xen", || {
        println!("{} objects are equal", xen::menu_off()?);
        Ok(())
    }),
    full("gcc and clang, release and debug", || {
        xen::matrix().map(drop)
    }),
    full("each part alone in Rust, as on stock Xen", || {
        REPLACED.iter().try_for_each(|(switch, _)| {
            ["smoke", "dom0"].iter().try_for_each(|scenario| {
                run_line(&[
                    "boot",
                    "--scenario",
                    scenario,
                    "--compare",
                    "--part",
                    switch,
                ])
            })
        })
    }),
    full("all scenarios, as on stock Xen", || scenarios("all")),
];

const fn quick(name: &'static str, run: fn() -> Result<()>) -> Check {
    Check {
        name,
        cost: Cost::Quick,
        run,
    }
}

const fn slow(name: &'static str, run: fn() -> Result<()>) -> Check {
    Check {
        name,
        cost: Cost::Slow,
        run,
    }
}

const fn full(name: &'static str, run: fn() -> Result<()>) -> Check {
    Check {
        name,
        cost: Cost::Full,
        run,
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
    setup::ensure()?;
    let mut table = ui::Table::new(&["check", "result", "seconds"]);
    let (mut passed, mut skipped) = (0, 0);
    let mut failures = Vec::new();
    let begin = Instant::now();
    for check in CHECKS {
        let late = args
            .minutes
            .is_some_and(|minutes| begin.elapsed().as_secs() >= 60 * minutes);
        if late || !args.wants(check) {
            skipped += 1;
            let why = if late { "no time" } else { "skipped" };
            table.row([check.name, why, ""]);
            continue;
        }
        println!("\n== {}", check.name);
        let start = Instant::now();
        let result = (check.run)();
        let result = match result {
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
        table.row([check.name, result, &start.elapsed().as_secs().to_string()]);
    }
    println!();
    table.print();
    println!(
        "{passed} passed, {} failed, {skipped} skipped",
        failures.len()
    );
    // Once more, below all that was printed since.
    ensure!(failures.is_empty(), "{}", failures.join("\nerror: "));
    Ok(())
}

/// Boots scenarios on stock Xen and with Rust, and compares.
fn scenarios(name: &str) -> Result<()> {
    run_line(&["boot", "--scenario", name, "--compare"])
}

fn cargo(args: &[&str]) -> Result<()> {
    show(Command::new("cargo").args(args))
}

/// Runs a command in the repository with its output shown. It ends with this one, which is in the same process group.
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

/// The crates that are built for Xen.
const XEN_CRATES: [&str; 6] = ["xen-irq", "msi", "remap-amd", "remap-vtd", "vmsi", "xen"];

/// The parts that Xen's configuration may leave out, as features of the first crate.
const PARTS: [&str; 4] = ["amd", "msi", "vmsi", "vtd"];

/// Runs clippy on the crates that are built for Xen, in the environment that Kbuild gave cargo: with all parts, and with each
/// part alone, which must not need what belongs to another.
fn xen_clippy() -> Result<()> {
    let options = Options {
        flavour: Flavour::Rust,
        ..Options::default()
    };
    let built = xen::build(&options)?;
    let env = built.objects.join("arch/x86/xen-irq/cargo.env");
    let env =
        std::fs::read_to_string(&env).with_context(|| format!("cannot read {}", env.display()))?;
    let sources = setup::rust_src()?.join("library");
    let clippy = |choice: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .args(["clippy", "--quiet", "--lib"])
            .args(choice)
            .args(["--target", "x86_64-unknown-none"])
            .arg("-Zbuild-std=core,compiler_builtins")
            .args(["--", "--deny", "warnings"])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("__CARGO_TESTS_ONLY_SRC_ROOT", &sources);
        command.envs(env.lines().filter_map(|line| line.split_once('=')));
        show(&mut command)
    };
    let packages = XEN_CRATES.iter().flat_map(|name| ["--package", name]);
    clippy(&packages.chain(["--all-features"]).collect::<Vec<_>>())?;
    PARTS
        .iter()
        .try_for_each(|part| clippy(&["--package", "xen-irq", "--features", part]))
}
