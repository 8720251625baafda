//! Calls of `pci_enable_msi()`.

use std::num::NonZero;

use xen_sys as sys;

use super::api::Api;
use super::call::{call, choose};
use super::descs::is_free;
use super::op::{Base, Wish};
use super::platform::Platform;
use super::world::World;
use super::{descs, onlooker, undo};
use crate::answer::Answer;
use crate::side::{Script, Side};
use crate::trace::{Entry, Event};
use crate::trap::Trap;
use crate::xen::{get, set};

/// Whether the entry that was set up lies in two pages.
fn crosses_page(world: &World) -> bool {
    // SAFETY: the place lies in the arena.
    let desc = unsafe { world.out.read() };
    let is_msix = !desc.is_null() && get!(desc, msi_attrib.type_) == sys::PCI_CAP_ID_MSIX as u8;
    is_msix && get!(desc, __bindgen_anon_1.mask_base) as usize % 0x1000 > 0x1000 - 16
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
    // Nor is it that of another function's message: a caller frees what names that at once, and a
    // step that unmaps what it left would unmap the other's.
    let is_message = !get!(world.irq(any), msi_desc).is_null();
    match is_message || is_free(side, world.irq(any)) {
        true => descs::free_irq(side, world, any),
        false => Some(any),
    }
}

/// Asks Rust for an MSI with no messages: it is refused, and the function is left alone. (C's
/// callers name a number of their own here, which nothing checks.)
fn refuses_none(
    side: &mut Side,
    api: &Api,
    world: &World,
    (device, irq, wish): (usize, usize, Wish),
) -> Result<(), Trap> {
    let wish = Wish { count: 0, ..wish };
    let arguments = enable_arguments(world, (device, irq, wish));
    let outcome = call(side, api.enable, &arguments, Script::plain(0))?;
    let is_write = |entry: &Entry| match entry.event {
        Event::Call(name, _) => name.starts_with("pci_conf_write"),
        _ => false,
    };
    let writes = side.env().trace.iter().any(is_write);
    side.env().trace.clear();
    if outcome as i32 >= 0 || writes {
        return Err(Trap::Fault("an MSI with no messages is set up".to_owned()));
    }
    Ok(())
}

/// Calls `pci_enable_msi()`.
pub(super) fn enable(
    side: &mut Side,
    api: &Api,
    world: &World,
    (device, irq, wish): (usize, usize, Wish),
    script: Script,
) -> Answer {
    if api.sees_all_writes()
        && !wish.msix
        && world.spec.lies == 0
        && script.salt.is_multiple_of(4)
        && let Err(trap) = refuses_none(side, api, world, (device, irq, wish))
    {
        return Answer::void(Err(trap));
    }
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
