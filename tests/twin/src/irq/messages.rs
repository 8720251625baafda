//! Functions of devices, and their messages that are mapped to pirqs (`msi.c`).

use xen_sys as sys;

use super::nested::{self, is_locked, state};
use super::platform::{self, apic_id, set_at};
use super::spec::{DEVICES, has};
use crate::side::{fault, record, with};
use crate::trace::Event;
use crate::xen::{get, set};

/// The messages of a function's MSI capability, and the entries of its MSI-X table.
pub(super) const MESSAGES: usize = 32;
pub(super) const ENTRIES: usize = 4;
/// The descriptors of both.
pub(super) const DESCS: usize = MESSAGES + ENTRIES;
/// How many messages a function can send.
const MOST: i32 = 8;
/// `PCI_CAP_ID_MSI` and `PCI_CAP_ID_MSIX`.
const MSI: u8 = 5;
const MSIX: u8 = 17;
const HANDLER_MASKABLE: usize = 0;
const HANDLER_UNMASKABLE: usize = 3;

/// The place of a descriptor among those of all functions.
pub(super) fn place_of(message: u64) -> Option<usize> {
    let first = state(|state| state.blocks);
    let place = (message as usize).checked_sub(first)? / size_of::<sys::msi_desc>();
    (first != 0 && place < DEVICES * DESCS).then_some(place)
}

fn desc_at(place: usize) -> *mut sys::msi_desc {
    (state(|state| state.blocks) as *mut sys::msi_desc).wrapping_add(place)
}

/// 0, or the negative errno of a call that shall fail.
fn failure() -> i32 {
    -with(|env| env.script.outcome())
}

fn told(name: &'static str, message: u64, value: i32) {
    let place = place_of(message).map_or(u64::MAX, |place| place as u64);
    record(Event::Call(name, [place, value as u64, 0, 0, 0, 0]));
}

/// The functions of the first domains are theirs, one each.
pub(super) extern "C" fn pci_get_pdev(domain: u64, address: u32) -> u64 {
    state(|state| {
        let device = *state.devices.get(address as usize)?;
        (get!(device as *const sys::pci_dev, domain) as u64 == domain).then_some(device)
    })
    .unwrap_or(0)
}

pub(super) extern "C" fn pci_enable_msi(
    device: u64,
    request: *mut sys::msi_info,
    result: *mut u64,
) -> i32 {
    let number = state(|state| state.devices.iter().position(|it| *it == device));
    let Some(number) = number else {
        fault("a function that is none of the world".to_owned());
    };
    let (messages, irq) = (get!(request, entry_nr), get!(request, irq));
    let told = [number as u64, messages as u64, irq as u64, 0, 0, 0];
    record(Event::Call("pci_enable_msi", told));
    let error = failure();
    if error != 0 {
        return error;
    }
    let is_entry = get!(request, table_base) != 0;
    let (first, count) = if is_entry {
        let entry = messages as usize % ENTRIES;
        (number * DESCS + MESSAGES + entry, 1)
    } else if messages < 1 {
        return -libc::EINVAL;
    } else if messages > MOST {
        return MOST;
    } else {
        (number * DESCS, messages as usize)
    };
    if !state(|state| state.enabled.insert(first)) {
        return -libc::EEXIST;
    }
    for index in 0..count {
        let desc = desc_at(first + index);
        set!(desc, msi_attrib.type_, if is_entry { MSIX } else { MSI });
        set!(desc, msi_attrib.entry_nr, index as u16);
        let nvec = if index == 0 { count as u32 } else { 0 };
        set!(desc, __bindgen_anon_1.msi.nvec, nvec);
        set!(desc, dev, device as *mut sys::pci_dev);
        set!(desc, irq, if index == 0 { irq } else { -1 });
        // An entry of a table can always be masked, of the MSIs those of the first function.
        // SAFETY: an object of the world, which no one else uses meanwhile.
        unsafe { (*desc).msi_attrib.set_maskbit(number == 0) };
    }
    // SAFETY: the caller passes a variable.
    unsafe { result.write(desc_at(first) as u64) };
    0
}

pub(super) extern "C" fn setup_msi_irq(desc: *mut sys::irq_desc, message: u64) -> i32 {
    let irq = get!(desc, irq);
    if !is_locked(desc) {
        fault(format!("a message of IRQ {irq} is set up without its lock"));
    }
    told("setup_msi_irq", message, irq);
    let error = failure();
    if error != 0 {
        return error;
    }
    let Some(place) = place_of(message) else {
        fault("a message that is none of the world".to_owned());
    };
    let is_entry = place % DESCS >= MESSAGES;
    let number = if is_entry || place < DESCS {
        HANDLER_MASKABLE
    } else {
        HANDLER_UNMASKABLE
    };
    let handlers = state(|state| state.handlers) as *mut sys::hw_interrupt_type;
    set!(desc, msi_desc, message as *mut sys::msi_desc);
    set!(desc, handler, handlers.wrapping_add(number).cast_const());
    platform::with(|platform| {
        let cpus = set_at(get!(desc, arch.cpu_mask));
        let first = (0..platform.cpus).find(|&cpu| has(&cpus, cpu));
        if let Some(first) = first {
            platform.program(desc, apic_id(first));
        }
    });
    0
}

pub(super) extern "C" fn pci_disable_msi(message: u64) {
    told("pci_disable_msi", message, 0);
}

/// Frees a function's message, or its block of messages, and destroys the IRQs. Returns whether it
/// is one.
pub(super) fn free(message: u64) -> bool {
    let Some(first) = place_of(message) else {
        return false;
    };
    if !state(|state| state.enabled.remove(&first)) {
        fault("a message is freed twice".to_owned());
    }
    let is_block = first % DESCS < MESSAGES;
    let count = if is_block {
        get!(desc_at(first), __bindgen_anon_1.msi.nvec) as usize
    } else {
        1
    };
    for place in (first..first + count).rev() {
        let desc = desc_at(place);
        let irq = get!(desc, irq);
        told("msi_free_irq", desc as u64, irq);
        if let Ok(irq) = usize::try_from(irq) {
            let (me, destroy) = platform::with(|platform| {
                platform.sources[irq] = None;
                platform.delivery.lose(irq);
                (platform.me, platform.delivery.functions.destroy)
            });
            nested::call(me, destroy, [irq as u64], false);
        }
        set!(desc, irq, -1);
        set!(desc, msi_attrib.type_, 0);
    }
    true
}

/// Whether an IRQ has one message of a block of several.
pub(super) fn is_of_block(desc: *const sys::irq_desc) -> bool {
    let message = get!(desc, msi_desc);
    place_of(message as u64).is_some_and(|place| {
        let first = place / DESCS * DESCS;
        let is_msi = place % DESCS < MESSAGES;
        is_msi && get!(desc_at(first), __bindgen_anon_1.msi.nvec) > 1
    })
}
