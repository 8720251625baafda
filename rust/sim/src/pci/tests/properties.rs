//! Xen as it is: no message comes that is masked, none is lost, and nobody else is written to.

use super::flaws::Flaw;
use super::ledger::Violation;
use super::scenario::{Machine, run};
use super::steps::{machine, steps};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_goes_wrong(machine in machine(), steps in steps(), seed: u64) {
        let (ledger, _) = run(machine, Flaw::None, &steps, seed);
        prop_assert_eq!(&ledger.violations, &[], "{:?}", ledger);
    }

    /// What a function answers may have it send messages that Xen has masked, or none. It changes
    /// nothing else: what Xen keeps is what it was asked for, and Xen's accesses are as few as
    /// ever.
    #[test]
    fn a_function_that_lies_hurts_itself_alone(
        machine in machine(),
        steps in steps(),
        lies_from in 0usize..20,
        seed: u64,
    ) {
        let machine = Machine { lies_from: Some(lies_from), ..machine };
        let (ledger, _) = run(machine, Flaw::None, &steps, seed);
        let wrong = |violation: &Violation| matches!(violation, Violation::WrongState | Violation::Costly);
        prop_assert!(!ledger.violations.iter().any(wrong), "{:?}", ledger);
    }
}
