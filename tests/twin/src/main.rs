//! Drives the C original and the Rust with the same random calls, and counts the instructions of
//! both.
//!
//! Both sides are the very objects that Xen's link takes: the C file compiled by Xen's Kbuild, and
//! the Rust object with its shim. The driver places them in memory ([`loader`]), gives each a world
//! of the same shape ([`arena`]), stands for the rest of Xen ([`services`] and the fakes of each
//! [`subject`]), and compares after each call what was answered, what was done, and everything that
//! C can see.
// Running Xen's machine code in a process is nothing but raw memory; each block says what makes it
// sound.
#![allow(unsafe_code)]

mod allocator;
mod amd;
mod answer;
mod arena;
mod argument;
mod bench;
mod bits;
mod cpu;
mod env;
mod glue;
mod heap;
mod irq;
mod loader;
mod machine;
mod memory;
mod met;
mod meter;
mod mmio;
mod msi;
mod rng;
mod run;
mod services;
mod side;
mod subject;
mod trace;
mod trap;
mod unit;
mod valgrind;
mod vmsi;
mod vtd;
mod xen;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;

use crate::loader::Image;
use crate::run::Twin;
use crate::side::Side;
use crate::subject::Subject;
use crate::unit::Unit;

/// Room for a random world.
const WORLD: usize = 1 << 20;

/// `cargo xtask twin` calls this with the objects of both sides.
#[derive(Parser)]
struct Arguments {
    /// The replaced file.
    #[arg(long)]
    file: String,
    /// The object of the C original.
    #[arg(long, required = true)]
    c: Vec<PathBuf>,
    /// The Rust object and the objects of its shim.
    #[arg(long, required = true)]
    rust: Vec<PathBuf>,
    /// The objects that hold Xen's vsnprintf().
    #[arg(long, required = true)]
    formatter: Vec<PathBuf>,
    /// How many cases to run.
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// The seed of the first case.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Count the instructions of one side instead; callgrind runs this program.
    #[arg(long, value_name = "SIDE")]
    bench: Option<bench::Which>,
    /// Count what allocates instead, together with Xen's allocator, which this object is.
    #[arg(long, requires = "bench")]
    allocator: Option<PathBuf>,
    /// Judge each side by what the guest should read; `none` or a fault to plant in what happens
    /// around it.
    #[arg(long, value_name = "FAULT")]
    oracle: Option<vmsi::oracle::Fault>,
    /// Print how often each step ran, and what it met.
    #[arg(long)]
    met: bool,
    /// Both sides are built from C: nothing at all may differ.
    #[arg(long)]
    same: bool,
}

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    services::set_formatter(Image::load(
        &arguments.formatter,
        services::formatter_import,
    )?)?;
    match arguments.file.as_str() {
        irq::Irq::NAME => drive::<irq::Irq>(&arguments),
        vmsi::Vmsi::NAME => drive::<vmsi::Vmsi>(&arguments),
        amd::Amd::NAME => drive::<amd::Amd>(&arguments),
        msi::Msi::NAME => drive::<msi::Msi>(&arguments),
        vtd::Vtd::NAME => drive::<vtd::Vtd>(&arguments),
        other => bail!("no replaced file is called {other}"),
    }
}

fn drive<S: Subject>(arguments: &Arguments) -> Result<()> {
    let import = |name: &str| S::import(name).or_else(|| services::import(name));
    if let Some(which) = arguments.bench {
        return bench::run::<S>(arguments, which, import);
    }
    let unit = Unit::new::<S::Part>;
    let second = if arguments.same { "changed C" } else { "Rust" };
    let mut c = Side::new("C", &arguments.c, 0xa5, WORLD, unit(), import)?;
    let mut rust = Side::new(second, &arguments.rust, 0x5a, WORLD, unit(), import)?;
    cpu::watch()?;
    if let Some(fault) = arguments.oracle {
        let (cases, seed) = (arguments.cases, arguments.seed);
        return vmsi::oracle::run([&mut c, &mut rust], cases, seed, fault);
    }
    let note = S::note(&rust.image).filter(|_| !arguments.same);
    let start = Instant::now();
    let compared = Twin::<S>::new(c, rust, arguments.same)?.run(arguments.cases, arguments.seed)?;
    println!(
        "{}: {} cases with {} steps agree, in {:.1} s, from seed {}",
        S::NAME,
        arguments.cases,
        compared.steps,
        start.elapsed().as_secs_f64(),
        arguments.seed
    );
    if let Some(note) = note {
        println!("{}: {note}", S::NAME);
    }
    if arguments.met {
        compared.met.print(S::NAME);
    }
    for (rule, cases) in compared.alone {
        println!("{}: {cases} cases ended with Rust alone: {rule}", S::NAME);
    }
    Ok(())
}
