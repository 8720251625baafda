//! Registers that Rust writes from what Xen knows, and C from what the device says.

use xen_sys as sys;

use super::api::Api;
use super::config::{BY_DOM0, as_write};
use super::descs::{self, Found, choose_irq, device_of, raced};
use super::op::{Call, Change, Op, Opening};
use super::platform::Meanwhile;
use super::says::{BLIND, DIGEST, GUEST_WRONG, KEPT, LIFTED, SETTLED, UNMASKED, WRONG};
use super::world::World;
use crate::answer::Answer;
use crate::machine::function::{COMMAND, MEMORY};
use crate::rng::mix;
use crate::side::Side;
use crate::trace::Event;
use crate::trap::Trap;
use crate::xen::{addr, get};

/// The bit of MSI-X's message control that enables it.
const ENABLE: u32 = sys::PCI_MSIX_FLAGS_ENABLE;
/// The one that masks all.
const MASK_ALL: u32 = sys::PCI_MSIX_FLAGS_MASKALL;

/// Whether Xen has written 32 bits of a register.
pub(super) fn is_write(event: &Event, sbdf: u32, register: u32) -> bool {
    matches!(event, Event::Call(name, _) if *name != BY_DOM0) && writes(event, sbdf, register)
}

/// Whether Xen or dom0 has.
fn writes(event: &Event, sbdf: u32, register: u32) -> bool {
    as_write(event).is_some_and(|[function, place, _, width]| {
        (function, place, width) == (sbdf.into(), register.into(), 4)
    })
}

/// What is set up of a function's MSI: in its list, or for an IOMMU.
fn messages(side: &mut Side, world: &World, device: usize) -> Option<Found> {
    let all = descs::of_device(side, world, device).ok()?;
    let foreign = world.foreign.iter().map(|desc| Found { desc: *desc });
    let of_iommu = foreign.filter(|found| get!(found.desc, dev) == world.devices[device]);
    let mut all = all.into_iter().chain(of_iommu);
    all.find(|found| !found.is_msix() && get!(found.desc, msi_attrib).maskbit())
}

/// Says where memory was read that is not decoded. Xen is told of what dom0 writes; of what changes
/// behind Xen, or while it looks, it is not.
pub(super) fn note_blind_reads(side: &mut Side, world: &World, op: &Op, answer: Answer) -> Answer {
    let excused = world.spec.lies > 0
        || world.behind.contains(&true)
        || matches!(op, Op::Race { .. } | Op::Overlap { .. })
        || side.env().machine.pci.blind_reads == 0;
    if excused {
        return answer;
    }
    Answer {
        output: Some(answer.output.unwrap_or_default() | BLIND),
        ..answer
    }
}

/// Where a mask register was lost, puts it right on both sides as soon as one was written.
pub(super) fn settle(side: &mut Side, world: &mut World, answer: Answer) -> Answer {
    let mut settled = 0;
    for device in 0..world.devices.len() {
        settle_control(side, world, device);
        let spec = &world.spec.devices[device];
        let (true, Some(msi)) = (world.stale[device], spec.msi) else {
            continue;
        };
        let (sbdf, register) = (spec.sbdf, msi.mask_register());
        let found = messages(side, world, device);
        let mut trace = side.env().trace.iter();
        // Where no message is set up, dom0 may write what it likes.
        let counts = |event: &Event| match found {
            Some(_) => writes(event, sbdf, register),
            None => is_write(event, sbdf, register),
        };
        if !trace.any(|entry| counts(&entry.event)) {
            continue;
        }
        // What is not set up is masked.
        let mut expected = u32::MAX >> (32 - (1 << msi.most));
        for (number, desc) in found.iter().flat_map(|found| found.messages()).enumerate() {
            let attributes = get!(desc, msi_attrib);
            if !attributes.host_masked() && !attributes.guest_masked() {
                expected &= !(1 << number);
            }
        }
        let function = &mut side.env().machine.pci.functions[device];
        // Bits that are the device's can not be written.
        let own = !(u32::MAX >> (32 - (1 << msi.most)));
        expected |= function.peek(register as usize, 4) & own;
        if function.peek(register as usize, 4) != expected {
            settled |= WRONG;
            function.write(register as usize, 4, expected);
        }
        settled |= SETTLED;
        world.stale[device] = false;
    }
    Answer {
        output: (answer.output.is_some() || settled != 0)
            .then(|| answer.output.unwrap_or_default() | settled),
        ..answer
    }
}

