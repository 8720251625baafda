//! Steps about interrupts.

use xen_sys as sys;

use super::api::Api;
use super::call::{call, choose};
use super::cpus::{cpus, set_cpus};
use super::descs::{choose_irq, device_of, is_entry, is_free, raced};
use super::enable::{enable_arguments, irq_for};
use super::op::{Call, Op, Opening};
use super::platform::{IRQ_DISABLED, Meanwhile, Platform, Race};
use super::says::{ACTED, IN_VAIN, STOPPED, UNDONE};
use super::world::World;
use super::{config, descs, functions, model, registers};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::machine::function::{COMMAND, MEMORY};
use crate::services::{force_lock, force_unlock};
use crate::side::{Outcome, Script, Side};
use crate::trace::Event;
use crate::trap::Trap;
use crate::xen::{addr, get, set};

/// Calls a function with the interrupt's lock held, and interrupts off.
pub(super) fn under_lock(
    side: &mut Side,
    function: usize,
    arguments: &[u64],
    desc: *mut sys::irq_desc,
    script: Script,
) -> Outcome {
    let lock = addr!(desc, lock) as u64;
    force_lock(lock);
    let script = Script {
        irqs_off: true,
        ..script
    };
    let outcome = call(side, function, arguments, script);
    force_unlock(lock);
    outcome
}

/// Has an interrupt bound to a message; notes where there is nothing to which the message could go.
pub(super) fn bind(
    side: &mut Side,
    function: usize,
    arguments: &[u64],
    desc: *mut sys::irq_desc,
    script: Script,
) -> Outcome {
    let cpus = cpus(get!(desc, arch.cpu_mask)) & side.env().unit.of::<Platform>().online;
    let vector = get!(desc, arch.vector) as u8;
    side.env().unit.of_mut::<Platform>().no_target |=
        cpus == 0 || u32::from(vector) < sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u32;
    under_lock(side, function, arguments, desc, script)
}

pub(super) fn set_up(
    side: &mut Side,
    api: &Api,
    world: &World,
    (desc, message): (usize, usize),
    script: Script,
) -> Option<Answer> {
    let all = descs::all(side, world).ok()?;
    let found = all[desc.checked_rem(all.len())?];
    let desc = found.message(message % found.count());
    if get!(desc, irq) < 0 {
        let irq = descs::free_irq(side, world, message)?;
        set!(desc, irq, irq as i32);
    }
    let interrupt = world.irq(get!(desc, irq) as usize);
    if !is_free(side, interrupt) {
        return None;
    }
    let arguments = [interrupt as u64, desc as u64];
    let outcome = bind(side, api.set_up, &arguments, interrupt, script);
    Some(Answer::int(outcome))
}

pub(super) fn set_up_iommu(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    device: usize,
    script: Script,
) -> Option<Answer> {
    let device = device % world.devices.len();
    let msi = world.spec.devices[device].msi?;
    let busy = !descs::of_device(side, world, device).ok()?.is_empty();
    if busy || std::mem::replace(&mut world.iommu_set_up, true) {
        return None;
    }
    let desc = *world.foreign.last()?;
    // Nobody has masked the messages that are not set up.
    world.stale[device] = true;
    let attributes = addr!(desc, msi_attrib);
    // SAFETY: the descriptor lies in the arena, and the reference ends with the block.
    unsafe {
        (*attributes).set_maskbit(msi.maskable);
        (*attributes).set_is_64(msi.is_64);
    }
    set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSI as u8);
    set!(desc, msi_attrib.pos, msi.pos);
    set!(desc, __bindgen_anon_1.msi.nvec, 1);
    set!(desc, __bindgen_anon_1.msi.mpos, msi.mask_register());
    set!(desc, dev, world.devices[device]);
    let interrupt = world.irq(get!(desc, irq) as usize);
    let arguments = [interrupt as u64, desc as u64, world.controller as u64];
    let outcome = bind(side, api.set_up_with, &arguments, interrupt, script);
    Some(Answer::int(outcome))
}

