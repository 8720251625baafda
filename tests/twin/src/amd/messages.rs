//! Steps about the messages of a sender.

use xen_sys as sys;

use super::api::Api;
use super::op::Message;
use super::plan::Plan;
use super::planning::By;
use super::platform::{Platform, Pointers};
use super::world::World;
use crate::answer::Answer;
use crate::side::{Outcome, Script, Side};
use crate::vtd::spec::is_long_destination;
use crate::xen::{get, set};

/// Makes a call that may change an entry, and notes what it changed.
pub(super) fn changing(
    side: &mut Side,
    world: &mut World,
    body: impl FnOnce(&mut Side) -> Answer,
) -> Answer {
    if world.plan.table == 0 {
        return body(side);
    }
    let before = world.plan.snapshot(side);
    let answer = body(side);
    let changes = world.plan.note_changes(side, &before);
    let output = answer.output.unwrap_or_default();
    Answer {
        output: Some(output | changes << 32),
        ..answer
    }
}

/// Plans a step about a sender. None where C would go on without a table, or uses two.
pub(super) fn plan_messages(side: &mut Side, world: &mut World, number: usize) -> Option<()> {
    let place = world.senders[number].place;
    if !world.is_iommu(place) && world.iommu_of(side, place).is_some() {
        world.plan = Plan::of(side, world, place, By::Messages)?;
        let is_hpet = get!(world.senders[number].descs, dev).is_null();
        if world.plan.stands_in.is_some() && is_hpet {
            return None;
        }
        let sender = world.senders[number];
        let has_entries = get!(sender.descs, remap_index) >= 0;
        if world.plan.refusal == Some(libc::EINVAL) && has_entries {
            let holder = sender.holder;
            world.plan = Plan::with_second_table(side, world, place, holder)?;
        }
    }
    Some(())
}

/// The most entries of a table.
const MOST_ENTRIES: u64 = 2048;

/// The entry that a descriptor uses.
pub(super) fn index_of(desc: *mut sys::msi_desc) -> u64 {
    match get!(desc, remap_index) {
        // Rust notes beside the number whose table it is of.
        index @ 0.. => index as u64 & (MOST_ENTRIES - 1),
        none => u64::from(none as u32),
    }
}

pub(super) fn update(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (sender, of_block): (usize, usize),
    message: Message,
    script: Script,
) -> Option<Answer> {
    let number = World::choose(&world.senders, sender)?;
    let sender = world.senders[number];
    let desc = sender.descs.wrapping_add(of_block % sender.count);
    // Only the first message knows how many entries there are to be.
    if !of_block.is_multiple_of(sender.count) && get!(desc, remap_index) < 0 {
        return None;
    }
    plan_messages(side, world, number)?;
    if world.plan.refusal.is_some() && get!(desc, remap_index) >= 0 {
        // What Rust refuses is a first entry, and C ends Xen by a BUG_ON.
        return None;
    }
    world.set_message(message.address, message.data, message.destination);
    let logical = message.address & 1 << 2 != 0;
    let is_long = is_long_destination(message.destination, logical);
    let is_beyond = world.spec.x2apic && world.plan.size == 4 && is_long;
    if world.plan.refusal.is_none() && is_beyond {
        world.plan.refusal = Some(libc::ERANGE);
    }
    if let Some(refusal) = world.plan.refusal
        && !api.is_rust
    {
        return Some(Answer {
            output: Some(index_of(desc)),
            ..Answer::int(Ok(u64::from(refusal.wrapping_neg() as u32)))
        });
    }
    let arguments = [desc as u64, world.message as u64];
    let stands_in = (world.plan.stands_in, script.salt.is_multiple_of(3));
    let hidden = world.plan.hidden;
    let is_first = get!(desc, remap_index) < 0;
    let answer = changing(side, world, |side| {
        let outcome = from_stand_in(side, api, stands_in, desc, |side| {
            hiding(side, api, hidden, |side| {
                side.call(api.update, &arguments, script.anywhere())
            })
        });
        Answer {
            output: Some(index_of(desc)),
            ..Answer::int(outcome)
        }
    });
    if is_first && get!(desc, remap_index) >= 0 {
        world.senders[number].holder = world.plan.flushed.first().copied();
    }
    Some(answer)
}

/// Makes a call about a descriptor. C is told that another function sends its messages, where their
/// ID is that one's. With Rust the sender may get a table of its own once it has entries: they are
/// where they were.
fn from_stand_in(
    side: &mut Side,
    api: &Api,
    (stands_in, is_late): (Option<u16>, bool),
    desc: *mut sys::msi_desc,
    call: impl FnOnce(&mut Side) -> Outcome,
) -> Outcome {
    let device = get!(desc, dev);
    if api.is_rust
        && is_late
        && stands_in.is_some()
        && !device.is_null()
        && get!(desc, remap_index) >= 0
    {
        let sbdf = get!(device, __bindgen_anon_1.sbdf.sbdf);
        let own = side
            .env()
            .unit
            .of::<Platform>()
            .requester(((sbdf >> 16) as u16, sbdf as u16));
        let own = own.unwrap_or(std::ptr::null_mut());
        let before = get!(own, intremap_inuse);
        // What there is to know of that table does not matter.
        set!(own, intremap_inuse, std::ptr::dangling_mut());
        let outcome = call(side);
        set!(own, intremap_inuse, before);
        return outcome;
    }
    let Some(id) = stands_in.filter(|_| !api.is_rust && !device.is_null()) else {
        return call(side);
    };
    let own = get!(device, __bindgen_anon_1.sbdf.sbdf);
    let other = own & !0xffff | u32::from(id);
    set!(device, __bindgen_anon_1.sbdf.sbdf, other);
    let outcome = call(side);
    set!(device, __bindgen_anon_1.sbdf.sbdf, own);
    outcome
}

/// Makes a call while C is not shown a sender's second table, for which it would end Xen.
fn hiding(
    side: &mut Side,
    api: &Api,
    hidden: Option<Pointers>,
    call: impl FnOnce(&mut Side) -> Outcome,
) -> Outcome {
    let Some(second) = hidden.filter(|_| !api.is_rust) else {
        return call(side);
    };
    second.without_table().set();
    let outcome = call(side);
    second.set();
    outcome
}

pub(super) fn release(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    sender: usize,
    script: Script,
) -> Option<Answer> {
    let number = World::choose(&world.senders, sender)?;
    plan_messages(side, world, number)?;
    if world.plan.refusal.is_some() && get!(world.senders[number].descs, remap_index) >= 0 {
        // Its two tables are there before it has an entry.
        return None;
    }
    // With that it changes what the IOMMU may know, if the entries were ever set or not.
    let desc = world.senders[number].descs;
    let stands_in = (world.plan.stands_in, script.salt.is_multiple_of(3));
    let hidden = world.plan.hidden;
    let outcome = from_stand_in(side, api, stands_in, desc, |side| {
        hiding(side, api, hidden, |side| {
            side.call(api.update, &[desc as u64, 0], script.anywhere())
        })
    });
    world.plan.changed = true;
    world.plan.was_set = true;
    Some(Answer {
        output: Some(index_of(desc)),
        ..Answer::int(outcome)
    })
}
