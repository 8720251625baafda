//! Both models under random use, with software as it is and with software that has a flaw.

mod devices;
mod flaws;
mod ledger;
mod mutants;
mod others;
mod properties;
mod scenario;
mod steps;
mod subject;
mod switching;
mod time_out;

use super::queue::{Behaviour, Pace};
use crate::{amd, vtd};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use scenario::Machine;
use steps::Step;

type Vtd = vtd::Unit<false>;
type VtdCaching = vtd::Unit<true>;
type Amd32 = amd::Unit<u32>;
type Amd128 = amd::Unit<u128>;

/// A queue that takes commands at a pace.
const fn queue(pace: Pace) -> Behaviour {
    Behaviour {
        pace,
        room: 6,
        patience: 1000,
    }
}

const PLAIN: Machine = Machine {
    coherent: true,
    queue: queue(Pace::Immediate),
    crowded: false,
    stops_at: None,
};
const NOT_COHERENT: Machine = Machine {
    coherent: false,
    ..PLAIN
};
const SLOW: Machine = Machine {
    queue: queue(Pace::Slow(5)),
    ..NOT_COHERENT
};
const CROWDED: Machine = Machine {
    queue: queue(Pace::Slow(1)),
    crowded: true,
    ..NOT_COHERENT
};

/// Runs that are the same each time: what the software is asked to do, and the seed of the other
/// parties.
fn cases() -> Vec<(Vec<Step>, u64)> {
    let mut runner = TestRunner::deterministic();
    let mut steps = || {
        let tree = steps::steps().new_tree(&mut runner);
        tree.expect("nothing is filtered").current()
    };
    (0..48).map(|seed| (steps(), seed)).collect()
}
