//! Tables are allocated and freed, in the ways of Xen.

use xen_sys as sys;

use super::api::Api;
use super::plan::Plan;
use super::planning::{rust_lock, sharers};
use super::platform::Platform;
use super::spec::{FUNCTIONS, Place};
use super::world::{World, own, set_own, table_of};
use crate::answer::Answer;
use crate::argument::word;
use crate::heap::Failure;
use crate::side::{Outcome, Script, Side};
use crate::xen::{addr, get, set};

/// The requester that a step names, if the world has it.
fn requester(side: &mut Side, world: &World, number: usize) -> Option<Place> {
    let number = World::choose(&world.spec.requesters, number)?;
    let place = world.spec.requesters[number].place;
    side.env()
        .unit
        .of::<Platform>()
        .requester(place)
        .map(|_| place)
}

fn mapping(side: &mut Side, place: Place) -> *mut sys::ivrs_mappings {
    let found = side.env().unit.of::<Platform>().requester(place);
    found.unwrap_or(std::ptr::null_mut())
}

/// How large a requester's table is.
pub(super) fn order(
    side: &mut Side,
    api: &Api,
    world: &World,
    number: usize,
    script: Script,
) -> Option<Answer> {
    let place = requester(side, world, number)?;
    let iommu = world.iommu_of(side, place)?;
    let table = table_of(mapping(side, place));
    if table == 0 {
        return None;
    }
    let arguments = [table as u64, world.iommus[iommu] as u64];
    Some(Answer::int(side.call(api.order, &arguments, script)))
}

/// Allocates a table as Xen does: for a requester that bears its own ID and its phantom functions;
/// or for all.
///
/// One whose requests bear another ID has none, unless firmware spoke of it before it said so: then
/// it has the table that all share, or its own if it is an IO-APIC or the HPET.
pub(super) fn allocate(
    side: &mut Side,
    api: &Api,
    world: &World,
    (number, entries): (usize, u32),
    mut script: Script,
) -> Option<Answer> {
    let place = requester(side, world, number)?;
    let iommu = world.iommu_of(side, place)?;
    let own_mapping = mapping(side, place);
    let shared = !world.spec.per_device;
    let alias = get!(own_mapping, dte_requestor_id);
    let had_one_before = {
        let number = World::choose(&world.spec.requesters, number)?;
        let spec = &world.spec.requesters[number];
        spec.valid && (shared || spec.is_special)
    };
    if table_of(own_mapping) != 0 || alias != place.1 && !had_one_before {
        return None;
    }
    // C allocates twice, in another order than Rust.
    if !api.is_rust && script.memory == Failure::Always {
        script.memory = Failure::Nth((script.salt % 2) as u32);
    }
    let in_use: *mut *mut core::ffi::c_ulong = if shared {
        side.image.symbol("shared_intremap_inuse").ok()? as *mut _
    } else {
        addr!(own_mapping, intremap_inuse)
    };
    let known: usize = own(side, "shared_intremap_table");
    let outcome = if shared && known != 0 {
        Ok(known as u64)
    } else {
        let entries = if shared { 0 } else { entries };
        let arguments = [world.iommus[iommu] as u64, in_use as u64, word(entries)];
        side.env().unit.of_mut::<Platform>().start_call();
        side.call(api.allocate, &arguments, script)
    };
    let Ok(table) = outcome else {
        return Some(Answer::int(outcome));
    };
    if shared {
        set_own(side, "shared_intremap_table", 0, table);
    }
    if table != 0 {
        // SAFETY: The place is a variable or a word of the arena.
        let in_use = unsafe { in_use.read() };
        share(side, world, place, (table, in_use));
    }
    Some(Answer {
        outcome: Ok(u64::from(table != 0)),
        output: Some(side.env().arena.offset(table)),
    })
}

/// Has a requester and its phantom functions use its table.
fn share(
    side: &mut Side,
    world: &World,
    (segment, id): Place,
    (table, in_use): (u64, *mut core::ffi::c_ulong),
) {
    let mut users = vec![id];
    let spec = &world.spec;
    let devices = spec
        .devices
        .iter()
        .filter(|device| device.place == (segment, id));
    for device in devices.filter(|device| device.stride != 0) {
        let last = id | (FUNCTIONS - 1);
        users.extend((id..=last).step_by(device.stride.into()));
    }
    if !spec.per_device
        && let Some(own) = side.env().unit.of::<Platform>().requester((segment, id))
    {
        users.push(get!(own, dte_requestor_id));
    }
    for user in users {
        if let Some(mapping) = side.env().unit.of::<Platform>().requester((segment, user))
            && table_of(mapping) == 0
        {
            set!(mapping, intremap_table, table as *mut _);
            set!(mapping, intremap_inuse, in_use);
        }
    }
}