/// Where MSI-X was switched off behind Xen, C masks all messages as Xen knows they were when it
/// comes by.
fn settle_control(side: &mut Side, world: &World, device: usize) {
    let msix = get!(world.devices[device], msix);
    let function = &mut side.env().machine.pci.functions[device];
    let register = function.msix + 2;
    if !world.behind[device] || msix.is_null() || function.peek(register, 2) & ENABLE != 0 {
        return;
    }
    let masked = get!(msix, host_maskall) || get!(msix, guest_maskall);
    let control = function.peek(register, 2) & !MASK_ALL;
    function.write(
        register,
        2,
        if masked { control | MASK_ALL } else { control },
    );
}

/// What masks the messages of a function's MSI-X table before a step.
pub(super) struct Masked {
    /// The host's wish to mask all, as noted.
    host: bool,
    /// Whether all are.
    all: bool,
    /// The entries that are set up.
    entries: Vec<u16>,
}

/// What masks the messages of each function's table now.
pub(super) fn masked(side: &mut Side, world: &World) -> Vec<Masked> {
    let of_device = |device: usize| {
        let msix = get!(world.devices[device], msix);
        let list = descs::of_device(side, world, device).unwrap_or_default();
        let list = list.iter().filter(|found| found.is_msix());
        let entries = list.map(|found| get!(found.desc, msi_attrib.entry_nr));
        let function = &side.env().machine.pci.functions[device];
        Masked {
            host: !msix.is_null() && get!(msix, host_maskall),
            // One that is gone answers all ones.
            all: function.read(function.msix + 2, 2) & MASK_ALL != 0,
            entries: entries.collect(),
        }
    };
    (0..world.devices.len()).map(of_device).collect()
}

/// Sees that Rust masks all messages of a function for as long as the host wants that: where an
/// entry that is freed could not be masked, whatever the guest masks; and after the function was
/// restored. Says where C does not.
pub(super) fn check_mask_all(
    side: &mut Side,
    world: &World,
    api: &Api,
    before: &[Masked],
    (op, answer): (&Op, Answer),
) -> Answer {
    let is_rust = api.sees_all_writes();
    let is_restored = |device: usize| match *op {
        Op::Restore { device: restored }
        | Op::Overlap {
            opening: Opening::Restore { device: restored },
            ..
        } => restored % before.len() == device && answer.outcome == Ok(0),
        _ => false,
    };
    let mut says = 0;
    for (device, now) in masked(side, world).into_iter().enumerate() {
        let msix = get!(world.devices[device], msix);
        let before = &before[device];
        if msix.is_null() || world.spec.lies > 0 {
            continue;
        }
        let answers = !is_gone(side, world, device);
        let physical = world.spec.devices[device].physical.unwrap_or(device);
        let command = side.env().machine.pci.functions[physical].peek(COMMAND, 2);
        let decodes = command & u32::from(MEMORY) != 0;
        // Where an MSI is set up of a function that has MSI-X in use, an entry of that is masked.
        let frees = matches!(
            op,
            Op::Unmap { .. } | Op::Cleanup { .. } | Op::Map(_) | Op::Enable(_)
        );
        if frees && !(answers && decodes) && now.host && !before.host && before.all {
            says |= KEPT;
        }
        let is_used = get!(msix, used_entries) > 0;
        let function = &mut side.env().machine.pci.functions[device];
        let freed = |entry: &&u16| !now.entries.contains(*entry);
        let is_unmasked = |entry: &u16| function.table_word(4 * usize::from(*entry) + 3) & 1 == 0;
        let mut freed = before.entries.iter().filter(freed);
        if is_rust
            && matches!(op, Op::Unmap { .. })
            && is_used
            && answers
            && !decodes
            && !now.host
            && let Some(entry) = freed.find(|entry| is_unmasked(entry))
        {
            let reason = format!("entry {entry} was freed, and is not masked for good");
            return Answer::void(Err(Trap::Fault(reason)));
        }
        let wants = get!(msix, guest_maskall);
        let is_there = !function.gone;
        if is_restored(device) && is_there && !now.entries.is_empty() && wants && !now.all {
            if is_rust {
                let reason = "mask-all is lifted where a function was restored".to_owned();
                return Answer::void(Err(Trap::Fault(reason)));
            }
            let register = function.msix + 2;
            function.write(register, 2, function.peek(register, 2) | MASK_ALL);
            says |= LIFTED;
        }
    }
    Answer {
        output: (answer.output.is_some() || says != 0)
            .then(|| answer.output.unwrap_or_default() | says),
        ..answer
    }
}

