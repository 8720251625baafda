//! The matrix of host, guest, mask-all, enabled and decode, as a state machine beside an obvious
//! reference.

mod function;

use super::*;
use function::{Event, Function, State};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::vec;

fn set(function: &Function, noted: Masks, masks: Masks) -> Outcome {
    if set_if_known(function, noted, masks) {
        Outcome::Done
    } else {
        set_with_care(function, function, masks)
    }
}

/// What must come of masking or unmasking, and what is read and written for it in configuration
/// space.
fn expected(
    before: &State,
    index: usize,
    wanted: bool,
    (shortcut, answers): (bool, bool),
) -> (State, Outcome, [usize; 2]) {
    let mut after = before.clone();
    let writes = match (shortcut, before.enabled, before.decodes) {
        (true, _, _) | (false, true, true) => 0,
        (false, true, false) => 1,
        (false, false, _) => 2,
    };
    // Where all ones are the answer it is asked once more.
    let reads = if shortcut {
        0
    } else {
        2 + usize::from(before.decodes && !answers)
    };
    let outcome = if shortcut || before.decodes {
        after.entries[index] = wanted;
        Outcome::Done
    } else if wanted {
        // Who masks all: the host, unless all were masked already.
        after.all.host |= !before.mask_all;
        after.mask_all = true;
        Outcome::AllMasked {
            newly: !before.mask_all,
        }
    } else {
        Outcome::Unreachable
    };
    if writes > 0 {
        // What the function is told of mask-all anew is what is wanted, or what it was.
        after.mask_all |= before.all.any();
    }
    (after, outcome, [reads, writes])
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Xen masks or unmasks an entry.
    Set {
        index: usize,
        masks: Masks,
        known: bool,
        /// Whether Xen has noted that the entry is masked; it may be wrong.
        noted: bool,
    },
    /// The owner writes message control; Xen adds what the host wants.
    Control { enabled: bool, mask_all: bool },
    /// The owner turns decoding on or off.
    Decode(bool),
    /// The host masks all, or stops masking all.
    HostMasksAll(bool),
    /// The function is reset.
    Reset,
}

fn masks() -> impl Strategy<Value = Masks> {
    any::<(bool, bool)>().prop_map(|(host, guest)| Masks { host, guest })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..2, masks(), any::<bool>(), any::<bool>())
            .prop_map(|(index, masks, known, noted)| Step::Set { index, masks, known, noted }),
        2 => any::<(bool, bool)>().prop_map(|(enabled, mask_all)| Step::Control { enabled, mask_all }),
        2 => any::<bool>().prop_map(Step::Decode),
        1 => any::<bool>().prop_map(Step::HostMasksAll),
        1 => Just(Step::Reset),
    ]
}

/// Carries out a step, and compares what comes of it with what must.
fn follow(state: &RefCell<State>, step: Step, picky: bool, reserved: u32) {
    match step {
        Step::Set {
            index,
            masks,
            known,
            noted,
        } => set_and_compare(state, index, (noted, masks), known, picky, reserved),
        Step::Control { enabled, mask_all } => {
            let state = &mut *state.borrow_mut();
            state.enabled = enabled;
            state.all.guest = mask_all;
            state.mask_all = state.all.any();
        }
        Step::Decode(decodes) => state.borrow_mut().decodes = decodes,
        Step::HostMasksAll(mask) => state.borrow_mut().all.host = mask,
        Step::Reset => {
            let state = &mut *state.borrow_mut();
            (state.enabled, state.mask_all, state.decodes) = (false, false, false);
            state.entries = [true; 2];
        }
    }
}

fn set_and_compare(
    state: &RefCell<State>,
    index: usize,
    (noted, masks): (bool, Masks),
    known: bool,
    picky: bool,
    reserved: u32,
) {
    let before = state.borrow().clone();
    let reachable = before.decodes && (before.enabled || !picky);
    let wanted = masks.host || masks.guest;
    // All ones are no answer, before the write or after it.
    let masked = before.entries[index];
    let answers = |masked| reserved << 1 | u32::from(masked) != u32::MAX;
    let seen = masked != wanted || noted == wanted;
    let shortcut = known && reachable && seen && answers(masked) && answers(wanted);
    let (after, outcome, [reads, writes]) =
        expected(&before, index, wanted, (shortcut, answers(wanted)));
    let function = Function {
        state,
        index,
        known: Cell::new(known),
        picky,
        reserved,
        events: RefCell::default(),
        stops: Cell::new(false),
        escaped: Cell::new(false),
    };
    let noted = Masks {
        host: noted,
        guest: false,
    };
    assert_eq!(set(&function, noted, masks), outcome);
    assert_eq!(*state.borrow(), after);
    assert!(shortcut || !function.known.get(), "still believed");
    assert!(!function.escaped.get(), "enabled without masking all");
    let events = function.events.into_inner();
    let is_read = |event: &&Event| matches!(event, Event::ReadControl | Event::ReadCommand);
    let is_write = |event: &&Event| matches!(event, Event::WriteControl(_));
    let seen = [
        events.iter().filter(is_read).count(),
        events.iter().filter(is_write).count(),
    ];
    assert_eq!(seen, [reads, writes], "{events:?}");
}