/// Gives up a requester's table, or that of all.
pub(super) fn free(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    number: usize,
    script: Script,
) -> Option<Answer> {
    if !world.spec.per_device {
        return free_shared(side, api, world, script);
    }
    let place = requester(side, world, number)?;
    let own = mapping(side, place);
    if get!(own, dte_requestor_id) != place.1 {
        return None;
    }
    free_of(side, api, world, place, script)
}

fn free_of(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    place: Place,
    script: Script,
) -> Option<Answer> {
    let iommu = world.iommu_of(side, place)?;
    let mapping = mapping(side, place);
    let table = table_of(mapping);
    if table == 0 {
        return None;
    }
    let is_lowest = sharers(side, world, place)[0] == place.1;
    forget_entries(side, world, |platform, user| {
        let alias = platform
            .requester(user)
            .map(|own| get!(own, dte_requestor_id));
        user.0 == place.0 && (user.1 == place.1 || alias == Some(place.1))
    });
    if is_lowest {
        forget(side, world, table, |other| {
            other.0 == place.0 && other.1 & !(FUNCTIONS - 1) == place.1 & !(FUNCTIONS - 1)
        });
    }
    world.plan.lock = Some(rust_lock(side, place));
    world.plan.rust_locks = true;
    if !is_lowest && !api.is_rust {
        // C frees what other functions use.
        side.env().trace.clear();
        set!(mapping, intremap_table, std::ptr::null_mut());
        set!(mapping, intremap_inuse, std::ptr::null_mut());
        return Some(Answer::int(Ok(0)));
    }
    let arguments = [
        world.iommus[iommu] as u64,
        mapping as u64,
        crate::argument::half(place.1),
    ];
    side.env().unit.of_mut::<Platform>().start_call();
    Some(Answer::int(side.call(api.free, &arguments, script)))
}

fn free_shared(side: &mut Side, api: &Api, world: &mut World, script: Script) -> Option<Answer> {
    let table: usize = own(side, "shared_intremap_table");
    if table == 0 {
        return None;
    }
    forget_all(side, world, table);
    let arguments = [world.iommus[0] as u64, 0, 0];
    side.env().unit.of_mut::<Platform>().start_call();
    Some(Answer::int(side.call(api.free, &arguments, script)))
}

/// Has nothing use a table.
pub(super) fn forget_all(side: &mut Side, world: &World, table: usize) {
    forget(side, world, table, |_| false);
}

/// Before a table is freed: nobody uses an entry of it any more, and no requester but those that
/// are left to the call uses the table.
fn forget(side: &mut Side, world: &World, table: usize, is_left: impl Fn(Place) -> bool) {
    forget_entries(side, world, |platform, user| {
        platform.requester(user).is_some_and(|own| {
            let other = platform.requester((user.0, get!(own, dte_requestor_id)));
            table_of(own) == table || other.map(table_of) == Some(table)
        })
    });
    for (segment, mappings) in side.env().unit.of::<Platform>().segments.clone() {
        for id in 0..world.spec.requester_count as u16 {
            let mapping = mappings.wrapping_add(id.into());
            if table_of(mapping) == table && !is_left((segment, id)) {
                set!(mapping, intremap_table, std::ptr::null_mut());
                set!(mapping, intremap_inuse, std::ptr::null_mut());
            }
        }
    }
}

/// Has the senders and pins of some places use no entries.
fn forget_entries(side: &mut Side, world: &World, is_meant: impl Fn(&Platform, Place) -> bool) {
    let platform = &side.env().unit.of::<Platform>();
    for sender in &world.senders {
        if is_meant(platform, sender.place) {
            for number in 0..sender.count {
                set!(sender.descs.wrapping_add(number), remap_index, -1);
            }
        }
    }
    for (number, io_apic) in world.spec.io_apics.iter().enumerate() {
        if io_apic.place.is_some_and(|place| is_meant(platform, place)) {
            world.forget_pins(number);
        }
    }
}

/// Gives up all tables.
pub(super) fn free_all(side: &mut Side, api: &Api, world: &mut World) -> Option<Answer> {
    let mut outcome: Outcome = Ok(0);
    for (segment, _) in side.env().unit.of::<Platform>().segments.clone() {
        for id in 0..world.spec.requester_count as u16 {
            let mapping = mapping(side, (segment, id));
            if world.spec.per_device && table_of(mapping) != 0 {
                let freed = free_of(side, api, world, (segment, id), Script::plain(0));
                outcome = outcome.and(freed.map_or(Ok(0), |freed| freed.outcome));
            }
        }
    }
    let freed = free_shared(side, api, world, Script::plain(0));
    outcome = outcome.and(freed.map_or(Ok(0), |freed| freed.outcome));
    side.env().trace.clear();
    world.plan = Plan::none(world);
    Some(Answer::int(outcome))
}
