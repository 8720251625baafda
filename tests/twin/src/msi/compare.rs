//! Compares what is kept at different addresses on the two sides, or by the devices.

use std::collections::HashMap;
use std::ffi::CStr;

use xen_sys as sys;

use super::descs::{self, Found};
use super::model::Model;
use super::platform::Platform;
use super::world::World;
use crate::side::Side;
use crate::xen::get;

/// What a descriptor says, as far as Xen sets it.
#[derive(Debug, PartialEq, Eq)]
struct Desc {
    kind: (u8, u8, u16),
    /// Whether it can be masked, has an upper address, and is masked by the host and the guest.
    flags: [bool; 4],
    /// The mask register, or where the entry is.
    place: u64,
    dev: u64,
    irq: i32,
    /// The entry of the remapping table.
    remapped: (i32, bool),
    posted: u64,
    /// The message, once there is one.
    message: Option<(u64, u32, u32)>,
}

/// Which descriptor it is: the function, the place in its list, and the message.
type Place = (usize, usize, usize);

/// What an interrupt's controller is.
#[derive(Debug, PartialEq, Eq)]
enum Controller {
    None,
    /// It is in the world, at this place.
    Ours(u64),
    /// Its name, and which functions it has.
    Theirs(String, [bool; 7]),
}

/// How many use each page of a table.
type Users = [i32; sys::XEN_IRQ_MSIX_TABLE_PAGES as usize];

/// All that is compared of one side.
#[derive(Debug, PartialEq, Eq)]
struct State {
    descs: Vec<Vec<Vec<Desc>>>,
    irqs: Vec<(Controller, Option<Place>)>,
    msix: Vec<Option<(bool, bool, u16, u8, Users)>>,
    remapped: i32,
}

pub(super) fn compare(
    model: Option<&Model>,
    (c, c_world): (&mut Side, &World),
    (rust, rust_world): (&mut Side, &World),
) -> Result<(), String> {
    let ours = state(c, c_world).map_err(|reason| format!("{reason} on side {}", c.name))?;
    let theirs =
        state(rust, rust_world).map_err(|reason| format!("{reason} on side {}", rust.name))?;
    if ours.descs != theirs.descs {
        let differing = ours.descs.iter().zip(&theirs.descs);
        let found = differing.enumerate().find(|(_, (a, b))| a != b);
        return Err(format!("the descriptors differ: {found:x?}"));
    }
    if ours.irqs != theirs.irqs {
        let mut differing = ours.irqs.iter().zip(&theirs.irqs).enumerate();
        let found = differing.find(|(_, (a, b))| a != b);
        return Err(format!("the interrupts differ: {found:x?}"));
    }
    if (&ours.msix, ours.remapped) != (&theirs.msix, theirs.remapped) {
        return Err(format!(
            "the flags of MSI-X differ: {:x?} and {:x?}",
            ours.msix, theirs.msix
        ));
    }
    let keeps_bits = model.is_some() && c_world.spec.lies == 0;
    let (ours, theirs) = (&mut c.env().machine.pci, &mut rust.env().machine.pci);
    let pairs = ours.functions.iter_mut().zip(&mut theirs.functions);
    for (number, (ours, theirs)) in pairs.enumerate() {
        if let Some(difference) = ours.difference(theirs) {
            return Err(format!("function {number} differs: {difference}"));
        }
        if keeps_bits && let Some(entry) = theirs.lost_bits() {
            return Err(format!(
                "function {number} lost bits of its own in vector control of entry {entry}"
            ));
        }
    }
    if ours.fixmap != theirs.fixmap {
        return Err(format!(
            "the fixmaps differ: {:x?} and {:x?}",
            ours.fixmap, theirs.fixmap
        ));
    }
    if ours.read_only != theirs.read_only {
        return Err(format!(
            "what dom0 may not write differs: {:x?} and {:x?}",
            ours.read_only, theirs.read_only
        ));
    }
    Ok(())
}

