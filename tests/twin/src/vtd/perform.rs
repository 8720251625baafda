//! Carries out one step on one side.

use xen_sys as sys;

use super::api::{Api, call};
use super::firmware::Firmware;
use super::op::{Message, Op, Switching};
use super::spec::SenderSpec;
use super::world::{FULL, RESTRICTED, World, byte_variable, set_variable, set_wide_exchange};
use super::{fill, undo};
use crate::answer::Answer;
use crate::argument::word;
use crate::heap::Failure;
use crate::machine::vtd::{COMPATIBILITY, Pace, QUEUE};
use crate::side::{Outcome, Script, Side};
use crate::trap::Trap;
use crate::xen::{get, set};

pub(super) fn perform(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    world.addressee = None;
    world.set_message(0, 0, 0);
    match *op {
        Op::Supports {
            queue,
            remapping,
            wide_exchange,
        } => {
            set_variable(side, "iommu_enable", true);
            set_variable(side, "iommu_qinval", queue);
            set_variable(side, "iommu_intremap", if remapping { FULL } else { 0 });
            set_wide_exchange(side, wide_exchange);
            Some(Answer::bool(call(side, api.supports_eim, &[], script)))
        }
        Op::EnableEim { .. }
        | Op::DisableEim { .. }
        | Op::Enable { .. }
        | Op::Disable { .. }
        | Op::Queue { .. } => switching(side, api, world, op, script),
        Op::WritePin { .. } | Op::ReadPin { .. } | Op::TouchPin { .. } => {
            pins(side, api, world, op, script)
        }
        Op::Update {
            sender,
            number,
            message,
        } => update(side, api, world, (sender, number), message, script),
        Op::Release { sender, number } => release(side, api, world, (sender, number), script),
        Op::SetUpHpet { sender } => set_up_hpet(side, api, world, sender, script),
        Op::Stray {
            sender,
            index,
            release,
        } => stray(side, api, world, (sender, index, release), script),
        Op::Fill {
            iommu,
            count,
            ref holes,
        } => {
            // It writes the same entries into both tables, whose formats differ here, or which
            // are used in part alone.
            if world.spec.x2apic != world.spec.eim || world.spec.limit.is_some() {
                return None;
            }
            let unit = World::choose(&world.iommus, iommu)?;
            fill::fill(side, api, world, unit, count, holes)
        }
    }
}

fn switching(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    let iommu = |iommu| World::choose(&world.iommus, iommu);
    match *op {
        Op::EnableEim {
            active,
            allowed: [x2apic, remapping],
            switching,
        } => {
            if !world.spec.eim {
                return None;
            }
            let firmware = &mut side.env().unit.of_mut::<Firmware>();
            firmware.x2apic_allowed = x2apic;
            firmware.remapping_allowed = remapping;
            firmware.active = active;
            let state = if active {
                sys::SYS_STATE_active + (script.salt % 3) as u32
            } else {
                sys::SYS_STATE_early_boot + (script.salt % 3) as u32
            };
            set_variable(side, "system_state", state);
            let answer = switch_on(side, api, world, (switching, script), |side, script| {
                call(side, api.enable_eim, &[], script)
            });
            Some(answer)
        }
        Op::Enable {
            iommu: number,
            eim,
            allowed,
            switching,
        } => {
            let number = iommu(number)?;
            side.env().unit.of_mut::<Firmware>().remapping_allowed = allowed;
            let eim = if world.spec.eim { eim.max(1) } else { 0 };
            let arguments = [world.iommus[number] as u64, word(eim)];
            let answer = switch_on(side, api, world, (switching, script), |side, script| {
                call(side, api.enable, &arguments, script)
            });
            let vtd = &mut side.env().machine.vtd;
            let switched_on = vtd.switched_on;
            let answers = switching.pace != Pace::Never;
            if !api.keeps_use && eim == 0 && switched_on && answers {
                // C leaves on what Rust switches off: see `super::model`, rule 8.
                vtd.registers[number].clear_status(COMPATIBILITY);
            }
            let ended = answer.outcome.is_err();
            let is_full = byte_variable(side, "iommu_intremap") == Some(FULL);
            if !api.keeps_use && eim == 0 && switched_on && !ended && is_full {
                // C does not say that destinations have 8 bits: rule 10.
                set_variable(side, "iommu_intremap", RESTRICTED);
            }
            Some(answer)
        }
        Op::DisableEim { switching } => {
            let outcome = switch(side, switching, |side| {
                call(side, api.disable_eim, &[], script.anywhere())
            });
            Some(Answer::void(outcome))
        }
        Op::Disable {
            iommu: number,
            switching,
        } => {
            let argument = world.iommus[iommu(number)?] as u64;
            let outcome = switch(side, switching, |side| {
                call(side, api.disable, &[argument], script.anywhere())
            });
            Some(Answer::void(outcome))
        }
        Op::Queue { iommu: number, on } => {
            let registers = &mut side.env().machine.vtd.registers[iommu(number)?];
            if on {
                registers.status |= QUEUE;
            } else {
                registers.status &= !QUEUE;
            }
            None
        }
        _ => None,
    }
}

