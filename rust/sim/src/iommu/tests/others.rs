//! The other parties: devices that send, the IOMMU's cache, its queue, the processors' caches.

use super::devices::{REQUESTERS, STRANGER};
use super::ledger::{Ledger, Place};
use super::subject::{ENTRIES, Subject};
use crate::dice::Dice;
use crate::iommu::{Fault, Outcome};

/// The other parties.
pub(super) struct Others {
    dice: Dice,
    /// Whether other producers keep the queue full.
    crowded: bool,
    /// The entries that are changing, or changed last.
    focus: Vec<Place>,
    /// The device whose they are, and the one whose the entries before them were, or they
    /// themselves once were.
    owners: [usize; 2],
}

impl Others {
    pub(super) fn new(seed: u64, crowded: bool) -> Self {
        Self {
            dice: Dice::new(seed),
            crowded,
            focus: Vec::new(),
            owners: [0; 2],
        }
    }

    /// A few of them do something.
    pub(super) fn act<S: Subject>(&mut self, unit: &mut S, ledger: &mut Ledger) {
        if self.crowded && self.dice.below(2) == 0 {
            unit.queue().crowd();
        }
        for _ in 0..self.dice.below(4) {
            let (requester, place) = self.choose::<S>();
            let index = place.map_or(0, |(_, index)| index);
            match self.dice.below(8) {
                0 | 1 => {
                    unit.fetch(requester, index);
                }
                2 => unit.evict(requester, index),
                3 => {
                    let table = self.dice.below(S::TABLES);
                    unit.table(S::name(table)).memory.write_back(index);
                }
                4 => unit.step(),
                _ => {
                    let split = self.dice.below(40);
                    let outcome = unit.send(requester, S::message(index, split));
                    match place {
                        Some((_, index)) if index >= ENTRIES => {
                            assert_eq!(outcome, Outcome::Blocked(Fault::BeyondTable));
                        }
                        Some(place) => ledger.see(requester, place, outcome),
                        None => assert_eq!(outcome, Outcome::Blocked(Fault::NoTable)),
                    }
                }
            }
        }
    }

    /// Entries of a device are about to change.
    pub(super) fn look_at(&mut self, places: Vec<Place>, device: usize) {
        self.focus = places;
        if self.owners[0] != device {
            self.owners = [device, self.owners[0]];
        }
    }

    /// A requester, and an entry that its messages may name; `None` where it has no table.
    fn choose<S: Subject>(&mut self) -> (u16, Option<Place>) {
        // Most often the message is for one of the entries that change, and its owner's, or a
        // former owner's.
        let focus = match self.focus.len() {
            0 => (0, 0),
            count => self.focus[self.dice.below(count)],
        };
        let requester = match self.dice.below(8) {
            0 => STRANGER,
            1..4 => self.dice.of(REQUESTERS[self.owners[0]]),
            4 | 5 => self.dice.of(REQUESTERS[self.owners[1]]),
            _ => {
                let device = self.dice.below(REQUESTERS.len());
                self.dice.of(REQUESTERS[device])
            }
        };
        let index = match self.dice.below(16) {
            0 => self.dice.below(96),
            1 if S::TABLES == 1 => ENTRIES + self.dice.below(8),
            _ => focus.1,
        };
        (requester, S::place(requester, index))
    }
}
