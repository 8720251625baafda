//! The descriptors of a world's functions, as the lists of Xen have them.

use std::mem::offset_of;

use xen_sys as sys;

use super::platform::{Meanwhile, Platform};
use super::world::World;
use crate::side::Side;
use crate::xen::{addr, get};

/// A descriptor, or the first of a block.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) desc: *mut sys::msi_desc,
}

impl Found {
    /// How many messages it has.
    pub(super) fn count(self) -> usize {
        if self.is_msix() {
            1
        } else {
            get!(self.desc, __bindgen_anon_1.msi.nvec) as usize
        }
    }

    /// Whether it is of MSI-X.
    pub(super) fn is_msix(self) -> bool {
        get!(self.desc, msi_attrib.type_) == sys::PCI_CAP_ID_MSIX as u8
    }

    /// One of its messages.
    pub(super) fn message(self, number: usize) -> *mut sys::msi_desc {
        self.desc.wrapping_add(number)
    }

    /// All of them.
    pub(super) fn messages(self) -> impl Iterator<Item = *mut sys::msi_desc> {
        (0..self.count()).map(move |number| self.message(number))
    }
}

/// The descriptors of one function.
pub(super) fn of_device(
    side: &mut Side,
    world: &World,
    device: usize,
) -> Result<Vec<Found>, String> {
    let head = addr!(world.devices[device], msi_list);
    let mut found = Vec::new();
    let (mut before, mut at) = (head, get!(head, next));
    while at != head {
        let desc = (at as usize).wrapping_sub(offset_of!(sys::msi_desc, list));
        if !side.env().heap.holds(desc as u64) {
            return Err(format!(
                "the list of function {device} leads to what is no descriptor"
            ));
        }
        if get!(at, prev) != before {
            return Err(format!("the list of function {device} does not lead back"));
        }
        found.push(Found {
            desc: desc as *mut _,
        });
        (before, at) = (at, get!(at, next));
    }
    Ok(found)
}

/// All descriptors, by function.
pub(super) fn all(side: &mut Side, world: &World) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    for device in 0..world.devices.len() {
        found.append(&mut of_device(side, world, device)?);
    }
    Ok(found)
}

/// An interrupt that nobody uses, from a number on.
pub(super) fn free_irq(side: &mut Side, world: &World, from: usize) -> Option<usize> {
    let mut used = vec![false; world.spec.irqs];
    for desc in all(side, world)
        .ok()?
        .iter()
        .flat_map(|found| found.messages())
    {
        if let Some(used) = used.get_mut(get!(desc, irq) as usize) {
            *used = true;
        }
    }
    let none = side.env().unit.of::<Platform>().no_irq_type;
    // Interrupt 0 is the timer's; the last are those of what is no function.
    let numbers = 1..world.spec.irqs - world.foreign.len();
    let first = from % numbers.len();
    numbers
        .clone()
        .cycle()
        .skip(first)
        .take(numbers.len())
        .find(|number| {
            let desc = world.irq(*number);
            get!(desc, handler) as u64 == none && get!(desc, msi_desc).is_null() && !used[*number]
        })
}

/// Whether an interrupt has neither a handler nor an MSI.
pub(super) fn is_free(side: &mut Side, desc: *mut sys::irq_desc) -> bool {
    get!(desc, handler) as u64 == side.env().unit.of::<Platform>().no_irq_type
        && get!(desc, msi_desc).is_null()
}

/// An interrupt of a function whose descriptor fits, by a number.
pub(super) fn choose_irq(
    world: &World,
    number: usize,
    fits: impl Fn(*const sys::msi_desc) -> bool,
) -> Option<*mut sys::irq_desc> {
    let irqs = (0..world.spec.irqs).map(|irq| world.irq(irq));
    let is_one = |desc: &*mut sys::irq_desc| {
        let msi = get!(*desc, msi_desc);
        !msi.is_null() && !get!(msi, dev).is_null() && fits(msi)
    };
    let irqs: Vec<_> = irqs.filter(is_one).collect();
    Some(irqs[number.checked_rem(irqs.len())?])
}

/// The interrupt that another CPU meets in a call, by a number.
pub(super) fn raced(world: &World, number: usize, act: Meanwhile) -> Option<*mut sys::irq_desc> {
    choose_irq(world, number, |msi| match act {
        Meanwhile::StopMemory | Meanwhile::Reset => is_entry(msi),
        Meanwhile::LoseMessage => !is_entry(msi),
        Meanwhile::ChangeReserved => !is_entry(msi) && get!(msi, msi_attrib).maskbit(),
    })
}

/// Whether a descriptor is of MSI-X.
pub(super) fn is_entry(desc: *const sys::msi_desc) -> bool {
    get!(desc, msi_attrib.type_) == sys::PCI_CAP_ID_MSIX as u8
}

/// The function that a descriptor is of.
pub(super) fn device_of(world: &World, desc: *const sys::msi_desc) -> Option<usize> {
    let pdev = get!(desc, dev);
    world.devices.iter().position(|other| *other == pdev)
}
