//! What another CPU does to a table while a call waits for the IOMMU.

use xen_sys as sys;

use super::api::Api;
use super::messages::{index_of, plan_messages, release, update};
use super::op::Message;
use super::platform::{Platform, Pointers};
use super::tables::forget_all;
use super::world::{World, table_of};
use crate::answer::Answer;
use crate::argument::{half, word};
use crate::side::{Script, Side};
use crate::xen::{addr, get, set};

/// A sender that has entries, and the requester whose table they are in. None where the step is
/// about another thing.
fn choose(side: &mut Side, world: &mut World, sender: usize) -> Option<(usize, u16)> {
    let number = World::choose(&world.senders, sender)?;
    plan_messages(side, world, number)?;
    let plan = &world.plan;
    let fits = world.spec.per_device
        && plan.table != 0
        && plan.enabled
        && plan.refusal.is_none()
        && plan.stands_in.is_none()
        && plan.hidden.is_none()
        && get!(world.senders[number].descs, remap_index) >= 0;
    fits.then(|| (number, plan.flushed[0]))
}

/// The requester loses its table as soon as the IOMMU was told of it: those that share the table
/// with it are told of nevertheless.
pub(super) fn update_beside(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (sender, message): (usize, Message),
    script: Script,
) -> Option<Answer> {
    let (number, id) = choose(side, world, sender)?;
    let segment = world.senders[number].place.0;
    let before = Pointers::of(side.env().unit.of::<Platform>().requester((segment, id))?);
    let after = Pointers {
        in_use: std::ptr::null_mut(),
        ..before
    };
    side.env().unit.of_mut::<Platform>().meanwhile = Some((id, vec![after]));
    let answer = update(side, api, world, (sender, 0), message, script);
    side.env().unit.of_mut::<Platform>().meanwhile = None;
    before.set();
    answer
}

/// Another table takes the place of the one that entries are released in, once the IOMMU was told:
/// in that one nothing is freed. Answers which entry is the next that is allocated there.
pub(super) fn release_beside(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    sender: usize,
    script: Script,
) -> Option<Answer> {
    let (number, _) = choose(side, world, sender)?;
    let (place, descs) = (world.senders[number].place, world.senders[number].descs);
    let (first, count) = (index_of(descs), world.senders[number].count);
    let iommu = world.iommus[world.iommu_of(side, place)?];
    let last = *world.plan.flushed.last()?;
    let table = world.plan.table;
    if first as usize / count > 64 {
        return None;
    }

    let mut users = Vec::new();
    for (_, mappings) in side.env().unit.of::<Platform>().segments.clone() {
        let all = (0..world.spec.requester_count as usize).map(|id| mappings.wrapping_add(id));
        users.extend(all.filter(|mapping| table_of(*mapping) == table));
    }
    let old: Vec<_> = users.iter().map(|user| Pointers::of(*user)).collect();
    let in_use = addr!(users[0], intremap_inuse);
    side.env().unit.of_mut::<Platform>().start_call();
    let arguments = [iommu as u64, in_use as u64, word(0)];
    let made = side.call(api.allocate, &arguments, Script::plain(0)).ok()?;
    let in_use = get!(users[0], intremap_inuse);
    let new = old.iter().map(|old| Pointers {
        table: made as *mut _,
        in_use,
        ..*old
    });
    let new: Vec<_> = new.collect();
    let point = |to: &[Pointers]| to.iter().for_each(|user| user.set());
    point(&old);
    if made == 0 {
        return None;
    }
    // The same entries are in use there.
    point(&new);
    while allocate(side, api, world, number, count)? != first {}
    point(&old);

    side.env().unit.of_mut::<Platform>().meanwhile = Some((last, new.clone()));
    let answer = release(side, api, world, sender, script)?;
    side.env().unit.of_mut::<Platform>().meanwhile = None;
    let trace = std::mem::take(&mut side.env().trace);
    let plan = world.plan.clone();

    point(&new);
    let next = allocate(side, api, world, number, count)?;
    // The old table is freed, with a requester that is the last of its device to use it.
    point(&old);
    forget_all(side, world, table);
    old[0].set();
    let id = mapping_id(side, world, old[0].mapping)?;
    side.env().unit.of_mut::<Platform>().start_call();
    let arguments = [iommu as u64, old[0].mapping as u64, half(id)];
    let freed = side.call(api.free, &arguments, Script::plain(0));
    point(&new);
    side.env().trace = trace;
    world.plan = plan;
    world.set_message(0, 0, 0);
    Some(Answer {
        output: Some(next),
        outcome: answer.outcome.and_then(|value| freed.map(|_| value)),
    })
}

/// The ID of a requester.
fn mapping_id(side: &mut Side, world: &World, mapping: *mut sys::ivrs_mappings) -> Option<u16> {
    let count = world.spec.requester_count as u16;
    side.env()
        .unit
        .of::<Platform>()
        .segments
        .iter()
        .find_map(|(_, mappings)| {
            (0..count).find(|id| mappings.wrapping_add((*id).into()) == mapping)
        })
}

/// Takes the next entries into use that a sender's messages can have; says which.
fn allocate(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    number: usize,
    count: usize,
) -> Option<u64> {
    let desc = world.filler;
    set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSI as u8);
    set!(desc, dev, get!(world.senders[number].descs, dev));
    set!(desc, __bindgen_anon_1.msi.nvec, count as u32);
    set!(desc, remap_index, -1);
    world.set_message(0xfee0_0000, 0x55, 7);
    let arguments = [desc as u64, world.message as u64];
    let outcome = side.call(api.update, &arguments, Script::plain(0));
    (outcome == Ok(0)).then(|| index_of(desc))
}
