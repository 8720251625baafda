//! Steps about one function.

use super::api::Api;
use super::call::{call, choose};
use super::config::BY_DOM0;
use super::op::{Op, Register};
use super::platform::Platform;
use super::says::{MISMAPPED, WRONG};
use super::spec::Owner;
use super::world::World;
use super::{descs, pirqs, registers, undo};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::side::{Outcome, Script, Side};
use crate::trap::Trap;
use crate::xen::get;

/// Calls about one function.
pub(super) fn of_function(
    side: &mut Side,
    api: &Api,
    world: &World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    let split = |sbdf: u32| [sbdf >> 16, sbdf >> 8 & 0xff, sbdf & 0xff];
    match *op {
        Op::Cleanup { device, dying } => {
            let pdev = *world.devices.get(device)?;
            let irqs = pirqs::irqs_of(side, world, device);
            let gone = pirqs::of_irqs(side, &irqs);
            let guest = world.guest.domain as u64;
            if dying && gone.iter().any(|(domain, ..)| *domain == guest) {
                world.own(device, Owner::Dom0);
                side.env().unit.of_mut::<Platform>().dying = Some(guest);
            }
            side.env().unit.of_mut::<Platform>().leaving = Some(pdev as u64);
            // As pci_remove_device() has it.
            side.env().unit.of_mut::<Platform>().pcidevs = 1;
            let outcome = call(side, api.cleanup, &[pdev as u64], script);
            side.env().unit.of_mut::<Platform>().pcidevs = 0;
            side.env().unit.of_mut::<Platform>().leaving = None;
            let left = pirqs::check_none(side, &gone).map_err(Trap::Fault);
            side.env().unit.of_mut::<Platform>().dying = None;
            Some(Answer::void(outcome.and_then(|value| left.map(|()| value))))
        }
        Op::Prepare { device, off } => {
            let device = choose(world, device);
            // C follows a null pointer where a function has no MSI-X.
            world.spec.devices[device].msix?;
            let [segment, bus, devfn] = split(world.spec.devices[device].sbdf);
            let arguments = [
                word(segment),
                byte(bus.into()),
                byte(devfn.into()),
                byte(off.into()),
            ];
            let place = (device, true);
            let answer = undo::set_up(side, world, place, (api.prepare, &arguments), script);
            Some(note_mapping(side, world, device, answer))
        }
        Op::PrepareMissing { off } => {
            let arguments = [word(0x77), byte(0x77), byte(0x77), byte(off.into())];
            Some(Answer::int(call(side, api.prepare, &arguments, script)))
        }
        Op::ResetState { device } => {
            let device = choose(world, device);
            world.spec.devices[device].msix?;
            let arguments = [world.devices[device] as u64];
            Some(Answer::int(call(side, api.reset_state, &arguments, script)))
        }
        Op::Restore { device } => {
            let device = choose(world, device);
            let all = descs::of_device(side, world, device).ok()?;
            // C takes the number of a missing interrupt for an index, and relies on it that all are
            // of one kind.
            let mut irqs = all.iter().flat_map(|found| found.messages());
            let missing = irqs.any(|desc| get!(desc, irq) < 0);
            if missing || all.iter().any(|found| found.is_msix() != all[0].is_msix()) {
                return None;
            }
            let arguments = [world.devices[device] as u64];
            Some(Answer::int(call(side, api.restore, &arguments, script)))
        }
        Op::DisableAll => {
            side.env().unit.of_mut::<Platform>().crashes = true;
            let outcome = call(side, api.disable_all, &[], script);
            side.env().unit.of_mut::<Platform>().crashes = false;
            Some(Answer::void(outcome))
        }
        Op::SetEnable { device, on } => {
            let device = choose(world, device);
            let msi = world.spec.devices[device].msi?;
            let [segment, bus, devfn] = split(world.spec.devices[device].sbdf);
            let arguments = [
                word(segment),
                byte(bus.into()),
                byte(u64::from(devfn >> 3)),
                byte(u64::from(devfn & 7)),
                word(msi.pos.into()),
                word(on.into()),
            ];
            Some(Answer::void(call(side, api.set_enable, &arguments, script)))
        }
        Op::ConfigWrite {
            device,
            place,
            size,
            data,
        } => {
            let device = choose(world, device);
            // dom0 does not see IOMMUs.
            if world.is_iommu(device) {
                return None;
            }
            config_write(side, api, world, (device, place, size, data), script)
        }
        Op::UnknownWrite => Some(unknown_write(side, api, world, script)),
        _ => None,
    }
}

/// Looks where the pages of a table are mapped that it shares with other registers, where this step
/// has mapped them: the one with its first byte, and the one with its last.
fn note_mapping(side: &mut Side, world: &World, device: usize, answer: Answer) -> Answer {
    let (Some(table), Some(msix)) = (world.spec.table(device), world.spec.devices[device].msix)
    else {
        return answer;
    };
    let has_mapped = world.unused[device] && answer.outcome == Ok(0);
    if !has_mapped || registers::has_moved(side, world, device) {
        return answer;
    }
    let last = table + u64::from(msix.entries) * 16 - 1;
    let mapped = get!(get!(world.devices[device], msix), adj_access_idx);
    let fixmap = &side.env().machine.pci.fixmap;
    let wrong = mapped
        .into_iter()
        .zip([table, last])
        .any(|(slot, byte)| slot != 0 && fixmap.get(&(slot as usize)) != Some(&(byte >> 12)));
    if !wrong {
        return answer;
    }
    Answer {
        output: Some(answer.output.unwrap_or_default() | MISMAPPED),
        ..answer
    }
}

