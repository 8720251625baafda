//! Carries out one step on one side.

use xen_sys as sys;

use super::api::Api;
use super::beside::{release_beside, update_beside};
use super::messages::{changing, index_of, plan_messages, release, update};
use super::op::Op;
use super::plan::Plan;
use super::planning::{By, own_lock, rust_lock};
use super::platform::Platform;
use super::spec::SenderSpec;
use super::tables;
use super::world::{NO_ENTRY, World, own, set_own};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::side::{Script, Side};
use crate::trace::Event;
use crate::vtd::perform::with_short_destination;
use crate::vtd::world::{byte_variable, set_variable, set_wide_exchange};
use crate::xen::{add_to_list, addr, get, init_list, set};

pub(super) fn perform(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    // Not every step makes a call.
    side.env().trace.clear();
    world.plan = Plan::none(world);
    world.set_message(0, 0, 0);
    match *op {
        Op::Supports {
            enabled,
            remapping,
            wide_exchange,
            prepared,
            given_up,
        } => {
            set_variable(side, "iommu_enable", enabled);
            set_variable(side, "iommu_intremap", remapping);
            set_wide_exchange(side, wide_exchange);
            side.env().unit.of_mut::<Platform>().prepared = prepared;
            let given_up = given_up && prepared != 0;
            let answer = without_iommus(side, world, given_up, |side| {
                Answer::bool(side.call(api.supports_xt, &[], script))
            });
            // Rule 13; remapping is switched off by Xen when it gives the IOMMUs up.
            if given_up && !api.is_rust && was_prepared(side) {
                set_variable(side, "iommu_enable", false);
                set_variable(side, "iommu_intremap", sys::iommu_intremap_off);
            }
            Some(answer)
        }
        Op::NextIoApic { after } => {
            let known: u32 = own(side, "nr_ioapic_sbdf");
            set_own(side, "nr_ioapic_sbdf", 0, after);
            let outcome = side.call(api.next_io_apic, &[], script);
            let output = own::<u32>(side, "nr_ioapic_sbdf").into();
            // What it makes room for is not filled here.
            set_own(side, "nr_ioapic_sbdf", 0, known);
            Some(Answer {
                output: Some(output),
                ..Answer::int(outcome)
            })
        }
        Op::IndexOfIoApic { id } => {
            let outcome = side.call(api.index_of_io_apic, &[word(id)], script);
            Some(Answer::int(outcome))
        }
        Op::Order { requester } => tables::order(side, api, world, requester, script),
        Op::Allocate { requester, entries } => {
            tables::allocate(side, api, world, (requester, entries), script)
        }
        Op::Free { requester } => tables::free(side, api, world, requester, script),
        Op::FreeAll => tables::free_all(side, api, world),
        Op::Dump => dump(side, api, world, script),
        Op::Enable { iommu, enabled } => {
            let iommu = World::choose(&world.iommus, iommu)?;
            set!(world.iommus[iommu], enabled, enabled.into());
            None
        }
        Op::WritePin {
            io_apic,
            pin,
            entry,
        } => write_pin(side, api, world, (io_apic, pin, entry), script),
        Op::ReadPin {
            io_apic,
            pin,
            upper,
        } => read_pin(side, api, world, (io_apic, pin, upper), script),
        Op::TouchPin { io_apic, pin, bits } => {
            let (io_apic, pin) = choose_pin(world, io_apic, pin)?;
            // Delivery status, polarity, remote IRR, trigger mode, mask, and what is reserved.
            let entry = side.env().machine.io_apics.pin(io_apic, pin).ok()?;
            *entry ^= u64::from(bits) & 0xffff_f000;
            None
        }
        Op::Update {
            sender,
            number,
            message,
        } => update(side, api, world, (sender, number), message, script),
        Op::Release { sender } => release(side, api, world, sender, script),
        Op::UpdateBeside { sender, message } => {
            update_beside(side, api, world, (sender, message), script)
        }
        Op::ReleaseBeside { sender } => release_beside(side, api, world, sender, script),
        Op::SetUpHpet { sender } => set_up_hpet(side, api, world, sender, script),
        Op::Fill {
            sender,
            count,
            ref holes,
        } => fill(side, api, world, sender, count, holes),
    }
}

fn dump(side: &mut Side, api: &Api, world: &mut World, script: Script) -> Option<Answer> {
    for (segment, mappings) in side.env().unit.of::<Platform>().segments.clone() {
        for id in 0..world.spec.requester_count as u16 {
            let mapping = mappings.wrapping_add(id.into());
            if get!(mapping, dte_requestor_id) == id && !get!(mapping, iommu).is_null() {
                let lock = (segment, id);
                let locks = [own_lock(side, lock), rust_lock(side, lock)];
                world.plan.locks.insert(locks[0], locks[1]);
            }
        }
    }
    let key = byte(u64::from(b'V'));
    Some(Answer::void(side.call(api.dump, &[key], script)))
}

fn choose_pin(world: &World, io_apic: usize, pin: usize) -> Option<(usize, usize)> {
    let io_apic = World::choose(&world.spec.io_apics, io_apic)?;
    let pin = World::choose(&world.spec.io_apics[io_apic].pins, pin)?;
    Some((io_apic, pin))
}

/// Plans a step about a pin. None where C would go on without a table.
fn plan_pin(side: &mut Side, world: &mut World, io_apic: usize) -> Option<()> {
    // Of IO-APICs with the same ID, the first that is listed stands for all.
    let id = world.spec.io_apics[io_apic].apic_id;
    let mut all = world.spec.io_apics.iter();
    let listed = all.find_map(|other| other.place.filter(|_| other.apic_id == id));
    if let Some(place) = listed
        && world.iommu_of(side, place).is_some()
    {
        world.plan = Plan::of(side, world, place, By::Pins)?;
    }
    Some(())
}

