//! Undoes what a call did for a sender that Rust refuses.
//!
//! Where nobody can say which requests are a function's, C makes an entry that every device may
//! use, and Rust none. So that the case can go on, both sides are put back to where they were, and
//! the answer says whether there was anything to undo.

use xen_sys as sys;

use super::world::World;
use crate::machine::table::{Entry, Table};
use crate::side::Side;
use crate::xen::{get, set};

/// What a call for one sender may change.
pub(super) struct Snapshot {
    sender: usize,
    unit: usize,
    descs: Vec<sys::msi_desc>,
    message: sys::msi_msg,
    used: u32,
    entries: Vec<(usize, Entry)>,
}

/// All entries of an IOMMU's table that are not zero.
fn entries(side: &mut Side, world: &World, unit: usize) -> Vec<(usize, Entry)> {
    let address = get!(world.iommus[unit], intremap.maddr);
    let Some(table) = side.env().machine.vtd.table(address) else {
        return Vec::new();
    };
    table
        .pages()
        .into_iter()
        .flat_map(Table::entries)
        .map(|index| (index, table.entry(index).0))
        .filter(|(_, entry)| *entry != [0; 2])
        .collect()
}

fn read<T: Copy>(place: *const T) -> T {
    // SAFETY: The place lies in the arena, and any bytes are a value of the plain structures that
    // are read.
    unsafe { place.read() }
}

fn write<T: Copy>(place: *mut T, value: T) {
    // SAFETY: The place lies in the arena, and no call runs.
    unsafe { place.write(value) };
}

/// The bytes of a structure.
fn bytes<T>(value: &T) -> &[u8] {
    // SAFETY: The structures are made of plain words that were copied from initialised memory.
    unsafe { std::slice::from_raw_parts((value as *const T).cast(), size_of::<T>()) }
}

impl Snapshot {
    /// Notes the state before a call.
    pub(super) fn of(side: &mut Side, world: &World, sender: usize, unit: usize) -> Self {
        let own = &world.senders[sender];
        let descs = (0..own.count).map(|number| read(own.descs.wrapping_add(number)));
        Self {
            sender,
            unit,
            descs: descs.collect(),
            message: read(world.message),
            used: get!(world.iommus[unit], intremap.num),
            entries: entries(side, world, unit),
        }
    }

    /// Puts the state back; returns whether it was another.
    pub(super) fn restore(self, side: &mut Side, world: &World) -> bool {
        let now = Self::of(side, world, self.sender, self.unit);
        let same = |(a, b): (&sys::msi_desc, &sys::msi_desc)| bytes(a) == bytes(b);
        let changed = !self.descs.iter().zip(&now.descs).all(same)
            || bytes(&self.message) != bytes(&now.message)
            || self.used != now.used
            || self.entries != now.entries;
        let own = &world.senders[self.sender];
        for (number, desc) in self.descs.iter().enumerate() {
            write(own.descs.wrapping_add(number), *desc);
        }
        write(world.message, self.message);
        set!(world.iommus[self.unit], intremap.num, self.used);
        let address = get!(world.iommus[self.unit], intremap.maddr);
        if let Some(table) = side.env().machine.vtd.table(address) {
            now.entries
                .iter()
                .for_each(|(index, _)| table.plant(*index, [0; 2]));
            self.entries
                .iter()
                .for_each(|(index, entry)| table.plant(*index, *entry));
        }
        changed
    }
}
