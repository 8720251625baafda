//! A queue that stops for good: the CPU that waits is told, and the old entry may be used as long
//! as the IOMMU likes.

use super::devices::REQUESTERS;
use super::flaws::Flaw;
use super::ledger::Goal;
use super::scenario::{Machine, run};
use super::steps::{Step, steps};
use super::subject::Subject;
use super::{Amd32, Amd128, NOT_COHERENT, Vtd, VtdCaching, cases};
use crate::iommu::Outcome;
use crate::iommu::handle::Handle;
use crate::iommu::queue::{Behaviour, Pace, TimedOut};
use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::Block;
use irq_core::remap::update::Table;
use proptest::prelude::*;

const STOPPED: Behaviour = Behaviour {
    pace: Pace::Stopped,
    room: 6,
    patience: 20,
};

fn goal(vector: u8) -> Goal {
    Goal {
        device: 0,
        outcome: Outcome::Delivered(Interrupt {
            vector,
            delivery_mode: 0,
            logical: false,
            level_triggered: false,
            destination: 1,
        }),
    }
}

/// Changes an entry that the IOMMU keeps while the queue stands still, and then lets it move.
fn a_time_out_is_seen_and_the_old_entry_is_used_until_the_queue_moves<S: Subject>() {
    let (old, new) = (goal(0x40), goal(0x50));
    let requester = REQUESTERS[0][0];
    let mut unit = S::boot(true, STOPPED);
    let mut outcomes = Vec::new();
    let mut results = Vec::new();
    for goal in [old, new] {
        let mut table = Handle::new(&mut unit, S::name(0), |_| {});
        let before = table.entry(9);
        table.replace(9, before, S::entry(goal));
        table.write_back(9);
        if goal == new {
            results.push(table.flush(Block::one(9)));
        }
        outcomes.push(unit.send(requester, S::message(9, 0)));
    }
    // Two more flushes fill the queue, so that not even a command finds room.
    for _ in 0..2 {
        let mut table = Handle::new(&mut unit, S::name(0), |_| {});
        results.push(table.flush(Block::one(9)));
    }
    unit.queue().crowd();
    results.push(Handle::new(&mut unit, S::name(0), |_| {}).flush(Block::one(9)));
    assert_eq!(results, [Err(TimedOut); 4]);
    assert_eq!(unit.queue().timed_out(), 4);
    assert!(unit.queue().refused() > 0);
    unit.queue().set_pace(Pace::Immediate);
    unit.step();
    outcomes.push(unit.send(requester, S::message(9, 0)));
    assert_eq!(outcomes, [old.outcome, old.outcome, new.outcome]);
}

#[test]
fn whoever_waits_sees_a_time_out() {
    a_time_out_is_seen_and_the_old_entry_is_used_until_the_queue_moves::<Vtd>();
    a_time_out_is_seen_and_the_old_entry_is_used_until_the_queue_moves::<VtdCaching>();
    a_time_out_is_seen_and_the_old_entry_is_used_until_the_queue_moves::<Amd32>();
    a_time_out_is_seen_and_the_old_entry_is_used_until_the_queue_moves::<Amd128>();
}

/// A machine whose queue stops at a step.
fn stopping(step: usize) -> Machine {
    Machine {
        queue: Behaviour {
            pace: Pace::Immediate,
            ..STOPPED
        },
        stops_at: Some(step),
        ..NOT_COHERENT
    }
}

fn is_told<S: Subject>(stop: usize, steps: &[Step], seed: u64) -> Result<(), TestCaseError> {
    let report = run::<S>(stopping(stop), Flaw::None, steps, seed);
    prop_assert!(!report.silent, "{report:?}");
    prop_assert!(report.unmeant.is_none() || report.timed_out > 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_goes_wrong_before_somebody_is_told(stop in 0..30usize, steps in steps(), seed: u64) {
        is_told::<Vtd>(stop, &steps, seed)?;
        is_told::<VtdCaching>(stop, &steps, seed)?;
        is_told::<Amd32>(stop, &steps, seed)?;
        is_told::<Amd128>(stop, &steps, seed)?;
    }
}

/// How many of the runs of [`cases`] go wrong when the queue stops in the middle.
fn wrong<S: Subject>() -> usize {
    let goes_wrong = |(steps, seed): &(Vec<Step>, u64)| {
        let machine = stopping(steps.len() / 2);
        let report = run::<S>(machine, Flaw::None, steps, *seed);
        assert!(!report.silent);
        !report.ledger.violations.is_empty()
    };
    cases().iter().filter(|case| goes_wrong(case)).count()
}

#[test]
fn who_goes_on_after_a_time_out_goes_wrong() {
    for count in [
        wrong::<Vtd>(),
        wrong::<VtdCaching>(),
        wrong::<Amd32>(),
        wrong::<Amd128>(),
    ] {
        assert!(count > 0);
    }
}
