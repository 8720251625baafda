//! An independent judge of the MSI-X table's emulation.
//!
//! The twin compares Rust with C; where both are wrong it sees nothing. Here guests with several
//! vCPUs execute instructions, Xen's emulator turns them into requests ([`guest`]), QEMU answers
//! what comes to it ([`qemu`]), and every read that Xen answers itself is held to what the guest
//! wrote and the device model holds ([`history`]). Nothing here knows what either side keeps. Each
//! side is judged by itself: C's wrong answers are counted, Rust must have none.

mod generate;
mod guest;
mod history;
mod op;
mod qemu;
mod scene;

use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::generate::Case;
use self::scene::{Count, Scene};
use super::perform::Api;
use crate::rng::Rng;
use crate::side::Side;

/// What goes wrong on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// One write in eight goes past Xen.
    Unseen,
    /// The device model answers one read in eight wrongly.
    WrongAnswer,
    /// The completion of one request in four does not run.
    NoCompletion,
}

/// Judges both sides.
pub(crate) fn run(sides: [&mut Side; 2], cases: u64, seed: u64, fault: Fault) -> Result<()> {
    let start = Instant::now();
    let [c, rust] = sides;
    let (c_api, rust_api) = (Api::new(&c.image)?, Api::new(&rust.image)?);
    let (mut c_count, mut rust_count) = (Count::default(), Count::default());
    let mut first = None;
    for seed in (seed..).take(cases as usize) {
        let case = generate::case(&mut Rng::new(seed));
        c_count.add(judge(c, &c_api, &case, fault));
        let count = judge(rust, &rust_api, &case, fault);
        if count.wrong() != 0 && first.is_none() {
            first = Some((seed, case));
        }
        rust_count.add(count);
    }
    let mut summary = format!(
        "oracle: {cases} cases from seed {seed}, in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    for (name, count) in [(c.name, c_count), (rust.name, rust_count)] {
        summary.push_str(&format!(
            "\n  {name}: Xen answered {} reads; wrong were {} words of messages and {} mask bits; \
             {} calls trapped",
            count.reads, count.messages, count.masks, count.traps
        ));
    }
    match first {
        Some((seed, case)) => bail!("{summary}\n{}", report(rust, &rust_api, case, seed, fault)),
        None => println!("{summary}"),
    }
    Ok(())
}

fn judge(side: &mut Side, api: &Api, case: &Case, fault: Fault) -> Count {
    let mut scene = Scene::new(side, api, &case.spec, fault);
    scene.run(&case.steps);
    scene.count
}

/// Leaves out steps as long as something is wrong, and tells what is left.
fn report(side: &mut Side, api: &Api, mut case: Case, seed: u64, fault: Fault) -> String {
    let mut chunk = case.steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < case.steps.len() {
            let mut tried = case.clone();
            tried.steps.drain(at..(at + chunk).min(case.steps.len()));
            if judge(side, api, &tried, fault).wrong() != 0 {
                case = tried;
            } else {
                at += chunk;
            }
        }
        chunk /= 2;
    }
    let mut scene = Scene::new(side, api, &case.spec, fault);
    scene.story = Some(String::new());
    scene.run(&case.steps);
    let story = scene.story.take().unwrap_or_default();
    format!(
        "wrong answers of {} at seed {seed}\n  {:x?}\n{story}\
         replay with: cargo xtask twin --oracle --seed {seed} --cases 1",
        side.name, case.spec
    )
}