/// Before a step: notes what is in use; and what ran before Xen, or dom0, has left entries unmasked
/// of functions that Xen uses none of.
pub(super) fn leave_unmasked(side: &mut Side, world: &mut World) {
    for device in 0..world.devices.len() {
        let msix = get!(world.devices[device], msix);
        // Two interrupts overwrite each other's message in one entry; one of them may end.
        world.lost[device] |= is_shared(side, world, device);
        world.unused[device] = msix.is_null() || get!(msix, used_entries) == 0;
        // dom0 may have a table released of which Xen uses an entry.
        if world.unused[device] && !has_entries(side, world, device) {
            side.env().machine.pci.functions[device].leave_unmasked();
        }
    }
}

/// Where the first entries of a table were set up, or could not be, no other is to be unmasked: C
/// leaves them as they are, and they are masked for it. Rust is to have masked them where the first
/// is set up.
pub(super) fn settle_entries(
    side: &mut Side,
    world: &World,
    api: &Api,
    (op, answer): (&Op, Answer),
) -> Answer {
    let sets_up = match op {
        Op::Map(wish) | Op::Enable(wish) => wish.msix,
        Op::Fill { .. } | Op::Crowd { .. } | Op::Prepare { .. } => true,
        _ => false,
    };
    if !sets_up {
        return answer;
    }
    let mut left = false;
    for device in 0..world.devices.len() {
        let msix = get!(world.devices[device], msix);
        if !world.unused[device] || msix.is_null() {
            continue;
        }
        let all = descs::of_device(side, world, device).unwrap_or_default();
        let all = all.iter().filter(|found| found.is_msix());
        let used: Vec<_> = all
            .map(|found| get!(found.desc, msi_attrib.entry_nr).into())
            .collect();
        let has_moved = has_moved(side, world, device);
        let is_gone = is_gone(side, world, device);
        let function = &mut side.env().machine.pci.functions[device];
        // Where nothing says where the table is, or it does not answer, Xen masks in vain.
        let answers =
            !has_moved && function.table_at.is_some() && !is_gone && has_own_place(world, device);
        let is_first = get!(msix, used_entries) > 0 && answers;
        let any = function.mask_entries(&used);
        left |= any && is_first && api.sees_all_writes();
    }
    if !left || world.spec.lies > 0 {
        return answer;
    }
    Answer {
        output: Some(answer.output.unwrap_or_default() | UNMASKED),
        ..answer
    }
}

/// The masks of the guest after dom0 wrote a mask register: C takes any bit of a message or of
/// those after it for that of the message. Puts them right; whether any was wrong, and a digest of
/// which, is the answer.
pub(super) fn guest_masks(
    side: &mut Side,
    world: &World,
    device: usize,
    (register, value): (u32, u32),
) -> u64 {
    let all = descs::of_device(side, world, device).unwrap_or_default();
    let found = all.into_iter().find(|found| !found.is_msix());
    let Some(found) = found.filter(|found| get!(found.desc, msi_attrib).maskbit()) else {
        return 0;
    };
    if get!(found.desc, __bindgen_anon_1.msi.mpos) != register {
        return 0;
    }
    let mut wrong = 0u64;
    for (number, desc) in found.messages().enumerate() {
        let wanted = value >> number & 1 != 0;
        let attributes = addr!(desc, msi_attrib);
        // SAFETY: The descriptor is one of Xen's, and no call runs.
        unsafe {
            if (*attributes).guest_masked() != wanted {
                (*attributes).set_guest_masked(wanted);
                wrong |= 1 << number;
            }
        }
    }
    match wrong {
        0 => 0,
        // The bits below the digest say other things of the step.
        which => GUEST_WRONG | mix(which) & DIGEST,
    }
}

