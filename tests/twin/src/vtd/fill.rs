//! Tables that are nearly full.
//!
//! A full table takes C minutes to fill by its own means, for it looks for a free entry from the
//! beginning. But to C an entry is in use when it is not zero, so it is enough to write some. Rust
//! is asked for blocks.

use xen_sys as sys;

use super::api::{Api, call};
use super::world::World;
use crate::answer::Answer;
use crate::machine::table::{ENTRIES, Entry};
use crate::side::{Script, Side};
use crate::xen::{get, set};

/// What an entry in use holds that no sender has.
pub(super) const FILLER: Entry = [0x00ff_ee00_0055_0001, 0x0004_7777];
/// The most messages of a block.
const BLOCK: usize = 32;

/// Takes the first `count` entries of an unused table into use, and gives the `holes` back.
pub(super) fn fill(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    unit: usize,
    count: usize,
    holes: &[usize],
) -> Option<Answer> {
    let iommu = world.iommus[unit];
    let address = get!(iommu, intremap.maddr);
    if address == 0 || get!(iommu, intremap.num) != 0 {
        return None;
    }
    // The descriptor must be of a function whose requests are known.
    let device = (0..world.devices.len()).find(|number| {
        let spec = &world.spec.devices[*number];
        spec.unit == Some(unit) && spec.kind == sys::DEV_TYPE_PCIe_ENDPOINT
    })?;
    let count = count.min(ENTRIES);
    if api.keeps_use {
        let device = world.devices[device];
        let blocks = (0..count / BLOCK).map(|_| BLOCK);
        let singles = (0..count % BLOCK).map(|_| 1);
        for size in blocks.chain(singles) {
            take(side, api, world, device, size);
        }
    } else {
        set!(iommu, intremap.num, count as u32);
    }
    for index in 0..count {
        side.env().machine.vtd.table(address)?.plant(index, FILLER);
    }
    for hole in holes.iter().filter(|hole| **hole < count) {
        give_back(side, api, world, device, *hole);
    }
    world.set_message(0, 0, 0);
    // How that went on does not matter.
    side.env().trace.clear();
    Some(Answer::void(Ok(0)))
}

/// Takes a block of entries into use.
fn take(side: &mut Side, api: &Api, world: &World, device: *mut sys::pci_dev, size: usize) {
    let desc = world.filler;
    describe(desc, device, size, -1);
    world.set_message(0xfee0_0000, 0, 0);
    let arguments = [desc as u64, world.message as u64];
    // What failed leaves its traces in the count of entries.
    let _ = call(side, api.update, &arguments, Script::plain(0));
}

/// Gives one entry back.
fn give_back(side: &mut Side, api: &Api, world: &World, device: usize, index: usize) {
    let desc = world.filler;
    describe(desc, world.devices[device], 1, index as i32);
    let _ = call(side, api.update, &[desc as u64, 0], Script::plain(0));
}

fn describe(desc: *mut sys::msi_desc, device: *mut sys::pci_dev, count: usize, index: i32) {
    set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSI as u8);
    set!(desc, __bindgen_anon_1.msi.nvec, count as u32);
    set!(desc, dev, device);
    set!(desc, remap_index, index);
    set!(desc, pi_desc, std::ptr::null());
}
