//! What each message may lead to, told from what was asked for alone: neither from the software
//! under test nor from the values in memory.

use super::devices::device_of;
use crate::iommu::{Fault, Outcome};
use std::collections::BTreeMap;

/// An entry: the table, and the number in it.
pub(super) type Place = (usize, usize);

/// What an entry was asked to say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Goal {
    /// The device whose entry it is.
    pub(super) device: usize,
    /// What becomes of its messages.
    pub(super) outcome: Outcome,
}

/// How a message went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// The owner's message did something other than what the entry says.
    Stale,
    /// A message went through an entry that nobody has.
    Released,
    /// A message of one device went through another's entry.
    Foreign,
    /// The owner's message was blocked.
    Lost,
    /// A message that must be blocked was, but for another reason.
    WrongFault,
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    now: Option<Goal>,
    next: Option<Option<Goal>>,
}

/// What was asked for, and what came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    asked: BTreeMap<Place, Asked>,
    /// The violations, in order.
    pub(super) violations: Vec<Violation>,
    /// Messages that went through.
    pub(super) passed: usize,
    /// Messages that were blocked because of their requester.
    pub(super) repelled: usize,
    /// Messages that came while their entry changed from one goal to another.
    pub(super) amid: usize,
}

impl Ledger {
    /// From now on an entry may say what it said, or this.
    pub(super) fn begin(&mut self, place: Place, next: Option<Goal>) {
        self.asked.entry(place).or_default().next = Some(next);
    }

    /// From now on it says the new one alone.
    pub(super) fn end(&mut self, place: Place) {
        let asked = self.asked.entry(place).or_default();
        asked.now = asked.next.take().unwrap_or(asked.now);
    }

    /// Sees what became of a message.
    pub(super) fn see(&mut self, requester: u16, place: Place, seen: Outcome) {
        let Asked { now, next } = self.asked.get(&place).copied().unwrap_or_default();
        let goals = [now, next.unwrap_or(now)];
        let expected = goals.map(|goal| expected(requester, goal));
        self.passed += usize::from(!matches!(seen, Outcome::Blocked(_)));
        self.repelled += usize::from(seen == Outcome::Blocked(Fault::WrongSource));
        let [was, will_be] = expected;
        self.amid += usize::from(was != will_be);
        if expected.contains(&seen) {
            return;
        }
        let owned = goals.iter().flatten().count() > 0;
        let passes = expected.map(|outcome| !matches!(outcome, Outcome::Blocked(_)));
        self.violations.push(match seen {
            Outcome::Blocked(_) if passes == [true; 2] => Violation::Lost,
            Outcome::Blocked(_) => Violation::WrongFault,
            _ if passes != [false; 2] => Violation::Stale,
            _ if owned => Violation::Foreign,
            _ => Violation::Released,
        });
    }
}

/// What must become of a message, if the entry says that.
fn expected(requester: u16, goal: Option<Goal>) -> Outcome {
    match goal {
        None => Outcome::Blocked(Fault::NotPresent),
        Some(goal) if device_of(requester) == Some(goal.device) => goal.outcome,
        Some(_) => Outcome::Blocked(Fault::WrongSource),
    }
}