/// Whether a step would look for another entry of a table whose BAR does not begin with a page, or
/// that was pulled: C forgets the one, and asks again where in its page the table begins.
fn is_lost(side: &mut Side, world: &World, op: &Op) -> bool {
    let device = match *op {
        Op::Map(wish) | Op::Enable(wish) if wish.msix => wish.device,
        Op::Fill { device, .. } | Op::Crowd { device } => device,
        _ => return false,
    };
    let device = device % world.devices.len();
    let msix = get!(world.devices[device], msix);
    let Some(spec) = world.spec.devices[device].msix else {
        return false;
    };
    let several = matches!(op, Op::Fill { .. } | Op::Crowd { .. }) || get!(msix, used_entries) > 0;
    let crooked = world
        .spec
        .bar(device, spec.table.0)
        .is_some_and(|base| base & 0xfff != 0);
    let gone = side.env().machine.pci.functions[device].gone;
    several && (crooked || gone)
}

/// Whether a step would set up the first entry of a table that lies where another's is, as no two
/// that work do: Rust masks all entries there.
fn is_covered(side: &mut Side, world: &World, op: &Op) -> bool {
    let device = match *op {
        Op::Map(wish) | Op::Enable(wish) if wish.msix => wish.device,
        Op::Fill { device, .. } | Op::Crowd { device } | Op::Prepare { device, .. } => device,
        _ => return false,
    };
    let device = device % world.devices.len();
    let msix = get!(world.devices[device], msix);
    let unused = msix.is_null() || get!(msix, used_entries) == 0;
    // Nor is an entry masked that was given up for an MSI and is set up all the same.
    unused && (has_entries(side, world, device) || !has_own_place(world, device))
}

/// Whether some entry of a function's table is set up.
fn has_entries(side: &mut Side, world: &World, device: usize) -> bool {
    let all = descs::of_device(side, world, device).unwrap_or_default();
    all.iter().any(|found| found.is_msix())
}

/// Whether a step would set up MSIs of a function that has some with other interrupts already: C
/// lets several blocks share the one register of masks, and that of the message.
fn is_second_block(side: &mut Side, world: &World, op: &Op) -> bool {
    let (Op::Map(wish) | Op::Enable(wish)) = *op else {
        return false;
    };
    let device = wish.device % world.devices.len();
    let all = descs::of_device(side, world, device).unwrap_or_default();
    let has_some = all.iter().any(|found| !found.is_msix());
    !wish.msix && (world.is_iommu(device) || has_some && !wish.taken)
}

/// Whether a step would change a function behind Xen whose table lies where another's is, as no two
/// that work do.
fn is_uncovered(world: &World, op: &Op) -> bool {
    let Op::World(
        Change::Command { device, .. } | Change::Reset { device } | Change::Pull { device, .. },
    ) = *op
    else {
        return false;
    };
    !has_own_place(world, device % world.devices.len())
}

/// Whether a function was pulled, or the physical function of a virtual one, which answers for its
/// memory.
pub(super) fn is_gone(side: &mut Side, world: &World, device: usize) -> bool {
    let functions = &side.env().machine.pci.functions;
    let physical = world.spec.devices[device].physical;
    functions[device].gone || physical.is_some_and(|number| functions[number].gone)
}

/// Whether dom0 has moved the memory of a function that its table is in, which stays where it was
/// here.
pub(super) fn has_moved(side: &mut Side, world: &World, device: usize) -> bool {
    let spec = &world.spec.devices[device];
    let function = &side.env().machine.pci.functions[device];
    let first = spec.msix.map_or(0, |msix| msix.table.0 as usize);
    let is_64 = spec.bars.get(first).is_some_and(|bar| bar & 7 == 4);
    let count = if is_64 { 2 } else { 1 };
    let mut bars = spec.bars.into_iter().enumerate().skip(first).take(count);
    bars.any(|(number, bar)| function.peek(0x10 + 4 * number, 4) != bar)
}

