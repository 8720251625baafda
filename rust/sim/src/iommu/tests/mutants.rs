//! Each thing that the software does is needed: without it, runs fail that are clean with it.

use super::flaws::Flaw;
use super::ledger::Violation::{self, Foreign, Lost, Released, Stale};
use super::scenario::{Machine, run};
use super::subject::Subject;
use super::{Amd32, Amd128, NOT_COHERENT, PLAIN, SLOW, Vtd, VtdCaching, cases};

/// Sees that with a flaw runs of [`cases`] go wrong in each of the expected ways, and a value is
/// read that was not meant; and that the same runs are clean without it.
fn fails<S: Subject>(machine: Machine, flaw: Flaw, expected: &[Violation]) {
    let mut seen = Vec::new();
    let mut unmeant = false;
    for (steps, seed) in cases() {
        let report = run::<S>(machine, Flaw::None, &steps, seed);
        assert!(report.is_clean(), "{report:?}");
        let report = run::<S>(machine, flaw, &steps, seed);
        unmeant |= report.unmeant.is_some();
        seen.extend(report.ledger.violations);
        if unmeant && expected.iter().all(|violation| seen.contains(violation)) {
            return;
        }
    }
    panic!("{flaw:?}: only {seen:?}, unmeant values: {unmeant}");
}

/// Sees that a flaw makes no difference on a machine.
fn is_harmless<S: Subject>(machine: Machine, flaw: Flaw) {
    for (steps, seed) in cases() {
        let report = run::<S>(machine, flaw, &steps, seed);
        assert!(report.is_clean(), "{report:?}");
    }
}

#[test]
fn setting_an_entry_must_invalidate_it() {
    let flaw = Flaw::SetKeepsCache;
    fails::<Vtd>(PLAIN, flaw, &[Stale, Released]);
    fails::<VtdCaching>(PLAIN, flaw, &[Stale, Released, Lost]);
    fails::<Amd32>(PLAIN, flaw, &[Stale, Released]);
    fails::<Amd128>(PLAIN, flaw, &[Stale, Released]);
}

#[test]
fn releasing_a_block_must_invalidate_it() {
    let flaw = Flaw::ReleaseKeepsCache;
    fails::<Vtd>(PLAIN, flaw, &[Released, Foreign]);
    fails::<VtdCaching>(PLAIN, flaw, &[Released]);
    // The next owner of an entry is the same device here.
    fails::<Amd32>(PLAIN, flaw, &[Released, Stale]);
    fails::<Amd128>(PLAIN, flaw, &[Released, Stale]);
}

#[test]
fn an_iommu_that_does_not_snoop_needs_entries_written_back() {
    let flaw = Flaw::NoWriteBack;
    fails::<Vtd>(NOT_COHERENT, flaw, &[Stale, Released, Lost]);
    fails::<VtdCaching>(NOT_COHERENT, flaw, &[Stale, Released, Lost]);
    fails::<Amd32>(NOT_COHERENT, flaw, &[Stale, Released, Lost]);
    fails::<Amd128>(NOT_COHERENT, flaw, &[Stale, Released, Lost]);
    is_harmless::<Vtd>(PLAIN, flaw);
}

#[test]
fn an_entry_must_be_written_back_before_it_is_invalidated() {
    let flaw = Flaw::WriteBackLast;
    fails::<Vtd>(NOT_COHERENT, flaw, &[Stale, Lost]);
    fails::<VtdCaching>(NOT_COHERENT, flaw, &[Stale, Lost]);
    fails::<Amd32>(NOT_COHERENT, flaw, &[Stale, Lost]);
    fails::<Amd128>(NOT_COHERENT, flaw, &[Stale, Lost]);
    is_harmless::<Vtd>(PLAIN, flaw);
}

#[test]
fn an_entry_must_be_written_before_it_is_invalidated() {
    let flaw = Flaw::InvalidateFirst;
    fails::<Vtd>(PLAIN, flaw, &[Stale, Released]);
    fails::<VtdCaching>(PLAIN, flaw, &[Stale, Released, Lost]);
    fails::<Amd32>(PLAIN, flaw, &[Stale, Released]);
    fails::<Amd128>(PLAIN, flaw, &[Stale, Released]);
}

#[test]
fn an_entry_must_be_written_in_one_piece() {
    // With the low half first, an entry is present before it says whose messages it takes; with the
    // high half first, it is still present when it has ceased to say so.
    for flaw in [Flaw::LowHalfFirst, Flaw::HighHalfFirst] {
        fails::<Vtd>(PLAIN, flaw, &[Stale, Foreign, Lost]);
        fails::<VtdCaching>(PLAIN, flaw, &[Stale, Foreign, Lost]);
        fails::<Amd128>(PLAIN, flaw, &[Stale]);
    }
}

#[test]
fn an_entry_must_not_be_cleared_before_it_is_set() {
    let flaw = Flaw::ClearFirst;
    fails::<Vtd>(PLAIN, flaw, &[Lost]);
    fails::<VtdCaching>(PLAIN, flaw, &[Lost]);
    fails::<Amd32>(PLAIN, flaw, &[Lost]);
    fails::<Amd128>(PLAIN, flaw, &[Lost]);
}

#[test]
fn in_caching_mode_entries_that_were_absent_must_be_invalidated() {
    fails::<VtdCaching>(PLAIN, Flaw::AbsentForgotten, &[Lost]);
    is_harmless::<Vtd>(PLAIN, Flaw::AbsentForgotten);
}

#[test]
fn a_block_must_be_invalidated_before_it_is_given_back() {
    let flaw = Flaw::SlotsFirst;
    fails::<Vtd>(PLAIN, flaw, &[Foreign]);
    fails::<VtdCaching>(PLAIN, flaw, &[Foreign]);
    fails::<Amd32>(PLAIN, flaw, &[Stale]);
    fails::<Amd128>(PLAIN, flaw, &[Stale]);
}

#[test]
fn the_end_of_an_invalidation_must_be_waited_for() {
    for machine in [PLAIN, SLOW] {
        fails::<Vtd>(machine, Flaw::NoWait, &[Stale, Released]);
        fails::<VtdCaching>(machine, Flaw::NoWait, &[Stale, Released, Lost]);
        fails::<Amd32>(machine, Flaw::NoWait, &[Stale, Released]);
        fails::<Amd128>(machine, Flaw::NoWait, &[Stale, Released]);
    }
}

#[test]
fn every_requester_of_a_table_must_be_invalidated() {
    fails::<Amd32>(PLAIN, Flaw::OneRequester, &[Stale, Released]);
    fails::<Amd128>(PLAIN, Flaw::OneRequester, &[Stale, Released]);
}