pub(super) fn act(
    side: &mut Side,
    api: &Api,
    world: &World,
    (irq, what): (usize, Call),
    script: Script,
) -> Option<Answer> {
    let desc = choose_irq(world, irq, |_| true)?;
    let answer = act_on(side, api, world, (desc, what), script)?;
    let moves = matches!(what, Call::Retarget { cpus: Some(_) });
    if !moves || answer.outcome.is_err() || !script.salt.is_multiple_of(3) {
        return Some(answer);
    }
    let trace = std::mem::take(&mut side.env().trace);
    let again = act_on(side, api, world, (desc, what), script)?;
    let trace_again = std::mem::replace(&mut side.env().trace, trace);
    // Nothing is kept of an IOMMU's own message.
    let is_own = world.foreign.contains(&get!(desc, msi_desc));
    let knows = api.sees_all_writes() && world.is_booted(side) && !is_own;
    let [first, next] = [&side.env().trace, &trace_again];
    if knows && model::rewrites_message(&world.spec, first, next) {
        let outcome = "a message is written again that the device has".to_owned();
        return Some(Answer::void(Err(Trap::Fault(outcome))));
    }
    Some(again)
}

/// A call for an interrupt.
pub(super) fn act_on(
    side: &mut Side,
    api: &Api,
    world: &World,
    (desc, what): (*mut sys::irq_desc, Call),
    script: Script,
) -> Option<Answer> {
    let handler: *const sys::hw_interrupt_type = get!(desc, handler);
    let function = match what {
        Call::Startup => get!(handler, startup).map(|function| function as usize),
        Call::Shutdown => get!(handler, shutdown).map(|function| function as usize),
        Call::Enable => get!(handler, enable).map(|function| function as usize),
        Call::Disable => get!(handler, disable).map(|function| function as usize),
        Call::Ack => get!(handler, ack).map(|function| function as usize),
        Call::End { .. } => get!(handler, end).map(|function| function as usize),
        Call::SetAffinity { .. } => get!(handler, set_affinity).map(|function| function as usize),
        Call::GuestMask { .. } => Some(api.guest_mask),
        Call::Mask => Some(api.mask),
        Call::Unmask => Some(api.unmask),
        Call::AckUnmaskable => Some(api.ack_nonmaskable),
        Call::Retarget { .. } => Some(api.set_affinity),
    }?;
    let mut arguments = vec![desc as u64];
    match what {
        Call::End { vector } => arguments.push(byte(vector.into())),
        Call::GuestMask { mask } => arguments.push(byte(mask.into())),
        Call::SetAffinity { cpus } | Call::Retarget { cpus: Some(cpus) } => {
            set_cpus(world.mask, cpus);
            arguments.push(world.mask as u64);
        }
        Call::Retarget { cpus: None } => arguments.push(0),
        // What is shut down or disabled is marked so by most callers.
        Call::Shutdown | Call::Disable if !script.salt.is_multiple_of(3) => {
            set!(desc, status, get!(desc, status) | IRQ_DISABLED);
        }
        Call::Startup | Call::Enable if !script.salt.is_multiple_of(3) => {
            set!(desc, status, get!(desc, status) & !IRQ_DISABLED);
        }
        _ => {}
    }
    // All callers mask an interrupt before they move it, where it can be.
    let mut masked = Vec::new();
    if matches!(what, Call::SetAffinity { .. } | Call::Retarget { .. })
        && let Some(disable) = get!(handler, disable)
    {
        let outcome = under_lock(side, disable as usize, &[desc as u64], desc, script);
        if outcome.is_err() {
            return Some(Answer::void(outcome));
        }
        masked = std::mem::take(&mut side.env().trace);
    }
    let outcome = under_lock(side, function, &arguments, desc, script);
    side.env().trace.splice(0..0, masked);
    Some(match what {
        Call::Startup => Answer::int(outcome),
        _ => Answer::void(outcome),
    })
}

/// Whether the entry of an interrupt is masked, or not, as Xen has noted.
fn is_as_noted(side: &mut Side, device: usize, desc: *mut sys::irq_desc) -> bool {
    let msi = get!(desc, msi_desc);
    if msi.is_null() || !is_entry(msi) {
        return true;
    }
    let attributes = get!(msi, msi_attrib);
    let noted = attributes.host_masked() || attributes.guest_masked();
    let vector_control = 4 * usize::from(attributes.entry_nr) + 3;
    let function = &side.env().machine.pci.functions[device];
    noted == (function.table_word(vector_control) & 1 != 0)
}

