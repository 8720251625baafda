//! Carries out one step on one side.

use xen_sys as sys;

use super::api::Api;
use super::call::{call, choose};
use super::cpus::set_cpus;
use super::enable::{enable, irq_for};
use super::op::Op;
use super::platform::Platform;
use super::says::CROSSED;
use super::world::{World, set_option};
use super::{beside, change, descs, functions, irqs, map, registers};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::side::{Script, Side};
use crate::trap::Trap;
use crate::vtd::world::set_element;
use crate::xen::set;

/// Where the FADT has its boot flags, and the one that says that there are no MSIs.
const BOOT_FLAGS: usize = 0x6d;
const NO_MSI: u16 = 1 << 3;

pub(super) fn perform(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    registers::leave_unmasked(side, world);
    if registers::are_unclear(side, world, op) {
        return None;
    }
    side.env().trace.clear();
    side.env().unit.of_mut::<Platform>().no_target = false;
    side.env().unit.of_mut::<Platform>().not_protected = false;
    side.env().unit.of_mut::<Platform>().crossed = false;
    side.env().machine.pci.blind_reads = 0;
    let masked = registers::masked(side, world);
    world.unanswered = is_unanswered(side, world, op);
    let answer = carry_out(side, api, world, op, script)?;
    let mut answer = registers::note_blind_reads(side, world, op, answer);
    world.is_full = side.env().machine.pci.fixmap.len() >= sys::FIX_MSIX_MAX_PAGES as usize;
    world.no_target = side.env().unit.of::<Platform>().no_target;
    world.not_protected = side.env().unit.of::<Platform>().not_protected;
    let crossed = side.env().unit.of::<Platform>().crossed;
    world.crossed = matches!(answer.outcome, Err(Trap::Fault(_))) || crossed;
    if crossed {
        answer.output = Some(answer.output.unwrap_or_default() | CROSSED);
    }
    let answer = registers::settle(side, world, answer);
    let answer = registers::settle_entries(side, world, api, (op, answer));
    let answer = registers::check_mask_all(side, world, api, &masked, (op, answer));
    world.look(op, &answer);
    Some(answer)
}

/// Whether a step sets up an MSI, or the first entry, of a function that does not answer.
fn is_unanswered(side: &mut Side, world: &World, op: &Op) -> bool {
    let (device, is_first) = match *op {
        Op::Map(wish) | Op::Enable(wish) => {
            let device = choose(world, wish.device);
            (device, !wish.msix || world.unused[device])
        }
        Op::Prepare { device, off: false } => {
            let device = choose(world, device);
            (device, world.unused[device])
        }
        _ => return false,
    };
    is_first && side.env().machine.pci.functions[device].gone
}

fn carry_out(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    side.env().machine.pci.start_step(script.salt);
    // SAFETY: the place lies in the arena.
    unsafe { world.out.write(std::ptr::null_mut()) };
    match *op {
        Op::Map(wish) => map::map(side, api, world, wish, script),
        Op::SetUp { desc, message } => irqs::set_up(side, api, world, (desc, message), script),
        Op::Unmap { desc } => map::unmap(side, api, world, desc, script),
        Op::Crowd { .. } | Op::Fill { .. } => map::many(side, api, world, op, script),
        Op::SetUpIommu { device } => irqs::set_up_iommu(side, api, world, device, script),
        Op::Irq { irq, call } => irqs::act(side, api, world, (irq, call), script),
        Op::Race { irq, call, act } => irqs::race(side, api, world, (irq, call, act), script),
        Op::Overlap { opening, irq } => irqs::overlap(side, api, world, (opening, irq), script),
        Op::Beside { own, other, moment } => {
            beside::both(side, api, world, (own, other, moment), script)
        }
        Op::World(ref change) => {
            change::alter(side, world, change);
            None
        }
        Op::Enable(wish) => {
            let (device, irq) = (choose(world, wish.device), irq_for(side, world, wish)?);
            Some(enable(side, api, world, (device, irq, wish), script))
        }
        Op::EarlyInit { option, forbidden } => {
            set_option(side, "msi", option as u8);
            let flags = if forbidden { !0 } else { !NO_MSI };
            for (at, byte) in flags.to_le_bytes().into_iter().enumerate() {
                set_element(side, "acpi_gbl_FADT", BOOT_FLAGS + at, byte);
            }
            Some(Answer::void(call(side, api.early_init, &[], script)))
        }
        Op::Compose { vector, cpus } => {
            set_cpus(world.mask, cpus.unwrap_or_default());
            let mask = cpus.map_or(0, |_| world.mask as u64);
            // What is there before does not matter.
            set!(world.message, data, !0);
            let arguments = [word(vector), mask, world.message as u64];
            Some(Answer::void(call(
                side,
                api.compose,
                &arguments,
                script.anywhere(),
            )))
        }
        Op::Maskable { desc } => {
            let all = descs::all(side, world).ok()?;
            let found = all[desc.checked_rem(all.len())?];
            let arguments = [found.desc as u64];
            Some(Answer::int(call(side, api.is_maskable, &arguments, script)))
        }
        Op::Key => {
            let registered = call(side, api.register_key, &[], script);
            if registered.is_err() {
                return Some(Answer::int(registered));
            }
            let handler = side.env().unit.of::<Platform>().key_handler as usize;
            Some(Answer::void(call(
                side,
                handler,
                &[byte(b'M'.into())],
                script,
            )))
        }
        _ => functions::of_function(side, api, world, op, script),
    }
}
