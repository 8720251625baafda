//! Compares what names entries, the tables, and what lies outside the arenas.

use super::indices::{C, RUST};
use super::model::Model;
use super::perform::options;
use super::world::World;
use crate::machine::table::Table;
use crate::machine::vtd::TABLE_POINTER;
use crate::side::Side;
use crate::xen::get;

/// Finds a difference. Without a model nothing may differ.
pub(super) fn compare(
    model: Option<&Model>,
    (c, c_world): (&mut Side, &World),
    (rust, rust_world): (&mut Side, &World),
) -> Result<(), String> {
    if options(c) != options(rust) {
        return Err("what Xen knows of its options differs".to_owned());
    }
    // C has the address of the table taken over again with each command, and where hardware does
    // not answer, the status does not say that it was: see `super::model`, rule 8.
    let registers = |side: &mut Side| {
        let mut registers = side.env().machine.vtd.registers.clone();
        for registers in &mut registers {
            registers.clear_status(TABLE_POINTER);
        }
        registers
    };
    if registers(c) != registers(rust) {
        return Err("the registers of an IOMMU differ".to_owned());
    }
    compare_pins(model, c, rust)?;
    for unit in 0..c_world.iommus.len() {
        compare_tables(model, unit, (c, c_world), (rust, rust_world))?;
    }
    for (number, (c, rust)) in c_world.senders.iter().zip(&rust_world.senders).enumerate() {
        for of_block in 0..c.count {
            let [c_desc, rust_desc] = [c, rust].map(|side| side.descs.wrapping_add(of_block));
            let same = match (get!(c_desc, remap_index), get!(rust_desc, remap_index)) {
                (-1, -1) => true,
                (ours, theirs) => {
                    ours >= 0 && stands_for(model, c.unit, ours as usize) == Some(theirs as usize)
                }
            };
            if !same || get!(c_desc, irq) != get!(rust_desc, irq) {
                return Err(format!(
                    "message {of_block} of sender {number} has another entry"
                ));
            }
        }
    }
    compare_messages(model, c_world, rust_world)
}

/// The entry of Rust that stands for one of C; the same without a model.
fn stands_for(model: Option<&Model>, unit: Option<usize>, index: usize) -> Option<usize> {
    match model {
        Some(model) => model.tables[unit?].other(C, index),
        None => Some(index),
    }
}

fn compare_pins(model: Option<&Model>, c: &mut Side, rust: &mut Side) -> Result<(), String> {
    let sides = [c, rust].map(|side| side.env().machine.io_apics.all());
    for (number, (c, rust)) in sides[C].iter().zip(sides[RUST]).enumerate() {
        for (pin, (c, rust)) in c.pins.iter().zip(&rust.pins).enumerate() {
            let expected = match model {
                Some(model) => model.pin_as_in_rust(number, *c),
                None => Some(*c),
            };
            if expected != Some(*rust) {
                return Err(format!(
                    "pin {pin} of IO-APIC {number} differs: {c:#x} and {rust:#x}"
                ));
            }
        }
    }
    Ok(())
}

fn compare_tables(
    model: Option<&Model>,
    unit: usize,
    (c, c_world): (&mut Side, &World),
    (rust, rust_world): (&mut Side, &World),
) -> Result<(), String> {
    let sides = [(c, c_world), (rust, rust_world)].map(|(side, world)| {
        let address = get!(world.iommus[unit], intremap.maddr);
        side.env().machine.vtd.table(address)
    });
    let [Some(c), Some(rust)] = sides else {
        return Ok(());
    };
    let read = |table: &mut Table, is_c: bool, index| {
        let (entry, seen) = table.entry(index);
        let entry = match model {
            Some(model) if is_c => model.entry_as_in_rust(entry),
            _ => entry,
        };
        (entry, seen)
    };
    // Each side's entries must be those of the other, so that neither has one more.
    for side in [C, RUST] {
        let (ours, theirs) = if side == C {
            (&mut *c, &mut *rust)
        } else {
            (&mut *rust, &mut *c)
        };
        for page in ours.pages() {
            let alike = model.is_none_or(|model| model.tables[unit].is_filled(page));
            if alike && ours.is_same_page(theirs, page) {
                continue;
            }
            for index in Table::entries(page) {
                let entry = read(ours, side == C, index);
                // Should the other side have one there, this is found when it is its turn.
                if entry == ([0; 2], true) {
                    continue;
                }
                let other = match model {
                    Some(model) => model.tables[unit].other(side, index),
                    None => Some(index),
                };
                let expected = other.map_or(([0; 2], true), |other| read(theirs, side != C, other));
                if entry != expected {
                    return Err(format!(
                        "entry {index:#x} of IOMMU {unit} on side {side}: {entry:x?}, on the other {expected:x?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn compare_messages(model: Option<&Model>, c: &World, rust: &World) -> Result<(), String> {
    let read = |world: &World| {
        let message = world.message;
        let address = get!(message, __bindgen_anon_1.address);
        (address, get!(message, data), get!(message, dest32))
    };
    let (ours, theirs) = (read(c), read(rust));
    if ours == theirs {
        return Ok(());
    }
    let handle = |address: u64| (address >> 5 & 0x7fff | (address >> 2 & 1) << 15) as usize;
    let remappable = |address: u64| address >> 4 & 1 != 0;
    let rest = |address: u64| address & !0x000f_ffe4;
    let same = remappable(ours.0)
        && rest(ours.0) == rest(theirs.0)
        && (ours.1, ours.2) == (theirs.1, theirs.2)
        && model.is_some()
        && stands_for(model, c.addressee, handle(ours.0)) == Some(handle(theirs.0));
    if same {
        Ok(())
    } else {
        Err(format!("the messages differ: {ours:x?} and {theirs:x?}"))
    }
}