/// Switches remapping on, in whatever way `body` does.
fn switch_on(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (switching, mut script): (Switching, Script),
    body: impl FnOnce(&mut Side, Script) -> Outcome,
) -> Answer {
    let pins = world.spec.io_apics.len() as u32;
    if switching.late {
        // Only what is allocated for pins may run out after the table was set; what comes after it
        // would fail on one side alone. Rust allocates for each IO-APIC. C does twice: where the
        // first fails alone, it goes on with freed memory.
        let failure = match script.memory {
            Failure::Nth(number) if !world.ran_out && pins > 0 => {
                Failure::Nth(if api.keeps_use { number % pins } else { 1 })
            }
            Failure::Nth(_) => Failure::Always,
            other => other,
        };
        side.env().unit.of_mut::<Firmware>().late_failure = Some(failure).filter(|_| !world.ready);
        script.memory = Failure::Never;
    } else if script.memory != Failure::Never {
        script.memory = Failure::Always;
    }
    let tables = (0..world.iommus.len()).all(|unit| world.has_table(unit));
    // With nothing left to allocate, this is what resuming does.
    script.irqs_off = world.ready && tables && script.salt.is_multiple_of(2);
    side.env().machine.vtd.switched_on = false;
    let outcome = switch(side, switching, |side| body(side, script));
    side.env().unit.of_mut::<Firmware>().late_failure = None;
    let answer = Answer::int(outcome);
    if side.env().machine.vtd.switched_on {
        world.ready |= answer.outcome == Ok(0);
        world.ran_out |= answer.outcome != Ok(0);
    }
    answer
}

/// Lets hardware take its time. Where it does not answer, both sides end Xen, each at a place of
/// its own.
fn switch(
    side: &mut Side,
    switching: Switching,
    body: impl FnOnce(&mut Side) -> Outcome,
) -> Outcome {
    set_variable(side, "kexecing", switching.kexecing);
    side.env().machine.vtd.pace = switching.pace;
    let outcome = body(side);
    side.env().machine.vtd.pace = Pace::After(0);
    match outcome {
        Err(Trap::Bug(_)) if switching.pace == Pace::Never && !switching.kexecing => {
            Err(Trap::Bug("hardware that does not answer".to_owned()))
        }
        other => other,
    }
}

