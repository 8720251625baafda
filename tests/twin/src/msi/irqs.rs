//! Steps about interrupts.

use xen_sys as sys;

use super::api::Api;
use super::controls::{cpus, set_cpus};
use super::op::Call;
use super::perform::call;
use super::platform::{IRQ_DISABLED, Race};
use super::world::World;
use super::{config, descs};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::machine::function::{COMMAND, MEMORY};
use crate::services::{force_lock, force_unlock};
use crate::side::{Outcome, Script, Side};
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
    let cpus = cpus(get!(desc, arch.cpu_mask)) & side.env().msi.online;
    let vector = get!(desc, arch.vector) as u8;
    side.env().msi.no_target |=
        cpus == 0 || u32::from(vector) < sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u32;
    under_lock(side, function, arguments, desc, script)
}

/// Whether an interrupt is nobody's.
pub(super) fn is_free(side: &mut Side, desc: *mut sys::irq_desc) -> bool {
    get!(desc, handler) as u64 == side.env().msi.no_irq_type && get!(desc, msi_desc).is_null()
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

/// The interrupts of functions.
fn of_functions(world: &World) -> Vec<usize> {
    let is_one = |irq: &usize| {
        let msi = get!(world.irq(*irq), msi_desc);
        !msi.is_null() && !get!(msi, dev).is_null()
    };
    (0..world.spec.irqs).filter(is_one).collect()
}

pub(super) fn act(
    side: &mut Side,
    api: &Api,
    world: &World,
    (irq, what): (usize, Call),
    script: Script,
) -> Option<Answer> {
    let irqs = of_functions(world);
    let irq = irqs[irq.checked_rem(irqs.len())?];
    let desc = world.irq(irq);
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

/// A call for an interrupt, while another CPU stops the memory of its function.
pub(super) fn race(
    side: &mut Side,
    api: &Api,
    world: &World,
    (irq, what): (usize, Call),
    script: Script,
) -> Option<Answer> {
    let irqs = of_functions(world);
    let desc: *const sys::msi_desc = get!(world.irq(irqs[irq.checked_rem(irqs.len())?]), msi_desc);
    let device = world
        .devices
        .iter()
        .position(|pdev| *pdev == get!(desc, dev))?;
    if get!(desc, msi_attrib.type_) != sys::PCI_CAP_ID_MSIX as u8 {
        return None;
    }
    // A virtual function decodes memory where its physical function does.
    let owner = world.spec.devices[device].physical.unwrap_or(device);
    let sbdf = world.spec.devices[owner].sbdf;
    let mut callbacks = Vec::new();
    let command = side.env().machine.pci.functions[owner].peek(COMMAND, 2);
    // SAFETY: the place lies in the arena.
    unsafe { world.data.write(command & !u32::from(MEMORY)) };
    if api.sees_all_writes {
        let waiting = side.env().rcu.len();
        let pdev = world.devices[owner] as u64;
        let arguments = [pdev, word(COMMAND as u32), word(2), world.data as u64];
        let announced = call(side, api.intercept, &arguments, Script::plain(0));
        if announced != Ok(0) {
            return Some(Answer::int(announced));
        }
        callbacks = side.env().rcu.split_off(waiting);
    }
    let moves = matches!(what, Call::SetAffinity { .. } | Call::Retarget { .. });
    // What is moved is masked before.
    let skip = if moves { script.salt % 2 } else { 0 };
    side.env().msi.race = Some(Race {
        sbdf,
        skip,
        callbacks,
    });
    let answer = act(side, api, world, (irq, what), script);
    if let Some(race) = side.env().msi.race.take() {
        config::stop_memory(side.env(), sbdf);
        side.env().rcu.extend(race.callbacks);
    }
    answer
}