fn state(side: &mut Side, world: &World) -> Result<State, String> {
    let mut lists = Vec::new();
    let mut places = HashMap::new();
    for device in 0..world.devices.len() {
        let list = descs::of_device(side, world, device)?;
        for (number, found) in list.iter().enumerate() {
            for (message, desc) in found.messages().enumerate() {
                places.insert(desc as u64, (device, number, message));
            }
        }
        lists.push(list);
    }
    for (number, desc) in world.foreign.iter().enumerate() {
        places.insert(*desc as u64, (usize::MAX, number, 0));
    }
    let irqs = (0..world.spec.irqs).map(|irq| {
        let desc = world.irq(irq);
        let msi = get!(desc, msi_desc) as u64;
        let place = (msi != 0).then(|| places.get(&msi).copied().ok_or(irq));
        let place = place
            .transpose()
            .map_err(|irq| format!("interrupt {irq} has a descriptor that is in no list"))?;
        Ok((controller(side, get!(desc, handler)), place))
    });
    let irqs = irqs.collect::<Result<Vec<_>, String>>()?;
    let descs = lists.into_iter().map(|list| {
        let blocks = list.into_iter().map(|found| block(side, world, found));
        blocks.collect()
    });
    let descs = descs.collect();
    let msix = world.devices.iter().map(|pdev| {
        let msix = get!(*pdev, msix);
        (!msix.is_null()).then(|| {
            (
                get!(msix, host_maskall),
                get!(msix, guest_maskall),
                get!(msix, warned_domid),
                get!(msix, warned_kind.all),
                get!(msix, table_refcnt),
            )
        })
    });
    Ok(State {
        descs,
        irqs,
        msix: msix.collect(),
        remapped: side.env().unit.of::<Platform>().remapped,
    })
}

fn controller(side: &mut Side, handler: *const sys::hw_interrupt_type) -> Controller {
    if handler as u64 == side.env().unit.of::<Platform>().no_irq_type {
        return Controller::None;
    }
    let place = side.env().offset(handler);
    if place >> 63 == 0 {
        return Controller::Ours(place);
    }
    // SAFETY: what is not in the world is in the image, and so is the name.
    let name = unsafe { CStr::from_ptr((*handler).typename) };
    let functions = [
        get!(handler, startup).is_some(),
        get!(handler, shutdown).is_some(),
        get!(handler, enable).is_some(),
        get!(handler, disable).is_some(),
        get!(handler, ack).is_some(),
        get!(handler, end).is_some(),
        get!(handler, set_affinity).is_some(),
    ];
    Controller::Theirs(name.to_string_lossy().into_owned(), functions)
}

fn block(side: &mut Side, world: &World, found: Found) -> Vec<Desc> {
    let descs = found.messages().map(|desc| {
        let attributes = get!(desc, msi_attrib);
        let place = if found.is_msix() {
            get!(desc, __bindgen_anon_1.mask_base) as u64
        } else {
            let mpos = get!(desc, __bindgen_anon_1.msi.mpos);
            let count = get!(desc, __bindgen_anon_1.msi.nvec);
            u64::from(count) << 32 | if attributes.maskbit() { mpos.into() } else { 0 }
        };
        let irq = get!(desc, irq);
        let bound = usize::try_from(irq)
            .is_ok_and(|irq| irq < world.spec.irqs && get!(world.irq(irq), msi_desc) == desc);
        Desc {
            kind: (attributes.type_, attributes.pos, attributes.entry_nr),
            flags: [
                attributes.maskbit(),
                attributes.is_64(),
                attributes.host_masked(),
                attributes.guest_masked(),
            ],
            place,
            dev: side.env().offset(get!(desc, dev)),
            irq,
            remapped: (get!(desc, remap_index), get!(desc, irte_initialized)),
            posted: get!(desc, pi_desc) as u64,
            message: bound.then(|| {
                (
                    get!(desc, msg.__bindgen_anon_1.address),
                    get!(desc, msg.data),
                    get!(desc, msg.dest32),
                )
            }),
        }
    });
    descs.collect()
}
