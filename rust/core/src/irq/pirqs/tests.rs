//! The choice of pirqs against a plain statement of the rule: the candidates are written down in
//! the order of the rule, and the first that is free is it.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

/// A domain's pirqs, of which some are in use, and those that were asked for.
#[derive(Debug)]
struct Domain {
    pins: u32,
    count: u32,
    in_use: BTreeSet<u32>,
    asked: Vec<u32>,
}

impl Domain {
    fn new(pins: u32, count: u32, in_use: impl IntoIterator<Item = u32>) -> Self {
        Self {
            pins,
            count,
            in_use: in_use.into_iter().collect(),
            asked: Vec::new(),
        }
    }

    fn pirqs(&self) -> Pirqs {
        Pirqs::new(self.pins, self.count)
    }

    fn is_free(&self, number: u32) -> bool {
        !self.in_use.contains(&number)
    }

    fn ask(&mut self) -> impl FnMut(PirqNumber) -> bool + '_ {
        move |number: PirqNumber| {
            self.asked.push(number.index());
            !self.in_use.contains(&number.index())
        }
    }

    /// The numbers for messages, in the order of the rule.
    fn for_messages(&self) -> Vec<u32> {
        let mut all: Vec<u32> = (0..self.count).filter(|it| *it >= self.pins).collect();
        all.sort_by_key(|number| u32::MAX - number);
        all
    }

    /// Those for pins.
    fn for_pins(&self) -> Vec<u32> {
        let mut all: Vec<u32> = (16..1000).filter(|it| *it < self.pins).collect();
        all.extend(self.for_messages());
        all
    }

    /// The first runs that are free, by their lowest numbers, the highest first.
    fn run(&self, messages: u32) -> Option<u32> {
        let mut starts = self.for_messages();
        starts.retain(|first| first + messages <= self.count);
        starts
            .into_iter()
            .find(|first| (0..messages).all(|distance| self.is_free(first + distance)))
    }
}

fn index(found: Option<PirqNumber>) -> Option<u32> {
    found.map(PirqNumber::index)
}

fn domains() -> impl Strategy<Value = Domain> {
    (
        1u32..60,
        1u32..120,
        prop::collection::btree_set(0u32..120, 0..120),
    )
        .prop_map(|(pins, count, in_use)| Domain::new(pins, count, in_use))
}

proptest! {
    #[test]
    fn the_first_free_one_is_chosen(mut domain in domains()) {
        let pirqs = domain.pirqs();
        for for_pin in [false, true] {
            let order = if for_pin { domain.for_pins() } else { domain.for_messages() };
            let expected = order.iter().position(|&number| domain.is_free(number));
            domain.asked.clear();
            let found = if for_pin {
                pirqs.for_pin(domain.ask())
            } else {
                pirqs.for_message(domain.ask())
            };
            prop_assert_eq!(index(found), expected.map(|at| order[at]));
            // Each was asked for once, up to that one.
            let asked = expected.map_or(order.len(), |at| at + 1);
            prop_assert_eq!(&domain.asked[..], &order[..asked]);
        }
    }

    #[test]
    fn the_highest_run_is_chosen(mut domain in domains(), messages in 1u32..=32) {
        let pirqs = domain.pirqs();
        let expected = domain.run(messages);
        let found = pirqs.for_block(messages, domain.ask());
        prop_assert_eq!(index(found), expected);
        // Nothing below the run was asked for.
        let lowest = domain.asked.iter().min().copied();
        prop_assert!(expected.is_none_or(|first| lowest == Some(first)));
    }

    #[test]
    fn what_is_asked_for_instead_is_there(mut domain in domains(), order in 0u32..=5) {
        let (pirqs, messages) = (domain.pirqs(), 1 << order);
        let smaller = pirqs.smaller_block(messages, domain.ask());
        prop_assert!(smaller < messages);
        prop_assert!(smaller == 0 || smaller.is_power_of_two());
        if smaller > 1 {
            prop_assert!(domain.run(smaller).is_some());
        }
        let mut between = smaller * 2;
        while between > 1 && between < messages {
            prop_assert!(domain.run(between).is_none());
            between *= 2;
        }
    }

    #[test]
    fn numbers_are_below_the_count(count in 0u32..200, number: i32, distance: u32) {
        let pirqs = Pirqs::new(16, count);
        let is_one = (0..i64::from(count)).contains(&i64::from(number));
        let found = pirqs.numbered(number);
        prop_assert_eq!(found.map(PirqNumber::get), is_one.then_some(number));
        if let Some(found) = found {
            let far = u64::from(found.index()) + u64::from(distance);
            let behind = index(pirqs.behind(found, distance)).map(u64::from);
            prop_assert_eq!(behind, (far < u64::from(count)).then_some(far));
        }
    }

    #[test]
    fn words_are_kept(word: i32) {
        prop_assert_eq!(Link::of(word).word(), word);
        match Link::of(word) {
            Link::None => prop_assert_eq!(word, 0),
            Link::To(number) => prop_assert_eq!(i64::from(number), i64::from(word)),
            Link::Held(number) => prop_assert_eq!(-i64::from(number), i64::from(word)),
        }
        match Emuirq::of(word) {
            Some(emuirq) => prop_assert_eq!(emuirq.word(), word),
            None => prop_assert!(word == Emuirq::UNBOUND || word < Emuirq::MESSAGE),
        }
    }
}

#[test]
fn each_number_of_messages_has_its_block() {
    for messages in -2..=40 {
        let expected = [1, 2, 4, 8, 16, 32]
            .into_iter()
            .find(|block| *block >= messages);
        let expected = expected.filter(|_| messages > 0);
        assert_eq!(
            block_of(messages).map(u32::cast_signed),
            expected,
            "{messages}"
        );
    }
}

#[test]
fn a_run_does_not_reach_into_the_pirqs_of_pins() {
    let pirqs = Pirqs::new(24, 30);
    assert_eq!(index(pirqs.for_block(4, |_| true)), Some(26));
    assert_eq!(index(pirqs.for_block(6, |_| true)), Some(24));
    assert_eq!(pirqs.for_block(7, |_| true), None);
}