/// Where the entry of an interrupt did not take what was written to its mask bit: the function
/// that has its table there, if one has.
fn lost_mask(side: &mut Side, desc: *mut sys::irq_desc) -> Option<Option<usize>> {
    let msi = get!(desc, msi_desc);
    if msi.is_null() || !is_entry(msi) {
        return None;
    }
    let vector_control = get!(msi, __bindgen_anon_1.mask_base) as usize + 12;
    side.env().trace.iter().find_map(|entry| match entry.event {
        Event::MmioLost {
            address, function, ..
        } if address == vector_control => Some(function),
        _ => None,
    })
}

/// A call for an interrupt, while another CPU changes its function. Where what changes is the
/// function's MSI, the call comes once more: it must not rely on what the first has read or
/// written.
pub(super) fn race(
    side: &mut Side,
    api: &Api,
    world: &World,
    (irq, what, act): (usize, Call, Meanwhile),
    script: Script,
) -> Option<Answer> {
    let desc = raced(world, irq, act)?;
    let device = device_of(world, get!(desc, msi_desc))?;
    let unclear = world.spec.lies > 0
        || world.stale[device]
        || world.is_iommu(device)
        || registers::is_changed_or_gone(side, world, device);
    if act.is_about_msi() && unclear {
        return None;
    }
    let moves = matches!(what, Call::SetAffinity { .. } | Call::Retarget { .. });
    // What is moved is masked before.
    let skip = if moves { script.salt % 2 } else { 0 };
    if let Err(announced) = begin_race(side, api, world, device, (act, skip, None)) {
        return Some(Answer::int(announced));
    }
    side.env().trace.clear();
    let was_as_noted = is_as_noted(side, device, desc);
    let mut answer = act_on(side, api, world, (desc, what), script);
    end_race(side);
    if act == Meanwhile::StopMemory
        && let Some(answer) = &mut answer
    {
        let lost = lost_mask(side, desc);
        // One that is gone seems to decode memory, and can not be masked.
        let is_there = lost == Some(Some(device)) && !registers::is_gone(side, world, device);
        let in_vain = is_there && was_as_noted && !is_as_noted(side, device, desc);
        let says = [(in_vain, IN_VAIN), (lost.is_some(), STOPPED)];
        let says = says.into_iter().filter(|(holds, _)| *holds);
        for (_, says) in says {
            answer.output = Some(answer.output.unwrap_or_default() | says);
        }
    }
    let goes_on = answer.as_ref().is_some_and(|answer| answer.outcome.is_ok());
    if act.is_about_msi() && goes_on {
        answer = act_on(side, api, world, (desc, what), script);
    }
    // The function changes even where its interrupt has nothing that could be called.
    Some(answer.unwrap_or_else(|| Answer::void(Ok(0))))
}

/// dom0 announces what it does to a function, and another CPU is going to carry it out.
fn begin_race(
    side: &mut Side,
    api: &Api,
    world: &World,
    device: usize,
    (act, skip, masks): (Meanwhile, u64, Option<*mut sys::irq_desc>),
) -> Result<(), Outcome> {
    let functions = &side.env().machine.pci.functions;
    let msi = world.spec.devices[device].msi;
    let (owner, register) = match act {
        // A virtual function decodes memory where its physical function does.
        Meanwhile::StopMemory => {
            let physical = world.spec.devices[device].physical;
            (physical.unwrap_or(device), COMMAND)
        }
        Meanwhile::Reset => (device, functions[device].msix + 2),
        Meanwhile::LoseMessage | Meanwhile::ChangeReserved => {
            let register = msi.map_or(0, |msi| match act {
                Meanwhile::LoseMessage => msi.data_register(),
                _ => msi.mask_register(),
            });
            (device, register as usize)
        }
    };
    let command = functions[owner].peek(COMMAND, 2);
    let written = match act {
        Meanwhile::StopMemory => command & !u32::from(MEMORY),
        _ => command,
    };
    // SAFETY: the place lies in the arena.
    unsafe { world.data.write(written) };
    if api.sees_all_writes() {
        let pdev = world.devices[owner] as u64;
        let arguments = [pdev, word(COMMAND as u32), word(2), world.data as u64];
        let announced = call(side, api.intercept, &arguments, Script::plain(0));
        if announced != Ok(0) {
            return Err(announced);
        }
    }
    side.env().unit.of_mut::<Platform>().race = Some(Race {
        sbdf: world.spec.devices[owner].sbdf,
        register,
        act,
        address: msi.map_or(0, |msi| msi.address_register() as usize),
        skip,
        written: api.written,
        masks,
    });
    Ok(())
}