fn pins(side: &mut Side, api: &Api, world: &mut World, op: &Op, script: Script) -> Option<Answer> {
    let (Op::WritePin { io_apic, pin, .. }
    | Op::ReadPin { io_apic, pin, .. }
    | Op::TouchPin { io_apic, pin, .. }) = *op
    else {
        return None;
    };
    let io_apic = World::choose(&world.spec.io_apics, io_apic)?;
    let spec = &world.spec.io_apics[io_apic];
    let pin = World::choose(&spec.pins, pin)?;
    // Xen remaps no pin before all IO-APICs are served, and their IOMMUs switched on.
    let unit = spec.unit?;
    if !world.ready || !world.has_table(unit) {
        return None;
    }
    match *op {
        Op::WritePin { entry, .. } => {
            if !world.remapped[io_apic][pin] && world.has_unwritten(unit) {
                return None;
            }
            let is_remapped = world.remapped[io_apic][pin];
            // Where the table's entries name 8 bits, Xen's choice of CPUs for pins does, too. One
            // that is wrong changes nothing that the entry delivers, in the table or in the pin.
            let kept = with_delivery_of(entry, world.delivered[io_apic][pin]);
            let (delivered, entry) = if !world.spec.is_beyond(u32::MAX, true) {
                (entry, entry)
            } else if is_remapped && is_beyond(world, entry) && script.salt.is_multiple_of(4) {
                (kept, if api.keeps_use { entry } else { kept })
            } else {
                let short = with_short_destination(entry);
                (short, short)
            };
            let arguments = [word(io_apic as u32), word(pin as u32), entry];
            let outcome = call(side, api.write_pin, &arguments, script.anywhere());
            let hardware = pin_of(side, io_apic, pin);
            world.remapped[io_apic][pin] |= is_remappable(hardware);
            if world.remapped[io_apic][pin] {
                world.delivered[io_apic][pin] = delivered;
            }
            Some(Answer {
                output: is_remappable(hardware).then(|| index_of_pin(hardware)),
                ..Answer::void(outcome)
            })
        }
        Op::ReadPin { upper, .. } => {
            let register = 0x10 + 2 * pin as u32 + u32::from(upper);
            let arguments = [word(io_apic as u32), word(register)];
            let outcome = call(side, api.read_pin, &arguments, script.anywhere());
            Some(Answer::int(outcome))
        }
        Op::TouchPin { bits, .. } => {
            // Delivery status, polarity, remote IRR, trigger mode, mask, and what is reserved.
            let own = u64::from(bits) & 0xffff_f000;
            let hardware = pin_of(side, io_apic, pin) ^ own;
            if let Ok(entry) = side.env().machine.io_apics.pin(io_apic, pin) {
                *entry = hardware;
            }
            None
        }
        _ => None,
    }
}

fn pin_of(side: &mut Side, io_apic: usize, pin: usize) -> u64 {
    let entry = side.env().machine.io_apics.pin(io_apic, pin);
    entry.map_or(0, |entry| *entry)
}

/// Whether an entry of the table cannot name the destination of a pin.
fn is_beyond(world: &World, entry: u64) -> bool {
    let logical = entry & 1 << 11 != 0;
    world.spec.is_beyond((entry >> 32) as u32, logical)
}

/// A pin's entry that delivers what another one does: delivery status, polarity, remote IRR and the
/// mask are the pin's own.
fn with_delivery_of(entry: u64, other: u64) -> u64 {
    const OWN: u64 = 1 << 16 | 1 << 14 | 1 << 13 | 1 << 12;
    entry & OWN | other & !OWN
}

/// A pin's entry with a destination that 8 bits can name.
pub(crate) fn with_short_destination(entry: u64) -> u64 {
    let entry = entry & !(0xffff_ff00 << 32);
    let physical = entry & 1 << 11 == 0;
    if physical && entry >> 32 == 0xff {
        entry & !(1 << 32)
    } else {
        entry
    }
}

/// Whether a pin names an entry of the table.
pub(super) fn is_remappable(pin: u64) -> bool {
    pin >> 48 & 1 != 0
}

/// The number of the entry that a pin names.
pub(super) fn index_of_pin(pin: u64) -> u64 {
    pin >> 49 | (pin >> 11 & 1) << 15
}

/// A sender and one of its messages; none where Xen would not call, because the IOMMU that serves
/// it has no table.
fn choose(world: &World, (sender, number): (usize, usize)) -> Option<(usize, usize)> {
    let sender = World::choose(&world.senders, sender)?;
    let number = number % world.senders[sender].count;
    if let Some(unit) = world.senders[sender].unit
        && !world.has_table(unit)
    {
        return None;
    }
    Some((sender, number))
}

