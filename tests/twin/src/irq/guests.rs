//! What irq.c asks of domains, their pirqs and event channels.

use xen_sys as sys;

use super::guest::PIRQS;
use super::nested::state;
use super::spec::IRQS;
use crate::side::{fault, record, with};
use crate::trace::Event;
use crate::xen::{addr, get, set};

/// The index of `IRQ_MSI_EMU`, as it is extended.
const OF_MESSAGES: u64 = (-3i64).cast_unsigned();

/// The slots of a radix tree.
fn slots_of(root: u64) -> *mut u64 {
    let slots = state(|state| {
        state.guests.iter().find_map(|guest| {
            let domain = guest.domain as *mut sys::domain;
            let roots = [
                (addr!(domain, pirq_tree) as u64, guest.pirq_tree),
                (addr!(domain, arch.irq_pirq) as u64, guest.irq_tree),
                (
                    addr!(domain, arch.__bindgen_anon_1.hvm.emuirq_pirq) as u64,
                    guest.emulated_tree,
                ),
            ];
            roots
                .into_iter()
                .find_map(|(known, slots)| (known == root).then_some(slots))
        })
    });
    match slots {
        Some(slots) => slots as *mut u64,
        None => fault("a radix tree that is none of a domain".to_owned()),
    }
}

fn slot_of(root: u64, index: u64) -> *mut u64 {
    let slots = slots_of(root);
    let is_emulated = state(|state| {
        let mut guests = state.guests.iter();
        guests.any(|guest| guest.is_hvm && guest.emulated_tree == slots as u64)
    });
    let index = if is_emulated && index == OF_MESSAGES {
        IRQS as u64
    } else if index as usize >= IRQS {
        fault(format!("index {index:#x} of a radix tree"));
    } else {
        index
    };
    slots.wrapping_add(index as usize)
}

pub(super) extern "C" fn radix_tree_insert(root: u64, index: u64, item: u64) -> i32 {
    let slot = slot_of(root, index);
    // SAFETY: a slot of the world.
    if unsafe { slot.read() } != 0 {
        return -libc::EEXIST;
    }
    let error = -with(|env| env.script.outcome());
    if error == 0 {
        // SAFETY: as above.
        unsafe { slot.write(item) };
    }
    error
}

pub(super) extern "C" fn pirq_get_info(domain: u64, number: i32) -> u64 {
    let root = addr!(domain as *mut sys::domain, pirq_tree) as u64;
    let found = radix_tree_lookup(root, number as u64);
    if found != 0 {
        return found;
    }
    let (me, allocate) =
        super::platform::with(|platform| (platform.me, platform.delivery.functions.allocate_pirq));
    let new = super::nested::call(me, allocate, [domain], false);
    if new == 0 {
        return 0;
    }
    set!(new as *mut sys::pirq, pirq, number);
    if radix_tree_insert(root, number as u64, new) != 0 {
        crate::side::attempt(|env| env.heap.free(new, true));
        return 0;
    }
    new
}

pub(super) extern "C" fn pt_pirq_init() {}

pub(super) extern "C" fn radix_tree_lookup(root: u64, index: u64) -> u64 {
    // C looks behind the last pirq of a block, too.
    if index == PIRQS as u64 {
        return 0;
    }
    // SAFETY: a slot of the world.
    unsafe { slot_of(root, index).read() }
}

pub(super) extern "C" fn radix_tree_lookup_slot(root: u64, index: u64) -> u64 {
    let slot = slot_of(root, index);
    // SAFETY: as above.
    if unsafe { slot.read() } == 0 {
        0
    } else {
        slot as u64
    }
}

pub(super) extern "C" fn radix_tree_delete(root: u64, index: u64) -> u64 {
    // SAFETY: as above.
    unsafe { slot_of(root, index).replace(0) }
}

pub(super) extern "C" fn radix_tree_gang_lookup(
    root: u64,
    results: *mut u64,
    first: u64,
    most: u32,
) -> u32 {
    let slots = slots_of(root);
    let mut found = 0;
    for index in first as usize..IRQS {
        // SAFETY: as above; the array takes as many results as are asked for.
        unsafe {
            let item = slots.wrapping_add(index).read();
            if item != 0 && found < most {
                results.add(found as usize).write(item);
                found += 1;
            }
        }
    }
    found
}

/// The number of a domain.
fn number_of(domain: u64) -> usize {
    let number = state(|state| state.guests.iter().position(|guest| guest.domain == domain));
    match number {
        Some(number) => number,
        None => fault("a domain that is none of the world".to_owned()),
    }
}

/// What a guest is told of: the domain and the pirq.
fn told(domain: u64, pirq: *const sys::pirq) -> [u64; 6] {
    let domain = number_of(domain);
    if !with(|env| env.heap.holds(pirq as u64)) {
        fault("a guest is told of a pirq that was freed".to_owned());
    }
    let masked = u64::from(get!(pirq, masked));
    [domain as u64, get!(pirq, pirq) as u64, masked, 0, 0, 0]
}

pub(super) extern "C" fn send_guest_pirq(domain: u64, pirq: *const sys::pirq) {
    record(Event::Call("send_guest_pirq", told(domain, pirq)));
}

pub(super) extern "C" fn hvm_do_irq_dpci(domain: u64, pirq: *const sys::pirq) -> i32 {
    record(Event::Call("hvm_do_IRQ_dpci", told(domain, pirq)));
    let number = number_of(domain);
    let guest = state(|state| state.guests[number].clone());
    if !guest.is_hvm {
        fault("a PV domain's pirq has no part for HVM domains".to_owned());
    }
    guest.takes_dpci.into()
}

pub(super) extern "C" fn free_pirq_struct(pirq: u64) {
    record(Event::Call("free_pirq_struct", [0; 6]));
    // Readers may have it until a grace period has passed: no call of the world lasts so long.
    crate::side::attempt(|env| env.heap.free(pirq, true));
}

pub(super) extern "C" fn pt_pirq_cleanup_check() -> u64 {
    crate::services::garble(true)
}

/// Whether a guest masks a channel.
pub(super) extern "C" fn is_masked(domain: u64, channel: u64) -> u64 {
    let number = number_of(domain);
    let masked = state(|state| {
        let guest = &state.guests[number];
        let at = (channel - guest.channels) as usize / size_of::<sys::evtchn>();
        guest.pirqs[at].is_masked
    });
    crate::services::garble(masked)
}

pub(super) extern "C" fn is_pending() -> u64 {
    crate::services::garble(false)
}