/// Whether no other function's table lies where that of a function does.
fn has_own_place(world: &World, device: usize) -> bool {
    let range = |device: usize| {
        let entries = world.spec.devices[device].msix?.entries;
        let start = world.spec.table(device)?;
        Some(start..start + 16 * u64::from(entries))
    };
    let meets_another = |own: std::ops::Range<u64>| {
        let others = (0..world.devices.len()).filter(|other| *other != device);
        let mut others = others.filter_map(range);
        others.any(|other| own.start < other.end && other.start < own.end)
    };
    !range(device).is_some_and(meets_another)
}

/// Whether a function was changed behind Xen, or is gone.
pub(super) fn is_changed_or_gone(side: &mut Side, world: &World, device: usize) -> bool {
    world.behind[device] || is_gone(side, world, device)
}

/// Whether an entry of a function's table is set up for two interrupts, the messages of which
/// overwrite each other.
fn is_shared(side: &mut Side, world: &World, device: usize) -> bool {
    let all = descs::of_device(side, world, device).unwrap_or_default();
    let all = all.iter().filter(|found| found.is_msix());
    let mut entries: Vec<u16> = all
        .map(|found| get!(found.desc, msi_attrib.entry_nr))
        .collect();
    let count = entries.len();
    entries.sort_unstable();
    entries.dedup();
    entries.len() < count
}

/// Whether a step is about an interrupt, and a function has one entry for two whose table reads as
/// 0 or 1 since it disabled MSI-X by itself: what one of the two has written is not what the other
/// takes for the entry's mask, which Rust believes where it has not to change.
fn is_hidden_and_shared(side: &mut Side, world: &World, op: &Op) -> bool {
    let hides = |device: usize| {
        let msix = world.spec.devices[device].msix;
        world.behind[device] && msix.is_some_and(|msix| msix.needs_enable && msix.hidden != !0)
    };
    let mut touched = touched(world, op).into_iter();
    touched.any(|device| hides(device) && is_shared(side, world, device))
}

/// Whether a call may move a message.
fn is_move(call: Call) -> bool {
    matches!(
        call,
        Call::Ack | Call::AckUnmaskable | Call::SetAffinity { .. } | Call::Retarget { .. }
    )
}

/// The functions that a step about an interrupt touches: that of the interrupt, the physical one
/// that answers for its memory, and all where its table lies where another's is.
fn touched(world: &World, op: &Op) -> Vec<usize> {
    let desc = match *op {
        Op::Irq { irq, .. } => choose_irq(world, irq, |_| true),
        Op::Race { irq, act, .. } => raced(world, irq, act),
        _ => None,
    };
    let device = desc.and_then(|desc| device_of(world, get!(desc, msi_desc)));
    match device {
        Some(device) if has_own_place(world, device) => {
            let physical = world.spec.devices[device].physical;
            std::iter::once(device).chain(physical).collect()
        }
        Some(_) => (0..world.devices.len()).collect(),
        None => Vec::new(),
    }
}

/// Whether a step would move a message of an entry of a function that has switched MSI-X off behind
/// Xen, and whose table answers all the same: C asks and does not write it; Rust has no reason to
/// ask. Or of a function that has lost its messages, of which Xen saw nothing, or has one entry for
/// two of them, where what has not changed is not written.
///
/// Or whether it is about a table that C looks for in the wrong place, or a second block of a
/// function's MSI; or whether it would take a table away behind Xen that another covers: Rust's
/// read is answered by the other then.
pub(super) fn are_unclear(side: &mut Side, world: &World, op: &Op) -> bool {
    let moves = matches!(
        op,
        Op::Irq { call, .. } | Op::Race { call, .. } if is_move(*call)
    );
    // It loses its messages before it is moved.
    let resets = matches!(
        op,
        Op::Race {
            act: Meanwhile::Reset,
            ..
        }
    );
    if is_covered(side, world, op) || is_hidden_and_shared(side, world, op) {
        return true;
    }
    if is_lost(side, world, op) || is_second_block(side, world, op) || is_uncovered(world, op) {
        return true;
    }
    moves
        && touched(world, op).into_iter().any(|device| {
            let function = &side.env().machine.pci.functions[device];
            let is_off = function.peek(function.msix + 2, 2) & ENABLE == 0;
            // Where the table does not answer meanwhile, both find out.
            let answers = !function.needs_enable;
            let unclear = world.behind[device] && function.msix != 0 && is_off && answers;
            unclear || world.spec.tells && (world.lost[device] || resets)
        })
}