fn update(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    place: (usize, usize),
    message: Message,
    script: Script,
) -> Option<Answer> {
    let (number, of_block) = choose(world, place)?;
    let sender = world.senders[number];
    let desc = sender.descs.wrapping_add(of_block);
    let new = get!(desc, remap_index) < 0 && of_block == 0;
    if let Some(unit) = sender.unit
        && new
        && world.has_unwritten(unit)
    {
        return None;
    }
    let (to, vector) = message.posted.unwrap_or((0, 0));
    set!(desc, pi_desc, to as *const _);
    set!(desc, gvec, vector);
    world.addressee = sender.unit;
    world.set_message(message.address.into(), message.data, message.destination);
    let arguments = [desc as u64, world.message as u64];
    // A move asks no bridge: the entry has its source.
    side.env().unit.of_mut::<Firmware>().bridges_answer =
        !(api.keeps_use && get!(desc, irte_initialized));
    let is_refused = sender.refusal.is_some() || message.is_beyond(&world.spec);
    if let Some(unit) = sender.unit.filter(|_| is_refused) {
        let before = undo::Snapshot::of(side, world, number, unit);
        let outcome = call(side, api.update, &arguments, script.anywhere());
        let changed = before.restore(side, world);
        side.env().unit.of_mut::<Firmware>().bridges_answer = true;
        return Some(Answer {
            output: Some(changed.into()),
            ..Answer::int(outcome)
        });
    }
    let outcome = call(side, api.update, &arguments, script.anywhere());
    side.env().unit.of_mut::<Firmware>().bridges_answer = true;
    Some(Answer {
        output: Some(u64::from(get!(desc, remap_index) as u32)),
        ..Answer::int(outcome)
    })
}

fn release(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    place: (usize, usize),
    script: Script,
) -> Option<Answer> {
    let (number, of_block) = choose(world, place)?;
    let sender = world.senders[number];
    let desc = sender.descs.wrapping_add(of_block);
    // A block that got no entries: C gives the first entries of the table back instead.
    if get!(desc, remap_index) < 0 && of_block == 0 && sender.count > 1 {
        return None;
    }
    let outcome = call(side, api.update, &[desc as u64, 0], script.anywhere());
    // What calls it frees the descriptors next; Rust makes them forget their entries, C does not.
    let mut kept = 0;
    if outcome.is_ok() && of_block == 0 && sender.unit.is_some() {
        for message in 0..sender.count {
            let desc = desc.wrapping_add(message);
            kept += u64::from(api.keeps_use && get!(desc, remap_index) >= 0);
            set!(desc, remap_index, -1);
        }
    }
    Some(Answer {
        output: Some(kept),
        ..Answer::int(outcome)
    })
}

/// A descriptor names an entry that there is not, and has none again afterwards.
fn stray(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (sender, index, release): (usize, i32, bool),
    script: Script,
) -> Option<Answer> {
    let (number, _) = choose(world, (sender, 0))?;
    let sender = world.senders[number];
    sender.unit?;
    if get!(sender.descs, remap_index) >= 0 || sender.refusal.is_some() {
        return None;
    }
    for message in 0..sender.count {
        let desc = sender.descs.wrapping_add(message);
        set!(desc, remap_index, index.saturating_add(message as i32));
    }
    set!(sender.descs, pi_desc, std::ptr::null());
    world.set_message(0xfee0_0000, 0x31, 0);
    let message = if release { 0 } else { world.message as u64 };
    let arguments = [sender.descs as u64, message];
    let outcome = call(side, api.update, &arguments, script.anywhere());
    for message in 0..sender.count {
        set!(sender.descs.wrapping_add(message), remap_index, -1);
    }
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
        .filter(|number| matches!(world.senders[*number].spec, SenderSpec::Hpet { .. }))
        .collect();
    let sender = world.senders[hpets[World::choose(&hpets, sender)?]];
    // C goes to an HPET's IOMMU without asking whether there is one. Xen sets an HPET up once.
    let unit = sender.unit?;
    if get!(sender.descs, remap_index) >= 0 || world.has_unwritten(unit) {
        return None;
    }
    let arguments = [sender.descs as u64];
    let outcome = call(side, api.set_up_hpet, &arguments, script);
    Some(Answer {
        output: Some(u64::from(get!(sender.descs, remap_index) as u32)),
        ..Answer::int(outcome)
    })
}

/// The words of Xen that `supports_eim` and `enable` may change.
pub(super) fn options(side: &Side) -> [Option<u8>; 2] {
    ["iommu_enable", "iommu_intremap"].map(|name| byte_variable(side, name))
}
