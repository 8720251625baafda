//! What the tests have to know of each model.

use super::devices::{REQUESTERS, device_of, source};
use super::ledger::{Goal, Place};
use crate::amd;
use crate::iommu::queue::Behaviour;
use crate::iommu::{Iommu, Message, Outcome};
use crate::vtd;
use irq_core::remap::entry::{Apic, Interrupt, posting};
use irq_hw::vtd::RemappableAddress;

/// Entries of a table: as many as `Slots<1>` has.
pub(super) const ENTRIES: usize = 2048;

/// Where posted-interrupt descriptors are. Of two of them both halves of the address differ.
pub(super) const DESCRIPTORS: [u64; 3] = [0x1_2340, 0x7_6543_2000, 0x5_ffff_ffc0];

/// An IOMMU that the tests can work with.
pub(super) trait Subject: Iommu<Entry: Halves, Scope: Copy> + Sized {
    /// How many tables it has.
    const TABLES: usize;

    /// Whether it can post.
    const POSTS: bool;

    /// The widest destination.
    const WIDEST: u32;

    /// The IOMMU with the devices of the tests.
    fn boot(coherent: bool, queue: Behaviour) -> Self;

    /// The number of the table that a requester's messages are looked up in.
    fn table_of(requester: u16) -> Option<usize>;

    /// Names a table by its number.
    fn name(table: usize) -> Self::Table;

    /// A message for an entry. `split` says how much of the number is in the data, where that is
    /// free.
    fn message(index: usize, split: usize) -> Message;

    /// The entry that leads to a goal.
    fn entry(goal: Goal) -> Self::Entry;

    /// The entry that a requester's message names.
    fn place(requester: u16, index: usize) -> Option<Place> {
        Some((Self::table_of(requester)?, index))
    }
}

/// An entry that can be written in two halves.
pub(super) trait Halves: Copy {
    /// The low half of one and the high half of the other.
    fn join(low: Self, high: Self) -> Self;
}

impl Halves for u128 {
    fn join(low: Self, high: Self) -> Self {
        high >> 64 << 64 | low & u128::from(u64::MAX)
    }
}

impl Halves for u32 {
    fn join(low: Self, high: Self) -> Self {
        high >> 16 << 16 | low & 0xffff
    }
}

fn join(raw: [u64; 2]) -> u128 {
    u128::from(raw[1]) << 64 | u128::from(raw[0])
}

impl<const CACHING: bool> Subject for vtd::Unit<CACHING> {
    const TABLES: usize = 1;
    const POSTS: bool = true;
    const WIDEST: u32 = u32::MAX;

    fn boot(coherent: bool, queue: Behaviour) -> Self {
        let mut unit = Self::new(Apic::X2, coherent, ENTRIES, queue);
        for address in DESCRIPTORS {
            unit.descriptor(address);
        }
        unit
    }

    fn table_of(_requester: u16) -> Option<usize> {
        Some(0)
    }

    fn name(_table: usize) -> Self::Table {}

    fn message(index: usize, split: usize) -> Message {
        let subhandle = index.min(split);
        let handle = u16::try_from(index - subhandle).expect("a handle has 16 bits");
        Message {
            address: RemappableAddress::of(handle, subhandle != 0).raw()[0],
            data: subhandle as u32,
        }
    }

    fn entry(goal: Goal) -> u128 {
        let source = source(goal.device);
        match goal.outcome {
            Outcome::Delivered(interrupt) => join(
                interrupt
                    .remapped(Apic::X2, Apic::X2, source)
                    .expect("it fits")
                    .raw(),
            ),
            Outcome::Posted { descriptor, vector } => {
                let entry = posting(vector, descriptor, source);
                join(entry.expect("descriptors are aligned").raw())
            }
            Outcome::Wild(_) | Outcome::Blocked(_) => unreachable!("nobody asks for that"),
        }
    }
}

/// A format of AMD's entries as the tests make them.
pub(super) trait Encode: amd::Format {
    const WIDEST: u32;

    fn encode(interrupt: Interrupt) -> Self;
}

impl Encode for u32 {
    const WIDEST: u32 = 0xff;

    fn encode(interrupt: Interrupt) -> Self {
        let [entry] = interrupt.irte32(Apic::X).expect("it fits").raw();
        entry.try_into().expect("the entry fits")
    }
}

impl Encode for u128 {
    const WIDEST: u32 = u32::MAX;

    fn encode(interrupt: Interrupt) -> Self {
        join(interrupt.irte128().raw())
    }
}

impl<E: Encode + Halves> Subject for amd::Unit<E> {
    const TABLES: usize = REQUESTERS.len();
    const POSTS: bool = false;
    const WIDEST: u32 = E::WIDEST;

    fn boot(coherent: bool, queue: Behaviour) -> Self {
        let mut unit = Self::new(queue);
        for requesters in REQUESTERS {
            unit.add(requesters, coherent, ENTRIES);
        }
        unit
    }

    fn table_of(requester: u16) -> Option<usize> {
        device_of(requester)
    }

    fn name(table: usize) -> usize {
        table
    }

    fn message(index: usize, _split: usize) -> Message {
        Message {
            address: 0xfee0_0000,
            data: index as u32,
        }
    }

    fn entry(goal: Goal) -> E {
        match goal.outcome {
            Outcome::Delivered(interrupt) => E::encode(interrupt),
            _ => unreachable!("nobody asks for that"),
        }
    }
}
