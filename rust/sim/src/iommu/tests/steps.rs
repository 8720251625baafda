//! What the software is asked to do in a run.

use super::devices::REQUESTERS;
use super::subject::DESCRIPTORS;
use proptest::prelude::*;

/// What the software is asked to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Allocate a block for a device.
    Allocate { device: usize, count: usize },
    /// Set an entry of a block in use.
    Set {
        which: Which,
        offset: usize,
        wish: Wish,
    },
    /// Release a block in use.
    Release { which: Which },
}

/// One of the blocks in use.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// The one that was allocated last.
    Last,
    /// Any.
    Any(usize),
}

/// What an entry is asked to say, before it is known what the IOMMU can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// Nothing: it shall be absent.
    Absent,
    /// An interrupt for a local APIC.
    Remapped { vector: u8, destination: u32 },
    /// One for a posted-interrupt descriptor.
    Posted { vector: u8, descriptor: usize },
}

fn wish() -> impl Strategy<Value = Wish> {
    let remapped = |(vector, destination)| Wish::Remapped {
        vector,
        destination,
    };
    let posted = |(vector, descriptor)| Wish::Posted { vector, descriptor };
    prop_oneof![
        1 => Just(Wish::Absent),
        4 => any::<(u8, u32)>().prop_map(remapped),
        4 => (any::<u8>(), 0..DESCRIPTORS.len()).prop_map(posted),
    ]
}

/// What the software is asked to do in a run.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = one().prop_map(|step| vec![step]);
    let some = prop_oneof![12 => one, 1 => hand_over()];
    prop::collection::vec(some, 1..30).prop_map(|steps| steps.concat())
}

fn count() -> impl Strategy<Value = usize> {
    prop_oneof![2 => 1..=4usize, 1 => 1..=32usize]
}

fn one() -> impl Strategy<Value = Step> {
    let which = || any::<usize>().prop_map(Which::Any);
    let offset = prop_oneof![Just(0), any::<usize>()];
    prop_oneof![
        2 => (0..REQUESTERS.len(), count())
            .prop_map(|(device, count)| Step::Allocate { device, count }),
        6 => (which(), offset, wish())
            .prop_map(|(which, offset, wish)| Step::Set { which, offset, wish }),
        1 => which().prop_map(|which| Step::Release { which }),
    ]
}

/// A block goes from one device to another: the lowest free one is always taken.
fn hand_over() -> impl Strategy<Value = Vec<Step>> {
    let device = || 0..REQUESTERS.len();
    (device(), device(), count(), wish(), wish()).prop_map(|(from, to, count, old, new)| {
        let which = Which::Last;
        let allocate = |device| Step::Allocate { device, count };
        let set = |wish| Step::Set {
            which,
            offset: 0,
            wish,
        };
        let release = Step::Release { which };
        vec![allocate(from), set(old), release, allocate(to), set(new)]
    })
}
