//! An interrupt that is posted now, and now remapped: each message that is sent arrives.

use super::scenario::Machine;
use super::subject::{DESCRIPTORS, Subject};
use super::{CROWDED, NOT_COHERENT, PLAIN, SLOW, Vtd, devices, ledger::Goal};
use crate::dice::Dice;
use crate::iommu::handle::Handle;
use crate::iommu::{Iommu, Outcome};
use irq_core::remap::entry::Interrupt;
use irq_core::remap::slots::Slots;
use irq_core::remap::update::set;
use proptest::prelude::*;
use std::collections::BTreeSet;

const DEVICE: usize = 1;

/// A device that sends, and the vCPUs that take what was posted.
struct Parties {
    dice: Dice,
    index: usize,
    /// What the entry says, and what it may say already.
    goals: [Outcome; 2],
    sent: usize,
    /// The vectors that were posted to each descriptor, and not taken yet.
    posted: [BTreeSet<u8>; DESCRIPTORS.len()],
}

impl Parties {
    fn act(&mut self, unit: &mut Vtd) {
        for _ in 0..self.dice.below(4) {
            let requester = self.dice.of(devices::REQUESTERS[DEVICE]);
            match self.dice.below(8) {
                0 => unit.step(),
                1 => unit.evict(requester, self.index),
                2 => unit.memory().write_back(self.index),
                3 => {
                    let number = self.dice.below(DESCRIPTORS.len());
                    self.take(unit, number);
                }
                _ => self.send(unit, requester),
            }
        }
    }

    fn send(&mut self, unit: &mut Vtd, requester: u16) {
        let outcome = unit.send(requester, Vtd::message(self.index, 3));
        self.sent += 1;
        assert!(self.goals.contains(&outcome), "{outcome:?}");
        if let Outcome::Posted { descriptor, vector } = outcome {
            let number = DESCRIPTORS.iter().position(|&at| at == descriptor);
            self.posted[number.expect("it is one of them")].insert(vector);
        }
    }

    /// A vCPU takes what was posted to a descriptor: no more and no less than that.
    fn take(&mut self, unit: &mut Vtd, number: usize) {
        let descriptor = unit.descriptor(DESCRIPTORS[number]);
        let expected = std::mem::take(&mut self.posted[number]);
        assert_eq!(descriptor.outstanding(), !expected.is_empty());
        let requests = descriptor.take();
        let taken = |&vector: &u8| requests[usize::from(vector) / 64] >> (vector % 64) & 1 != 0;
        assert_eq!((0..=0xff).filter(taken).collect::<BTreeSet<_>>(), expected);
    }
}

fn goal() -> impl Strategy<Value = Outcome> {
    let posted = |(descriptor, vector)| Outcome::Posted { descriptor, vector };
    let remapped = |(vector, destination)| {
        Outcome::Delivered(Interrupt {
            vector,
            delivery_mode: 0,
            logical: false,
            level_triggered: false,
            destination,
        })
    };
    prop_oneof![
        any::<(u8, u32)>().prop_map(remapped),
        (prop::sample::select(DESCRIPTORS.to_vec()), any::<u8>()).prop_map(posted),
    ]
}

fn machine() -> impl Strategy<Value = Machine> {
    prop::sample::select(vec![PLAIN, NOT_COHERENT, SLOW, CROWDED])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_message_is_delivered_or_posted(
        machine in machine(),
        goals in prop::collection::vec(goal(), 2..20),
        seed: u64,
    ) {
        let mut unit = Vtd::boot(machine.coherent, machine.queue);
        let mut slots = Slots::<1>::new(Slots::<1>::MOST);
        let index = slots.allocate(1).expect("the table is empty").first();
        let mut parties = Parties {
            dice: Dice::new(seed),
            index,
            goals: [goals[0]; 2],
            sent: 0,
            posted: Default::default(),
        };
        for (number, &goal) in goals.iter().enumerate() {
            parties.goals[1] = goal;
            // No message is sent before the entry is set for the first time.
            let mut act = |unit: &mut Vtd| if number > 0 { parties.act(unit) };
            let entry = Vtd::entry(Goal { device: DEVICE, outcome: goal });
            let mut table = Handle::new(&mut unit, (), &mut act);
            let stale = set(&mut table, index, entry);
            stale.invalidate(|block| table.invalidate(block));
            parties.goals[0] = goal;
            for _ in 0..4 {
                parties.act(&mut unit);
            }
        }
        for number in 0..DESCRIPTORS.len() {
            parties.take(&mut unit, number);
        }
        let posts = DESCRIPTORS.map(|address| unit.descriptor(address).posts() as usize);
        let received = unit.tally().delivered.len() + posts.iter().sum::<usize>();
        prop_assert_eq!(parties.sent, received);
        prop_assert!(unit.tally().faults.is_empty());
    }
}
