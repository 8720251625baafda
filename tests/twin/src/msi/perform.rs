//! Carries out one step on one side.

use std::num::NonZero;

use xen_sys as sys;

use super::api::Api;
use super::controls::set_cpus;
use super::op::{Base, Op, Wish};
use super::platform::Platform;
use super::world::{World, set_option};
use super::{change, descs, functions, guard, irqs, map, onlooker, registers, undo};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::cpu::Trap;
use crate::side::{Outcome, Script, Side};
use crate::vtd::world::set_element;
use crate::xen::{get, set};

/// Where the FADT has its boot flags, and the one that says that there are no MSIs.
const BOOT_FLAGS: usize = 0x6d;
const NO_MSI: u16 = 1 << 3;

/// Calls a function. Where BUG() or an access stands is a side's own business.
pub(super) fn call(side: &mut Side, function: usize, arguments: &[u64], script: Script) -> Outcome {
    guard::begin(side.env());
    let outcome = side.call(function, arguments, script);
    let guarded = guard::end(side.env());
    let outcome = outcome.and_then(|value| guarded.map(|()| value).map_err(Trap::Fault));
    outcome.map_err(|trap| match trap {
        Trap::Bug(_) => Trap::Bug(String::new()),
        Trap::Fault(reason) => {
            let what = reason.split_once(" at ").map(|(what, _)| what.to_owned());
            Trap::Fault(what.unwrap_or(reason))
        }
    })
}

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
    let answer = registers::note_blind_reads(side, world, op, answer);
    world.is_full = side.env().machine.pci.fixmap.len() >= sys::FIX_MSIX_MAX_PAGES as usize;
    world.no_target = side.env().unit.of::<Platform>().no_target;
    world.not_protected = side.env().unit.of::<Platform>().not_protected;
    world.crossed =
        matches!(answer.outcome, Err(Trap::Fault(_))) || side.env().unit.of::<Platform>().crossed;
    let answer = registers::settle(side, world, answer);
    let answer = registers::settle_entries(side, world, api, (op, answer));
    let answer = registers::check_mask_all(side, world, api, &masked, (op, answer));
    world.look(op, &answer);
    Some(answer)
}

/// Whether a step sets up the first entry of a function that does not answer.
fn is_unanswered(side: &mut Side, world: &World, op: &Op) -> bool {
    let device = match *op {
        Op::Map(wish) | Op::Enable(wish) if wish.msix => choose(world, wish.device),
        Op::Prepare { device, off: false } => choose(world, device),
        _ => return false,
    };
    world.unused[device] && side.env().machine.pci.functions[device].gone
}

/// Whether the entry that was set up lies in two pages.
fn crosses_page(world: &World) -> bool {
    // SAFETY: the place lies in the arena.
    let desc = unsafe { world.out.read() };
    let is_msix = !desc.is_null() && get!(desc, msi_attrib.type_) == sys::PCI_CAP_ID_MSIX as u8;
    is_msix && get!(desc, __bindgen_anon_1.mask_base) as usize % 0x1000 > 0x1000 - 16
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

/// A function of the world by its number.
pub(super) fn choose(world: &World, device: usize) -> usize {
    device % world.devices.len()
}

/// The interrupt that a wish is to have.
pub(super) fn irq_for(side: &mut Side, world: &World, wish: Wish) -> Option<usize> {
    if !wish.taken {
        return descs::free_irq(side, world, wish.irq);
    }
    let own = descs::of_device(side, world, choose(world, wish.device)).ok()?;
    let own = own.iter().filter(|found| found.is_msix() == wish.msix);
    let own = own.map(|found| get!(found.desc, irq));
    let own: Vec<_> = own.filter_map(|irq| usize::try_from(irq).ok()).collect();
    if let Some(count) = NonZero::new(own.len()) {
        return Some(own[wish.irq % count]);
    }
    // One that is free here may be named by an MSI of another function, which is not set up yet.
    let any = 1 + wish.irq % (world.spec.irqs - 1);
    match irqs::is_free(side, world.irq(any)) {
        true => descs::free_irq(side, world, any),
        false => Some(any),
    }
}

/// Calls `pci_enable_msi()`.
pub(super) fn enable(
    side: &mut Side,
    api: &Api,
    world: &World,
    (device, irq, wish): (usize, usize, Wish),
    script: Script,
) -> Answer {
    let arguments = enable_arguments(world, (device, irq, wish));
    let place = (device, wish.msix);
    onlooker::look_at_call(side, world, script.salt);
    let answer = undo::set_up(side, world, place, (api.enable, &arguments), script);
    side.env().unit.of_mut::<Platform>().crossed |= crosses_page(world);
    answer
}

/// What `pci_enable_msi()` is called with.
pub(super) fn enable_arguments(
    world: &World,
    (device, irq, wish): (usize, usize, Wish),
) -> [u64; 3] {
    let pdev = world.devices[device];
    set!(world.info, sbdf.sbdf, world.spec.devices[device].sbdf);
    set!(world.info, irq, irq as i32);
    let (number, base) = if wish.msix {
        let entries = world.spec.devices[device]
            .msix
            .map_or(1, |msix| msix.entries);
        // Seldom one that there is not.
        let entry = wish.entry % (entries as usize + usize::from(wish.entry % 64 == 1));
        let bir = world.spec.devices[device]
            .msix
            .map_or(0, |msix| msix.table.0);
        let base = world.spec.bar(device, bir).unwrap_or(0x7700_0000);
        let base = match wish.base {
            Base::Right => base,
            Base::Off(pages) => base + (pages << 12),
        };
        (entry, base)
    } else {
        (wish.count, 0)
    };
    set!(world.info, entry_nr, number as i32);
    set!(world.info, table_base, base);
    [pdev as u64, world.info as u64, world.out as u64]
}
