//! Each thing that Xen does is needed: without it, runs fail that are clean with it.

use super::flaws::Flaw;
use super::ledger::Violation::{
    self, Costly, Disabled, Escaped, Lost, Overwritten, Trampled, WrongState,
};
use super::scenario::{Machine, run};
use super::steps::{Step, machine, steps};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Runs that are the same each time.
fn cases() -> impl Iterator<Item = (Machine, Vec<Step>, u64)> {
    let mut runner = TestRunner::deterministic();
    (0..2000).map(move |seed| {
        let tree = (machine(), steps()).new_tree(&mut runner);
        let (machine, steps) = tree.expect("nothing is filtered").current();
        (machine, steps, seed)
    })
}

/// Sees that with a flaw runs go wrong in each of the expected ways.
fn fails(flaw: Flaw, expected: &[Violation]) {
    let mut seen: Vec<Violation> = Vec::new();
    for (machine, steps, seed) in cases() {
        let (ledger, _) = run(machine, flaw, &steps, seed);
        for violation in ledger.violations {
            if !seen.contains(&violation) {
                seen.push(violation);
            }
        }
        if expected.iter().all(|violation| seen.contains(violation)) {
            return;
        }
    }
    panic!("{flaw:?}: only {seen:?}");
}

#[test]
fn a_write_to_the_table_must_be_read_back_and_looked_at() {
    fails(Flaw::NoReadBack, &[Escaped]);
    fails(Flaw::ReadBackIgnored, &[Escaped]);
}

#[test]
fn what_the_host_wants_masked_stays_masked() {
    fails(Flaw::MaskAllForgotten, &[Escaped, WrongState]);
    fails(Flaw::MaskAllOverwritten, &[Escaped]);
    fails(Flaw::MaskAllStays, &[Lost, WrongState]);
    fails(Flaw::GuestForgotten, &[Escaped]);
}

#[test]
fn all_must_be_masked_where_one_cannot_be() {
    fails(Flaw::EnabledOpen, &[Disabled, Escaped]);
    fails(Flaw::ControlOpen, &[Escaped]);
    fails(Flaw::DecodeUnchecked, &[Escaped, Trampled]);
}

#[test]
fn what_is_known_must_not_be_older_than_the_last_change() {
    fails(Flaw::KnownKept, &[Escaped, Trampled, Lost]);
    for flaw in [
        Flaw::AskedLate,
        Flaw::NotAnnounced,
        Flaw::AnnouncedLate,
        Flaw::EndedEarly,
    ] {
        fails(flaw, &[Trampled]);
    }
}

#[test]
fn what_is_the_functions_own_stays() {
    fails(Flaw::OwnBitsCleared, &[Overwritten]);
}

#[test]
fn what_is_known_must_be_used() {
    fails(Flaw::KnownForgotten, &[Costly]);
}

#[test]
fn without_a_flaw_the_same_runs_are_clean_and_worth_their_time() {
    let (mut delivered, mut held_back, mut free) = (0, 0, 0);
    for (machine, steps, seed) in cases().take(500) {
        let (ledger, without_reads) = run(machine, Flaw::None, &steps, seed);
        assert_eq!(ledger.violations, [], "{machine:?} {steps:?} {seed}");
        delivered += ledger.delivered;
        held_back += ledger.held_back;
        free += without_reads;
    }
    assert!(
        delivered > 300 && held_back > 1000 && free > 500,
        "{delivered}, {held_back}, {free}"
    );
}
