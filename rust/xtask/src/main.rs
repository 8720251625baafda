//! The commands of xen-irq: `cargo xtask …`.
//!
//! One module per command; what several commands need lives in [`apt`], [`cache`], [`fetch`],
//! [`proc`] and [`ui`].

use clap::{Parser, Subcommand};

mod abi;
mod apt;
mod arguments;
mod bench;
mod boot;
mod c_map;
mod cache;
mod clean;
mod contracts;
mod debug_checks;
mod fetch;
mod fixture;
mod gates;
mod grub;
mod guest;
mod host;
mod hosts;
mod mutants;
mod offline;
mod patch;
mod proc;
mod rust_src;
mod setup;
mod test;
mod twin;
mod ui;
mod units;
mod vendor;
mod xen;
mod xtf;

/// Builds, boots, measures and proves xen-irq.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build Xen with the Rust files in it (or stock) and print where the images are.
    Xen(xen::Args),
    /// Build Xen with Rust in other configurations: what stock Xen builds in has to build.
    Configs(xen::ConfigsArgs),
    /// Apply the patch series to a Xen tree, or take it out again.
    Patch(patch::Args),
    /// Run scenarios in the machine emulator.
    Boot(boot::Args),
    /// Prove Xen's code-generation rules on the linked Rust object.
    Gates(gates::Args),
    /// Prove that the symbols C needs are there, with C's prototypes, and no others.
    Abi(abi::Args),
    /// Prove that every use of `unsafe` says what keeps it sound.
    Contracts(contracts::Args),
    /// Prove that each debug check of the replaced C files has its place in Rust, or a reason.
    DebugChecks(debug_checks::Args),
    /// Prove that docs/c-map.md tells where each function of the replaced C files went.
    CMap(c_map::Args),
    /// Count instructions of the hot paths, C beside Rust.
    Bench(bench::Args),
    /// Drive the C original and the Rust with the same random calls.
    Twin(twin::Args),
    /// Plant slips in our own Rust and see which judge finds each.
    Mutants(mutants::Args),
    /// Pass all tests.
    Test(test::Args),
    /// Install what the other commands need.
    Setup(setup::Args),
    /// Write the crates that a build without a network needs.
    Vendor(vendor::Args),
    /// Run the tests of a built XTF tree as domains of the booted dom0.
    Xtf(xtf::Args),
    /// Remove what the commands built (the download cache only with --all).
    Clean(clean::Args),
}

/// Runs a command.
fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Xen(args) => xen::run(args),
        Command::Configs(args) => xen::run_configs(args),
        Command::Patch(args) => patch::run(args),
        Command::Boot(args) => boot::run(args),
        Command::Gates(args) => gates::run(args),
        Command::Abi(args) => abi::run(args),
        Command::Contracts(args) => contracts::run(args),
        Command::DebugChecks(args) => debug_checks::run(args),
        Command::CMap(args) => c_map::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Twin(args) => twin::run(args),
        Command::Mutants(args) => mutants::run(args),
        Command::Test(args) => test::run(args),
        Command::Setup(args) => setup::run(args),
        Command::Vendor(args) => vendor::run(args),
        Command::Xtf(args) => xtf::run(args),
        Command::Clean(args) => clean::run(args),
    }
}

/// Runs a command that is given as on the command line.
fn run_line(arguments: &[&str]) -> anyhow::Result<()> {
    let line = std::iter::once(&"cargo xtask").chain(arguments);
    run(Cli::try_parse_from(line)?.command)
}

/// The command line, read; a value that an option does not take ends the command with one line.
fn command_line() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        use clap::error::ErrorKind::{InvalidValue, ValueValidation};
        if [InvalidValue, ValueValidation].contains(&error.kind()) {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or(&text);
            let words: Vec<&str> = first.split_whitespace().collect();
            eprintln!("{}", words.join(" "));
            std::process::exit(2);
        }
        error.exit()
    })
}

fn main() -> std::process::ExitCode {
    match run(command_line().command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
