//! What can go wrong all the same, as it can with upstream's C: each of these is a gap that the
//! properties leave out.

use super::flaws::Flaw;
use super::ledger::NOBODY;
use super::ledger::Violation::Trampled;
use super::owner::Write;
use super::scenario::{Machine, World};
use super::steps::{ENTRIES, Step};
use crate::pci::msix::Traits;
use irq_core::msi::mask::{Masks, Outcome};

const MACHINE: Machine = Machine {
    traits: Traits {
        hidden: None,
        keeps_pending: true,
        entries: ENTRIES,
    },
    crowded: false,
    lies_from: None,
};

const BY_HOST: Masks = Masks {
    host: true,
    guest: false,
};

/// A function whose entry 0 nobody masks. What others do is in the test.
fn world() -> World {
    let world = World::new(MACHINE, Flaw::None, 0);
    world.keep_others_quiet();
    world.step(Step::Restore);
    assert_eq!(world.set(0, NOBODY), Outcome::Done);
    world
}

/// The owner's writes, one after the other, each waited for.
fn write(world: &World, write: Write) {
    world.step(Step::Announce(write));
    world.step(Step::CarryOut);
    world.step(Step::AnnounceLate);
}

/// Has the function send message 0, and returns how many come.
fn raise(world: &World) -> usize {
    let before = world.ledger().delivered;
    world.step(Step::Raise(0));
    world.ledger().delivered - before
}

/// Where the owner masks all already, the host does not note that it relies on that.
#[test]
fn the_owner_can_end_what_it_alone_masks() {
    let world = world();
    let control = |mask_all| Write::Control {
        enabled: true,
        mask_all,
    };
    write(&world, control(true));
    write(&world, Write::Decode(false));
    let outcome = world.set(0, BY_HOST);
    assert_eq!(outcome, Outcome::AllMasked { newly: false });
    assert_eq!(raise(&world), 0);
    write(&world, control(false));
    assert_eq!(world.ledger().delivered, 1);
}

/// The function ceases to decode memory after it has been asked and before the entry is written,
/// and another answers at its addresses.
#[test]
fn what_another_function_answers_is_believed() {
    let world = world();
    world.step(Step::Announce(Write::Other));
    world.step(Step::Announce(Write::GiveAway));
    world.step(Step::CarryOut);
    world.carry_out_before_next_entry();
    assert_eq!(world.set(0, BY_HOST), Outcome::Done);
    write(&world, Write::Decode(true));
    assert_eq!(raise(&world), 1);
}

/// A function that is gone reads as all ones: as one that is enabled and decodes memory.
#[test]
fn what_is_gone_seems_to_decode_memory() {
    let world = world();
    world.step(Step::Remove);
    world.function().give_addresses_away();
    assert_eq!(world.set(0, BY_HOST), Outcome::Done);
    assert_eq!(world.ledger().violations, [Trampled]);
}