/// The other CPU acts now, if it did not meanwhile. Returns whether it did.
fn end_race(side: &mut Side) -> bool {
    let Some(race) = side.env().unit.of_mut::<Platform>().race.take() else {
        return true;
    };
    config::act(side.env(), &race);
    let said = functions::say_written(side, race.written);
    assert!(said.is_ok(), "{said:?}");
    false
}

/// Something is done for which MSI-X is enabled with all masked for a while, while another CPU
/// masks an interrupt of the function, which it cannot reach.
pub(super) fn overlap(
    side: &mut Side,
    api: &Api,
    world: &World,
    (opening, number): (Opening, usize),
    script: Script,
) -> Option<Answer> {
    // Before there is a dom0, one CPU sets up Xen's own interrupts, and masks none meanwhile.
    if !world.is_booted(side) {
        return None;
    }
    let all = descs::all(side, world).ok()?;
    let device = match opening {
        Opening::Enable(wish) if wish.msix => choose(world, wish.device),
        Opening::Restore { device } => choose(world, device),
        Opening::SetUp { desc } => device_of(world, all[desc.checked_rem(all.len())?].desc)?,
        Opening::Enable(_) => return None,
    };
    let of_table = |msi| is_entry(msi) && get!(msi, dev) == world.devices[device];
    let desc = choose_irq(world, number, of_table)?;
    let entry = usize::from(get!(get!(desc, msi_desc), msi_attrib.entry_nr));
    // pci_prepare_msix() may have ended the use that an entry stands for. Then the next one is the
    // first to both sides, and starts with nothing masked.
    let in_use = get!(get!(world.devices[device], msix), used_entries);
    if world.spec.lies > 0 || in_use == 0 || registers::is_changed_or_gone(side, world, device) {
        return None;
    }
    if let Err(announced) = begin_race(
        side,
        api,
        world,
        device,
        (Meanwhile::StopMemory, 0, Some(desc)),
    ) {
        return Some(Answer::int(announced));
    }
    let answer = match opening {
        Opening::Enable(wish) => irq_for(side, world, wish).map(|irq| {
            let arguments = enable_arguments(world, (device, irq, wish));
            Answer::int(call(side, api.enable, &arguments, script))
        }),
        Opening::SetUp { desc } => set_up(side, api, world, (desc, 0), script),
        Opening::Restore { device } => {
            functions::of_function(side, api, world, &Op::Restore { device }, script)
        }
    };
    let acted = end_race(side);
    let function = &side.env().machine.pci.functions[device];
    let is_masked = function.table_word(4 * entry + 3) & 1 != 0;
    let control = function.peek(function.msix + 2, 2);
    let is_enabled = control & sys::PCI_MSIX_FLAGS_ENABLE != 0;
    let masks_all = control & sys::PCI_MSIX_FLAGS_MASKALL != 0;
    let msix = get!(world.devices[device], msix);
    // Where the guest masks all already, neither side notes that the host needs it, too.
    let noted = get!(msix, host_maskall) || get!(msix, guest_maskall);
    let undone = acted && !is_masked && !(noted && (masks_all || !is_enabled));
    let answer = answer?;
    let output = [(acted, ACTED), (undone, UNDONE)];
    let output = output.into_iter().filter(|(holds, _)| *holds);
    let output = output.fold(0, |output, (_, says)| output | says);
    Some(Answer {
        output: (output != 0).then_some(output),
        ..answer
    })
}
