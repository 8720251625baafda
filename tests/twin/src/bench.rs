//! Counts the instructions of a side: callgrind runs this program, each row is one call, and the
//! counts go to one file per row.
//!
//! What is printed here says what the files hold: the rows in their order, and where the code of
//! the side lies, so that the reader counts the instructions of the objects alone and not those of
//! the driver.

use std::slice;

use anyhow::Result;
use serde::Serialize;

use crate::allocator::{self, Frames};
use crate::loader::Import;
use crate::meter::{Meter, Row};
use crate::side::Side;
use crate::subject::Subject;
use crate::unit::Unit;
use crate::{Arguments, cpu};

/// Room for a world of 64 devices with 2,048 vectors each.
const WORLD: usize = 96 << 20;

/// Which side is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    C,
    Rust,
}

/// What the program prints.
#[derive(Serialize)]
struct Output {
    /// First and last address of the side's code.
    text: (usize, usize),
    rows: Vec<Row>,
}

/// Carries out all rows on a side and prints what they were.
pub(crate) fn run<S: Subject>(
    arguments: &Arguments,
    which: Which,
    import: impl Fn(&str) -> Option<Import> + Copy,
) -> Result<()> {
    cpu::handle_signals_on_calls_stack();
    let (name, objects) = match which {
        Which::C => ("C", &arguments.c),
        Which::Rust => ("Rust", &arguments.rust),
    };
    let mut meter = Meter::default();
    let side = match &arguments.allocator {
        None => {
            let mut side = Side::new(name, objects, 0, WORLD, Unit::new::<S::Part>(), import)?;
            let api = S::api(&side.image)?;
            S::bench(&mut side, &api, &mut meter);
            side
        }
        Some(allocator) => {
            let objects = [objects.as_slice(), slice::from_ref(allocator)].concat();
            let import = |name: &str| allocator::import(name, import);
            let mut side = Side::new(name, &objects, 0, WORLD, Unit::new::<S::Part>(), import)?;
            let api = S::api(&side.image)?;
            let frames = Frames::new(&mut side)?;
            S::bench_allocating(&mut side, &api, &mut meter, &frames)?;
            side
        }
    };
    let output = Output {
        text: (side.image.text().start, side.image.text().end),
        rows: meter.rows,
    };
    println!("{}", serde_json::to_string(&output)?);
    Ok(())
}
