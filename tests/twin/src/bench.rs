//! Counts instructions: callgrind runs this program, each row is one call, and the counts go to one
//! file per row and side.
//!
//! What is printed here says what the files hold: the rows in their order, and where the code of
//! each side lies, so that the reader counts the instructions of the objects alone and not those of
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

/// What the program prints.
#[derive(Serialize)]
struct Output {
    /// First and last address of the code of C, then of Rust.
    text: [(usize, usize); 2],
    rows: Vec<Row>,
}

/// Carries out all rows on both sides and prints what they were.
pub(crate) fn run<S: Subject>(
    arguments: &Arguments,
    import: impl Fn(&str) -> Option<Import> + Copy,
) -> Result<()> {
    cpu::handle_signals_on_calls_stack();
    let mut output = Output {
        text: [(0, 0); 2],
        rows: Vec::new(),
    };
    for (number, (name, objects)) in [("c", &arguments.c), ("rust", &arguments.rust)]
        .into_iter()
        .enumerate()
    {
        let mut meter = Meter {
            side: name,
            rows: Vec::new(),
        };
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
        output.text[number] = (side.image.text().start, side.image.text().end);
        output.rows.extend(meter.rows);
    }
    println!("{}", serde_json::to_string(&output)?);
    Ok(())
}
