//! Compares what lies outside the arenas.

use super::messages::index_of;
use super::perform::options;
use super::platform::Platform;
use super::world::{FILLERS, World, own};
use crate::side::Side;
use crate::xen::get;

/// The IRQs of all descriptors.
fn irqs(world: &World) -> Vec<i32> {
    let senders = world.senders.iter();
    let descs = senders.flat_map(|sender| (0..sender.count).map(|n| sender.descs.wrapping_add(n)));
    let fillers = (0..FILLERS).map(|number| world.filler.wrapping_add(number));
    descs.chain(fillers).map(|desc| get!(desc, irq)).collect()
}

/// Finds a difference.
pub(super) fn compare(
    (c, c_world): (&mut Side, &World),
    (rust, rust_world): (&mut Side, &World),
) -> Result<(), String> {
    for (number, (c, rust)) in c_world.senders.iter().zip(&rust_world.senders).enumerate() {
        for of_block in 0..c.count {
            let [ours, theirs] = [c, rust].map(|side| index_of(side.descs.wrapping_add(of_block)));
            if ours != theirs {
                return Err(format!(
                    "message {of_block} of sender {number} has entry {ours:#x}, and {theirs:#x}"
                ));
            }
        }
    }
    // The word that a descriptor's entry lies in also has its IRQ, which neither side changes.
    let [ours, theirs] = [c_world, rust_world].map(irqs);
    if ours != theirs {
        return Err(format!(
            "the IRQs of descriptors differ: {ours:?} and {theirs:?}"
        ));
    }
    if options(c) != options(rust) {
        return Err("what Xen knows of its options differs".to_owned());
    }
    let [ours, theirs] = [&mut *c, &mut *rust].map(|side| {
        let table: u64 = own(side, "shared_intremap_table");
        let listed: u32 = own(side, "nr_ioapic_sbdf");
        let in_use: u64 = own(side, "shared_intremap_inuse");
        let env = side.env();
        let table = env.arena.offset(table);
        (
            table,
            listed,
            in_use != 0,
            env.unit.of::<Platform>().blocks(),
        )
    });
    if ours != theirs {
        return Err(format!(
            "the shared table, the IO-APICs, or the pages differ: {ours:x?} and {theirs:x?}"
        ));
    }
    let [c, rust] = [c, rust].map(|side| side.env().machine.io_apics.all());
    for (number, (c, rust)) in c.iter().zip(rust).enumerate() {
        for (pin, (c, rust)) in c.pins.iter().zip(&rust.pins).enumerate() {
            if c != rust {
                return Err(format!(
                    "pin {pin} of IO-APIC {number} differs: {c:#x} and {rust:#x}"
                ));
            }
        }
    }
    Ok(())
}