fn write_pin(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (io_apic, pin, entry): (usize, usize, u64),
    script: Script,
) -> Option<Answer> {
    let (io_apic, pin) = choose_pin(world, io_apic, pin)?;
    plan_pin(side, world, io_apic)?;
    // Where the table's entries name 8 bits, Xen's choice of CPUs for pins does, too.
    let entry = if world.spec.x2apic && world.plan.size == 4 {
        with_short_destination(entry)
    } else {
        entry
    };
    let arguments = [word(io_apic as u32), word(pin as u32), entry];
    let answer = changing(side, world, |side| {
        Answer::void(side.call(api.write_pin, &arguments, script.anywhere()))
    });
    Some(answer)
}

fn read_pin(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (io_apic, pin, upper): (usize, usize, bool),
    script: Script,
) -> Option<Answer> {
    let (io_apic, pin) = choose_pin(world, io_apic, pin)?;
    plan_pin(side, world, io_apic)?;
    let entry = world.entry_of_pin(io_apic, pin);
    let plan = &mut world.plan;
    let remapped = plan.table != 0 && entry != NO_ENTRY;
    if upper && world.spec.x2apic && remapped && plan.size != 16 {
        // C takes what comes after a short entry for a part of it.
        return None;
    }
    plan.rust_reads = !(upper && world.spec.x2apic && remapped);
    let register = 0x10 + 2 * pin as u32 + u32::from(upper);
    let arguments = [word(io_apic as u32), word(register)];
    let outcome = side.call(api.read_pin, &arguments, script.anywhere());
    Some(Answer::int(outcome))
}

fn set_up_hpet(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    sender: usize,
    script: Script,
) -> Option<Answer> {
    let hpets: Vec<_> = (0..world.senders.len())
        .filter(|number| matches!(world.spec.senders[*number], SenderSpec::Hpet { .. }))
        .collect();
    let number = hpets[World::choose(&hpets, sender)?];
    let place = world.senders[number].place;
    if world.iommu_of(side, place).is_some() {
        world.plan = Plan::of(side, world, place, By::Messages)?;
        if world.plan.stands_in.is_some() || world.plan.refusal.is_some() {
            return None;
        }
    }
    let desc = world.senders[number].descs;
    let outcome = side.call(api.set_up_hpet, &[desc as u64], script);
    Some(Answer {
        output: Some(index_of(desc)),
        ..Answer::int(outcome)
    })
}

/// Takes entries into use in blocks as large as can be, and gives some back.
fn fill(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    sender: usize,
    count: usize,
    holes: &[usize],
) -> Option<Answer> {
    const BLOCK: usize = 32;
    let number = World::choose(&world.senders, sender)?;
    plan_messages(side, world, number)?;
    let plan = &world.plan;
    if plan.table == 0
        || plan.stands_in.is_some()
        || plan.refusal.is_some()
        || plan.hidden.is_some()
    {
        return None;
    }
    let device = get!(world.senders[number].descs, dev);
    let desc = world.filler;
    let describe = |size: usize, index: i32| {
        set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSI as u8);
        set!(desc, dev, device);
        set!(desc, __bindgen_anon_1.msi.nvec, size as u32);
        set!(desc, remap_index, index);
    };
    let blocks = (0..count / BLOCK).map(|_| BLOCK);
    let singles = (0..count % BLOCK).map(|_| 1);
    let mut taken = Vec::new();
    for size in blocks.chain(singles) {
        describe(size, -1);
        world.set_message(0xfee0_0000, 0x55, 7);
        let arguments = [desc as u64, world.message as u64];
        if side.call(api.update, &arguments, Script::plain(0)) == Ok(0) {
            let first = get!(desc, remap_index);
            taken.extend(first..first + size as i32);
        }
    }
    for hole in holes {
        if *hole < taken.len() {
            describe(1, taken[*hole]);
            side.call(api.update, &[desc as u64, 0], Script::plain(0))
                .ok()?;
        }
    }
    world.set_message(0, 0, 0);
    // How that went on does not matter.
    side.env().trace.clear();
    world.plan = Plan::none(world);
    Some(Answer {
        output: Some(taken.len() as u64),
        ..Answer::void(Ok(0))
    })
}

/// Makes a call while no IOMMU is in Xen's list, if that is `wanted`.
fn without_iommus(
    side: &mut Side,
    world: &World,
    wanted: bool,
    call: impl FnOnce(&mut Side) -> Answer,
) -> Answer {
    let head = side.image.variable("amd_iommu_head");
    // C does not use the list.
    let Some(head) = head.filter(|_| wanted) else {
        return call(side);
    };
    let head = head as *mut sys::list_head;
    init_list(head);
    let answer = call(side);
    for iommu in &world.iommus {
        add_to_list(addr!(*iommu, list), head);
    }
    answer
}

/// Whether the step had the IOMMUs prepared.
fn was_prepared(side: &mut Side) -> bool {
    let mut events = side.env().trace.iter().map(|entry| &entry.event);
    events.any(|event| matches!(event, Event::Call("amd_iommu_prepare", _)))
}

/// The words of Xen that `supports_xt` may change.
pub(super) fn options(side: &Side) -> [Option<u8>; 2] {
    ["iommu_enable", "iommu_intremap"].map(|name| byte_variable(side, name))
}
