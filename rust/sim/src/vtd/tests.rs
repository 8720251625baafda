use super::*;
use crate::iommu::queue::Pace;
use irq_core::remap::entry::posting;
use irq_hw::vtd::{Ignored, Source};

const ID: u16 = 0x051a;
const DESCRIPTOR: u64 = 0x7_6543_2100;
const ENTRIES: usize = 64;

fn unit<const CACHING: bool>(apic: Apic) -> Unit<CACHING> {
    let queue = Behaviour {
        pace: Pace::Immediate,
        room: 4,
        patience: 10,
    };
    let mut unit = Unit::new(apic, true, ENTRIES, queue);
    unit.descriptor(DESCRIPTOR);
    unit
}

fn interrupt(destination: u32) -> Interrupt {
    Interrupt {
        vector: 0x31,
        delivery_mode: 0,
        logical: true,
        level_triggered: true,
        destination,
    }
}

fn raw([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn remapped(source: Source) -> u128 {
    raw(interrupt(7)
        .remapped(Apic::X2, Apic::X2, source)
        .expect("it fits")
        .raw())
}

fn posted(vector: u8, descriptor: u64) -> u128 {
    let entry = posting(vector, descriptor, Source::requester(ID));
    raw(entry.expect("the descriptor is aligned").raw())
}

/// What becomes of a message for the first entry if that is what is there.
fn outcome(apic: Apic, requester: u16, entry: u128) -> Outcome {
    let mut unit = unit::<false>(apic);
    unit.memory().write(0, entry);
    unit.send(requester, message(0, None))
}

fn message(handle: u16, subhandle: Option<u32>) -> Message {
    Message {
        address: RemappableAddress::of(handle, subhandle.is_some()).raw()[0],
        data: subhandle.unwrap_or(0x1234_5678),
    }
}

#[test]
fn a_message_names_the_sum_of_handle_and_subhandle() {
    let mut unit = unit::<false>(Apic::X2);
    let present = |index: usize| {
        raw(interrupt(index as u32)
            .remapped(Apic::X2, Apic::X2, Source::requester(ID))
            .expect("it fits")
            .raw())
    };
    for index in 0..ENTRIES {
        unit.memory().write(index, present(index));
    }
    let cases = [
        (message(5, None), Ok(5)),
        (message(63, None), Ok(63)),
        (message(32, Some(31)), Ok(63)),
        (message(0, Some(0)), Ok(0)),
        (message(64, None), Err(Fault::BeyondTable)),
        (message(0x8000, None), Err(Fault::BeyondTable)),
        (message(32, Some(32)), Err(Fault::BeyondTable)),
        // The sum has more than 16 bits, and does not wrap.
        (message(0xffff, Some(1)), Err(Fault::BeyondTable)),
        (message(0, Some(0x1_0000)), Err(Fault::ReservedInMessage)),
    ];
    for (message, expected) in cases {
        let expected = match expected {
            Ok(index) => Outcome::Delivered(interrupt(index)),
            Err(fault) => Outcome::Blocked(fault),
        };
        assert_eq!(unit.send(ID, message), expected, "{message:x?}");
    }
    assert_eq!(unit.tally().delivered.len(), 4);
    assert_eq!(unit.tally().faults.len(), 5);
}

#[test]
fn a_message_in_compatibility_format_is_blocked() {
    for address in [0xfee0_1000, 0xfed0_0010] {
        let message = Message {
            address,
            data: 0x31,
        };
        let outcome = unit::<false>(Apic::X2).send(ID, message);
        assert_eq!(outcome, Outcome::Blocked(Fault::NotRemappable));
    }
}

#[test]
fn an_entry_takes_messages_of_its_source_alone() {
    let sources = [
        Source::requester(ID),
        Source::with_phantoms(ID, Ignored::One),
        Source::with_phantoms(ID, Ignored::Two),
        Source::with_phantoms(ID, Ignored::Three),
        Source::buses(4, 5).expect("there are buses from 4 to 5"),
    ];
    for source in sources {
        let entry = Remapped::new(words(remapped(source)));
        for requester in 0..=u16::MAX {
            assert_eq!(passes(entry, requester), source.allows(requester));
        }
        let [wrong, right] = [0x0a00, ID].map(|id| outcome(Apic::X2, id, remapped(source)));
        assert_eq!(wrong, Outcome::Blocked(Fault::WrongSource));
        assert_eq!(right, Outcome::Delivered(interrupt(7)));
    }
    let anybodys = Remapped::new(words(remapped(sources[0]))).with_source_validation(0);
    assert!((0..=u16::MAX).all(|requester| passes(anybodys, requester)));
}

#[test]
fn an_entry_with_reserved_bits_is_refused() {
    let source = Source::requester(ID);
    let narrow = raw(interrupt(7)
        .remapped(Apic::X, Apic::X, source)
        .expect("it fits")
        .raw());
    let wide = raw(interrupt(u32::MAX)
        .remapped(Apic::X2, Apic::X2, source)
        .expect("it fits")
        .raw());
    let refused = Outcome::Blocked(Fault::ReservedInEntry);
    assert_eq!(
        outcome(Apic::X, ID, narrow),
        Outcome::Delivered(interrupt(7))
    );
    assert_eq!(outcome(Apic::X, ID, wide), refused);
    assert_eq!(
        outcome(Apic::X2, ID, wide),
        Outcome::Delivered(interrupt(u32::MAX))
    );
    assert_eq!(outcome(Apic::X2, ID, wide | 3 << 82), refused);
    for bit in [12, 14, 24, 31, 84, 127] {
        assert_eq!(outcome(Apic::X2, ID, wide | 1 << bit), refused, "{bit}");
    }
    for bit in [2, 7, 12, 13, 24, 37, 84, 95] {
        assert_eq!(
            outcome(Apic::X2, ID, posted(5, DESCRIPTOR) | 1 << bit),
            refused,
            "{bit}"
        );
    }
    // Those that software may use as it likes.
    let available = wide | 0xf00;
    assert_eq!(
        outcome(Apic::X2, ID, available),
        Outcome::Delivered(interrupt(u32::MAX))
    );
}

#[test]
fn a_posted_message_sets_its_bit_and_notifies() {
    let mut unit = unit::<false>(Apic::X2);
    unit.memory().write(0, posted(0x45, DESCRIPTOR));
    let vector = 0x45;
    let descriptor = DESCRIPTOR;
    let expected = Outcome::Posted { descriptor, vector };
    assert_eq!(unit.send(ID, message(0, None)), expected);
    assert_eq!(
        unit.send(ID + 1, message(0, None)),
        Outcome::Blocked(Fault::WrongSource)
    );
    let descriptor = unit.descriptor(DESCRIPTOR);
    assert!(descriptor.outstanding());
    assert_eq!((descriptor.posts(), descriptor.notifications()), (1, 1));
    assert_eq!(descriptor.take(), [0, 1 << 5, 0, 0]);
    assert!(unit.tally().delivered.is_empty());
}

#[test]
fn half_an_address_leads_to_memory_that_is_no_descriptor() {
    let [old, new] = [0x1_0000_1000, DESCRIPTOR].map(|address| words(posted(5, address)));
    let torn = raw([new[0], old[1]]);
    assert_eq!(outcome(Apic::X2, ID, torn), Outcome::Wild(0x1_6543_2100));
}

#[test]
fn a_fault_is_recorded_unless_the_entry_forbids_it() {
    let mut unit = unit::<false>(Apic::X2);
    let silent = Remapped::new([0, 0]).with_fault_processing_disabled(true);
    for (index, entry) in [(0, silent.raw()), (1, [0, 0])] {
        unit.memory().write(index, raw(entry));
    }
    for handle in [0, 1] {
        let outcome = unit.send(ID, message(handle, None));
        assert_eq!(outcome, Outcome::Blocked(Fault::NotPresent));
    }
    assert_eq!(unit.tally().faults, [Fault::NotPresent]);
}

/// Whether an entry is used at once that was absent when a message came before.
fn sees_what_was_absent<const CACHING: bool>() -> bool {
    let mut unit = unit::<CACHING>(Apic::X2);
    unit.send(ID, message(0, None));
    unit.memory().write(0, remapped(Source::requester(ID)));
    unit.send(ID, message(0, None)) == Outcome::Delivered(interrupt(7))
}

#[test]
fn absent_entries_are_kept_in_caching_mode_alone() {
    assert!(sees_what_was_absent::<false>());
    assert!(!sees_what_was_absent::<true>());
}

#[test]
fn an_invalidation_reaches_a_block_and_no_more() {
    let mut unit = unit::<true>(Apic::X2);
    for index in 0..ENTRIES {
        unit.fetch(ID, index);
    }
    unit.forget(Block::of(8, 4).expect("a block begins there"));
    let kept: Vec<_> = unit.cache.keys().copied().collect();
    assert_eq!(kept, (0..8).chain(12..ENTRIES).collect::<Vec<_>>());
}
