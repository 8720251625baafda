//! Software as it is: no value is read that was not meant, and every message does what its entry
//! says, whatever the other parties do.

use super::flaws::Flaw;
use super::scenario::{Machine, run};
use super::steps::{Step, steps};
use super::subject::Subject;
use super::{Amd32, Amd128, CROWDED, NOT_COHERENT, PLAIN, SLOW, Vtd, VtdCaching, cases};
use proptest::prelude::*;

fn machine() -> impl Strategy<Value = Machine> {
    prop::sample::select(vec![PLAIN, NOT_COHERENT, SLOW, CROWDED])
}

fn holds<S: Subject>(machine: Machine, steps: &[Step], seed: u64) -> Result<(), TestCaseError> {
    let report = run::<S>(machine, Flaw::None, steps, seed);
    prop_assert!(report.is_clean(), "{report:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_goes_wrong_with_vtd(machine in machine(), steps in steps(), seed: u64) {
        holds::<Vtd>(machine, &steps, seed)?;
    }

    #[test]
    fn nothing_goes_wrong_with_vtd_in_caching_mode(machine in machine(), steps in steps(), seed: u64) {
        holds::<VtdCaching>(machine, &steps, seed)?;
    }

    #[test]
    fn nothing_goes_wrong_with_amds_narrow_entries(machine in machine(), steps in steps(), seed: u64) {
        holds::<Amd32>(machine, &steps, seed)?;
    }

    #[test]
    fn nothing_goes_wrong_with_amds_wide_entries(machine in machine(), steps in steps(), seed: u64) {
        holds::<Amd128>(machine, &steps, seed)?;
    }
}

/// Sees that in the runs of [`cases`] what could go wrong is tried often.
fn tries<S: Subject>(machine: Machine) {
    let (mut passed, mut repelled, mut amid, mut refused) = (0, 0, 0, 0);
    for (steps, seed) in cases() {
        let report = run::<S>(machine, Flaw::None, &steps, seed);
        assert!(report.is_clean(), "{report:?}");
        passed += report.ledger.passed;
        repelled += report.ledger.repelled;
        amid += report.ledger.amid;
        refused += report.refused;
    }
    assert!(passed > 500 && amid > 500, "{passed}, {amid}");
    // On AMD nobody reaches another's table.
    assert_eq!(repelled > 500, S::TABLES == 1, "{repelled}");
    assert_eq!(refused > 100, machine.crowded, "{refused}");
}

#[test]
fn devices_send_while_entries_change_and_where_they_must_not() {
    for machine in [PLAIN, NOT_COHERENT, SLOW, CROWDED] {
        tries::<Vtd>(machine);
        tries::<VtdCaching>(machine);
        tries::<Amd32>(machine);
        tries::<Amd128>(machine);
    }
}