/// What Rust answers where it has carried a write out: `-EEXIST`.
const CARRIED_OUT: u64 = -libc::EEXIST as u32 as u64;

/// A write of dom0's: Xen is asked where the kernel of one would ask it, and what it allows is
/// carried out.
pub(super) fn config_write(
    side: &mut Side,
    api: &Api,
    world: &World,
    (device, place, size, data): (usize, Register, u32, u32),
    script: Script,
) -> Option<Answer> {
    let spec = &world.spec.devices[device];
    let register = place.of(spec)? & 0xff & !(size - 1);
    let value = data & u32::MAX >> (32 - 8 * size);
    // C refuses to write message control with the two bytes before it, which cannot be written:
    // dom0 makes that two writes.
    let begins = |pos: Option<u8>| pos.is_some_and(|pos| u32::from(pos) == register);
    // A function that is gone seems to have mask bits.
    let msi = spec.msi.map(|msi| msi.pos);
    let msix = spec.msix.map(|msix| msix.pos);
    let halves = size == 4 && (begins(msix) || begins(msi));
    let (asked, width, shift) = if halves && !api.sees_all_writes() {
        (register + 2, 2, 16)
    } else {
        (register, size, 0)
    };
    // SAFETY: the place lies in the arena.
    unsafe { world.data.write(value >> shift) };
    let mut answer = Answer::void(Ok(0));
    // With Rust, Xen shows it all writes.
    if register >= 64 || api.sees_all_writes() {
        let arguments = [
            world.devices[device] as u64,
            word(asked),
            word(width),
            world.data as u64,
        ];
        answer = Answer::int(call(side, api.intercept, &arguments, script));
    }
    // SAFETY: as above.
    let written = unsafe { world.data.read() };
    let data = written << shift | value & ((1 << shift) - 1);
    // SAFETY: as above.
    unsafe { world.data.write(data) };
    answer.output = Some(data.into());
    // What the other CPUs may change meanwhile, Rust writes itself.
    let done = api.sees_all_writes() && answer.outcome == Ok(CARRIED_OUT);
    if done {
        answer.outcome = Ok(1);
    }
    let acted = side.env().unit.of::<Platform>().acts_inside;
    if answer.outcome == Ok(1) && !acted {
        let place = (register, value);
        answer.output = Some(u64::from(data) | registers::guest_masks(side, world, device, place));
    }
    let refused = answer
        .outcome
        .as_ref()
        .map_or(true, |result| (*result as i32) < 0);
    if !done && !refused {
        // Of message control of MSI-X and what is before it, this is what can be written.
        let (register, width, data) = if halves && begins(msix) {
            (register + 2, 2, data >> 16)
        } else {
            (register, size, data)
        };
        let told = [spec.sbdf, register, data, width].map(u64::from);
        if !side.env().machine.pci.functions[device].gone {
            super::platform::call(side.env(), BY_DOM0, &told);
        }
        let function = &mut side.env().machine.pci.functions[device];
        function.write(register as usize, width as usize, data);
        if let Err(outcome) = say_written(side, api.written) {
            return Some(Answer::int(outcome));
        }
    } else if api.sees_all_writes() {
        // No write is under way.
        let before = side.image.own_bytes();
        if let Err(outcome) = say_written(side, api.written) {
            return Some(Answer::int(outcome));
        }
        if side.image.own_bytes() != before {
            answer.output = Some(WRONG);
        }
    }
    Some(answer)
}

/// Says that a write has been carried out, to the side that is shown all.
pub(super) fn say_written(side: &mut Side, written: Option<usize>) -> Result<(), Outcome> {
    let Some(written) = written else {
        return Ok(());
    };
    let before = std::mem::take(&mut side.env().trace);
    let done = side.call(written, &[], Script::plain(0));
    // Others see nothing of it.
    assert!(side.env().trace.is_empty());
    side.env().trace = before;
    done.map_or_else(|trap| Err(Err(trap)), |_| Ok(()))
}

/// A write of dom0's to a function that Xen does not know, as a bridge may be. What Rust knows of
/// functions ends then.
fn unknown_write(side: &mut Side, api: &Api, world: &World, script: Script) -> Answer {
    // SAFETY: the place lies in the arena.
    unsafe { world.data.write(0) };
    if !api.sees_all_writes() {
        side.env().trace.clear();
        return Answer::int(Ok(0));
    }
    let before = side.image.own_bytes();
    let arguments = [0, word(4), word(2), world.data as u64];
    let answer = Answer::int(call(side, api.intercept, &arguments, script));
    if let Err(outcome) = say_written(side, api.written) {
        return Answer::int(outcome);
    }
    if side.image.own_bytes() == before {
        return Answer {
            output: Some(WRONG),
            ..answer
        };
    }
    answer
}
