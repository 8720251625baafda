//! A function disables MSI-X, or ceases to decode memory, by itself: what its table reads as then
//! says nothing of its entries, and what Xen knew of it must not be believed any longer.

use super::flaws::Flaw;
use super::ledger::{NOBODY, Violation};
use super::scenario::{Machine, World};
use super::steps::{ENTRIES, Step};
use crate::pci::msix::Traits;
use irq_core::msi::mask::{Masks, Outcome};

const BY_HOST: Masks = Masks {
    host: true,
    guest: false,
};

/// A function with MSI-X enabled.
fn world(flaw: Flaw, hidden: Option<u32>) -> World {
    let traits = Traits {
        hidden,
        keeps_pending: true,
        entries: ENTRIES,
    };
    let machine = Machine {
        traits,
        crowded: false,
        lies_from: None,
    };
    let world = World::new(machine, flaw, 0);
    world.keep_others_quiet();
    world.step(Step::Restore);
    world
}

/// Masks or unmasks an entry of a function that has disabled itself, and has the owner enable it
/// again. Returns what went wrong with the interrupt that is raised then, and whether its message
/// came.
fn set_while_disabled(
    flaw: Flaw,
    hidden: Option<u32>,
    before: Masks,
    masks: Masks,
) -> (Vec<Violation>, bool) {
    let world = world(flaw, hidden);
    assert_eq!(world.set(0, before), Outcome::Done);
    world.step(Step::DisableBehind);
    assert_eq!(world.set(0, masks), Outcome::Done);
    world.step(Step::Enable);
    world.step(Step::Raise(0));
    let ledger = world.ledger();
    (ledger.violations.clone(), ledger.delivered == 1)
}

#[test]
fn an_entry_is_as_wanted_although_the_function_had_disabled_itself() {
    for hidden in [None, Some(0), Some(1), Some(u32::MAX)] {
        for (before, masks) in [(BY_HOST, NOBODY), (NOBODY, BY_HOST)] {
            let expected = (Vec::new(), !masks.any());
            assert_eq!(
                set_while_disabled(Flaw::None, hidden, before, masks),
                expected,
                "{hidden:x?}, {masks:?}"
            );
        }
    }
}

#[test]
fn an_entry_must_be_read_before_it_is_written_and_after() {
    // Nor does Xen know then which bits of vector control are the function's.
    let (violations, came) = set_while_disabled(Flaw::NotReadBefore, Some(0), BY_HOST, NOBODY);
    assert!(
        violations.contains(&Violation::Lost) && !came,
        "{violations:?}"
    );
    let escaped = set_while_disabled(Flaw::ReadBackIgnored, Some(0), NOBODY, BY_HOST);
    assert_eq!(escaped, (vec![Violation::Escaped], true));
}

/// A function that Xen has just seen ready.
fn known(flaw: Flaw) -> World {
    let world = world(flaw, None);
    assert_eq!(world.set(0, NOBODY), Outcome::Done);
    assert!(world.xen.is_known_ready());
    world
}

/// Whether Xen would write a message to a function that it has just seen not to decode memory.
fn is_believed(flaw: Flaw) -> bool {
    let world = known(flaw);
    world.step(Step::DecodeBehind(false));
    let outcome = world.set(0, BY_HOST);
    assert_eq!(outcome, Outcome::AllMasked { newly: true });
    world.xen.is_known_ready()
}

#[test]
fn a_function_that_does_not_decode_memory_is_not_believed_any_longer() {
    assert!(!is_believed(Flaw::None));
    assert!(is_believed(Flaw::StillBelieved));
}

/// Whether Xen would write a message to a function that has lost all while the machine slept.
fn is_believed_after_sleep(flaw: Flaw) -> bool {
    let world = known(flaw);
    world.step(Step::Sleep);
    world.xen.is_known_ready()
}

#[test]
fn nothing_is_known_after_sleep() {
    assert!(!is_believed_after_sleep(Flaw::None));
    assert!(is_believed_after_sleep(Flaw::SleepForgotten));
}
