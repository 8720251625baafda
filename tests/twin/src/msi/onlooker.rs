//! A reader on another CPU that holds no lock and looks between any two instructions of a call.
//!
//! On x86 another CPU sees stores in the order in which they are made, so that what memory holds
//! between two instructions is what some reader in an RCU section may find:
//!
//! - A descriptor that is found in a function's list is written: what it is of, and its IRQ, stay
//!   as they are for as long as the call lasts.
//! - From each descriptor that was ever found the list leads on to its end, whether the descriptor
//!   is still in it or was taken out.

use std::mem::offset_of;

use xen_sys as sys;

use super::platform::{Platform, Seen};
use super::world::World;
use crate::side::{Env, Side};
use crate::xen::{addr, get};

/// Calls that are looked at: one of so many.
const RATE: u64 = 512;
/// More descriptors than a list has.
const MOST: usize = 4096;

impl Seen {
    fn of(head: *const sys::list_head, desc: *const sys::msi_desc) -> Self {
        let attributes = get!(desc, msi_attrib);
        Self {
            head: head as u64,
            dev: get!(desc, dev) as u64,
            irq: get!(desc, irq),
            kind: (attributes.type_, attributes.pos, attributes.entry_nr),
            place: get!(desc, __bindgen_anon_1.mask_base) as u64,
        }
    }
}

/// Has a reader look at the next call, if it is one of those that are looked at.
pub(super) fn look_at_call(side: &mut Side, world: &World, salt: u64) {
    // With C a reader takes the lock of the list.
    if !world.is_read_without_lock(side) || !salt.is_multiple_of(RATE) {
        return;
    }
    let env = side.env();
    env.unit.of_mut::<Platform>().found.clear();
    env.onlooker = Some(look);
}

/// Looks at all lists.
fn look(env: &mut Env) -> Result<(), String> {
    for device in 0..env.unit.of::<Platform>().devices.len() {
        let device = env.unit.of::<Platform>().devices[device] as *mut sys::pci_dev;
        let head = addr!(device, msi_list);
        walk(env, head, head)?;
    }
    // Those that were taken out are in no list.
    let found: Vec<_> = env
        .unit
        .of::<Platform>()
        .found
        .iter()
        .map(|(at, seen)| (*at, *seen))
        .collect();
    for (at, seen) in found {
        if Seen::of(seen.head as *const _, container(at as *const _)) != seen {
            return Err("a descriptor changed that a reader had found".to_owned());
        }
        walk(env, seen.head as *const _, at as *const _)?;
    }
    Ok(())
}

/// Goes from a node, or the head, to the end of a list; notes what is found for the first time.
fn walk(
    env: &mut Env,
    head: *const sys::list_head,
    from: *const sys::list_head,
) -> Result<(), String> {
    let mut at: *const sys::list_head = get!(from, next);
    for _ in 0..MOST {
        if at == head {
            return Ok(());
        }
        let desc = container(at);
        if !env.heap.holds(desc as u64) {
            return Err("a reader is led to what is no descriptor".to_owned());
        }
        env.unit
            .of_mut::<Platform>()
            .found
            .entry(at as u64)
            .or_insert_with(|| Seen::of(head, desc));
        at = get!(at, next);
    }
    Err("a reader does not find the end of a list".to_owned())
}

/// The descriptor that a node is in.
fn container(node: *const sys::list_head) -> *const sys::msi_desc {
    node.wrapping_byte_sub(offset_of!(sys::msi_desc, list))
        .cast()
}