proptest! {
    #[test]
    fn masks_are_what_the_reference_says(
        steps in prop::collection::vec(step(), 1..24),
        picky: bool,
        reserved in prop_oneof![Just(0u32), Just(u32::MAX), any::<u32>()],
    ) {
        let state = RefCell::new(State {
            enabled: false,
            mask_all: false,
            decodes: true,
            all: Masks { host: false, guest: false },
            entries: [true; 2],
        });
        for step in steps {
            follow(&state, step, picky, reserved);
        }
    }

    #[test]
    fn a_mask_register_has_a_bit_for_each_message(
        capable in 0u32..40,
        enabled in prop::collection::vec(masks(), 0..40),
    ) {
        let register = register(capable, enabled.iter().copied());
        // At least one message there is, and 32 at most.
        for number in 0..32 {
            let exists = number < capable.max(1);
            let free = enabled.get(number as usize).is_some_and(|masks| !masks.host && !masks.guest);
            prop_assert_eq!(register >> number & 1 != 0, exists && !free, "message {}", number);
        }
    }
}

/// Every combination once, so that none is left to chance.
#[test]
fn the_whole_matrix_is_what_the_reference_says() {
    for bits in 0..1u32 << 11 {
        let bit = |number: u32| bits >> number & 1 != 0;
        let state = RefCell::new(State {
            enabled: bit(0),
            mask_all: bit(1),
            decodes: bit(2),
            all: Masks {
                host: bit(3),
                guest: bit(4),
            },
            entries: [bit(5), false],
        });
        let masks = Masks {
            host: bit(6),
            guest: bit(7),
        };
        set_and_compare(&state, 0, (bit(10), masks), bit(8), bit(9), 0);
    }
}

/// What an entry reads as, and whether that means that it is there and has this mask bit.
#[test]
fn what_is_gone_or_says_something_else_is_not_believed() {
    for (read, masked, believed) in [
        (0, false, true),
        (1, true, true),
        (1, false, false),
        (0, true, false),
        (u32::MAX, true, false),
        (u32::MAX, false, false),
        (u32::MAX - 1, false, true),
        (0x7fff_ffff, true, true),
    ] {
        assert_eq!(reads_as(read, masked), believed, "{read:#x}, {masked}");
    }
}

#[test]
fn the_reserved_bits_stay_unless_there_is_no_answer() {
    for (read, mask, written) in [
        (0, true, 1),
        (1, false, 0),
        (0x5a5a_0001, false, 0x5a5a_0000),
        (0x5a5a_0000, true, 0x5a5a_0001),
        (u32::MAX - 1, true, u32::MAX),
        (u32::MAX, true, 1),
        (u32::MAX, false, 0),
    ] {
        assert_eq!(with_mask(read, mask), written, "{read:#x}, {mask}");
    }
}

/// The order in which a function that is disabled is treated: first it is enabled with all masked.
#[test]
fn a_disabled_function_is_enabled_for_the_time_of_the_write() {
    let state = RefCell::new(State {
        enabled: false,
        mask_all: false,
        decodes: true,
        all: Masks {
            host: false,
            guest: false,
        },
        entries: [true; 2],
    });
    let function = Function {
        state: &state,
        index: 1,
        known: Cell::new(false),
        picky: true,
        reserved: 0,
        events: RefCell::default(),
        stops: Cell::new(false),
        escaped: Cell::new(false),
    };
    let masks = Masks {
        host: false,
        guest: false,
    };
    assert_eq!(set(&function, masks, masks), Outcome::Done);
    assert_eq!(
        function.events.into_inner(),
        vec![
            Event::ReadControl,
            Event::WriteControl(MsixControl::new(0xc7ff)),
            Event::ReadCommand,
            Event::WriteEntry,
            Event::WriteControl(MsixControl::new(0x07ff)),
        ]
    );
}

/// A function that is enabled, and ceases to decode memory after it was asked: an entry is not
/// taken for masked, or not masked, that was not reached.
#[test]
fn what_ceases_to_decode_memory_meanwhile_was_not_reached() {
    for mask in [false, true] {
        let unmasked = Masks {
            host: false,
            guest: false,
        };
        let state = RefCell::new(State {
            enabled: true,
            mask_all: false,
            decodes: true,
            all: unmasked,
            entries: [!mask; 2],
        });
        let function = Function {
            state: &state,
            index: 0,
            known: Cell::new(false),
            picky: false,
            reserved: 0,
            events: RefCell::default(),
            stops: Cell::new(true),
            escaped: Cell::new(false),
        };
        let wanted = Masks {
            host: mask,
            guest: false,
        };
        let expected = match mask {
            true => Outcome::AllMasked { newly: true },
            false => Outcome::Unreachable,
        };
        assert_eq!(set(&function, wanted, wanted), expected);
        let after = state.into_inner();
        assert_eq!(after.entries[0], !mask);
        assert_eq!([after.mask_all, after.all.host], [mask; 2]);
    }
}
