//! What happens to a function, at random.

use super::owner::Write;
use super::scenario::Machine;
use crate::pci::msix::Traits;
use proptest::prelude::*;

/// Entries of the table.
pub(super) const ENTRIES: usize = 3;

/// A step of a history.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The function wants to send a message.
    Raise(usize),
    /// What was written to the table arrives.
    Arrive,
    /// Xen masks or unmasks an entry.
    Host(usize, bool),
    /// The owner does.
    Guest(usize, bool),
    /// The owner is about to write to configuration space.
    Announce(Write),
    /// The owner enables MSI-X, which is carried out at once.
    Enable,
    /// The owner's oldest write is carried out.
    CarryOut,
    /// What was carried out and not announced is announced.
    AnnounceLate,
    /// The function begins or ceases to decode memory, and nobody is told.
    DecodeBehind(bool),
    /// It disables MSI-X by itself, and Xen is not told.
    DisableBehind,
    /// It resets itself, and nobody is told.
    ResetBehind,
    /// All sleeps and wakes up; the function has lost everything.
    Sleep,
    /// The owner enables the function, and has Xen tell it everything anew.
    Restore,
    /// The function is reset and given to another owner.
    Reassign,
    /// The function is pulled out.
    Remove,
}

/// What keeps messages from coming: less often than what lets them come.
fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.3)
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => seldom().prop_map(|off| Write::Decode(!off)),
        3 => (seldom(), seldom()).prop_map(|(off, mask_all)| Write::Control { enabled: !off, mask_all }),
        2 => Just(Write::GiveAway),
        1 => Just(Write::Reset),
        1 => Just(Write::Other),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let entry = || 0..ENTRIES;
    prop_oneof![
        10 => entry().prop_map(Step::Raise),
        4 => Just(Step::Arrive),
        12 => (entry(), seldom()).prop_map(|(entry, mask)| Step::Host(entry, mask)),
        8 => (entry(), seldom()).prop_map(|(entry, mask)| Step::Guest(entry, mask)),
        8 => write().prop_map(Step::Announce),
        8 => Just(Step::CarryOut),
        8 => Just(Step::AnnounceLate),
        2 => any::<bool>().prop_map(Step::DecodeBehind),
        3 => Just(Step::DisableBehind),
        3 => Just(Step::Enable),
        1 => Just(Step::ResetBehind),
        1 => Just(Step::Sleep),
        4 => Just(Step::Restore),
        2 => Just(Step::Reassign),
    ]
}

/// A history; at the end of some the function is pulled out.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec(step(), 0..40);
    let rest = prop_oneof![
        3 => Just(Vec::new()),
        1 => some().prop_map(|rest| [vec![Step::Remove], rest].concat()),
    ];
    (some(), rest).prop_map(|(first, rest)| [first, rest].concat())
}

pub(super) fn machine() -> impl Strategy<Value = Machine> {
    let hidden = prop::sample::select(vec![None, Some(0), Some(1), Some(u32::MAX)]);
    (hidden, any::<bool>(), any::<bool>()).prop_map(|(hidden, keeps_pending, crowded)| Machine {
        traits: Traits {
            hidden,
            keeps_pending,
            entries: ENTRIES,
        },
        crowded,
        lies_from: None,
    })
}
