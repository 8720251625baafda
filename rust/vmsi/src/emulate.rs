//! Emulation of MSI-X tables of passed-through devices (PCI 3.0, section 6.8.2).
//!
//! Xen answers what it knows: the messages that the guest wrote, of every entry, and the mask bits,
//! which are Xen's to apply. Everything else, and every write besides, goes to the device model.
//!
//! Context: the current vCPU, IRQs on, no lock held. The tables are found and the shadow is used in
//! an RCU section, without a lock; only a write of a mask bit takes the lock of that one
//! interrupt's descriptor.

use crate::adjacent;
use irq_core::vmsi::access::{Access, is_aligned};
use irq_core::vmsi::shadow::Entry;
use irq_core::vmsi::snoop::{Source, Write};
use irq_hw::msix::MASKED;
use xen::arch::cpu::CurrentHvm;
use xen::objects::domain::HvmDomain;
use xen::objects::ioreq::Ioreq;
use xen::objects::pci_dev::Devices;
use xen::objects::vcpu::HvmVcpu;
use xen::sync::rcu;
use xen::vmsi::tables::{self, EntryIrq, Table, TableEntry};
use xen::xen_assert;

/// What is known of a request without a search.
enum Verdict {
    /// Xen has an answer.
    Serves,
    /// There is no table in this page.
    NoTable,
    /// A search has to tell.
    Unsure,
}

/// Returns whether Xen may be able to serve a request; if it is a write that Xen will not, takes
/// note of what it may do.
///
/// This is on the way of every access that no other emulation wants: it calls nothing as long as it
/// need not.
#[doc(alias = "msixtbl_range")]
pub fn accept(current: CurrentHvm, request: Ioreq) -> bool {
    xen_assert!(request.is_memory());
    let verdict = {
        let rcu = rcu::read();
        match tables::find(current.vcpu().domain(), &rcu, request.address()) {
            Some(table) => judge(table, request),
            None => Verdict::NoTable,
        }
    };
    match verdict {
        Verdict::Serves if !request.is_write() || request.is_plain() => true,
        Verdict::NoTable if !request.is_write() => false,
        Verdict::NoTable => accept_elsewhere(current, request),
        _ => accept_slowly(current, request),
    }
}

/// Judges a request to the page of a table. Xen has an answer to any access beside the table or to
/// an entry that is set up, and to a read of a message that it knows.
#[inline(always)]
fn judge(table: &Table, request: Ioreq) -> Verdict {
    let address = request.address();
    let Some(entry) = table.entry(address) else {
        return Verdict::Serves;
    };
    let known = entry.bound().is_some()
        || !request.is_write() && message(&entry, address, request.size()).is_some();
    if known {
        Verdict::Serves
    } else {
        Verdict::Unsure
    }
}

/// Returns whether an interrupt is set up for the entry at an address, which takes a search.
#[cold]
#[inline(never)]
pub(crate) fn is_set_up(domain: HvmDomain, table: &Table, address: u64) -> bool {
    table
        .entry(address)
        .is_some_and(|entry| Devices::with(*domain, |devices| entry.set_up(devices)).is_some())
}

/// Accepts or refuses a write to a page without a table.
#[inline(never)]
fn accept_elsewhere(current: CurrentHvm, request: Ioreq) -> bool {
    if let Some(write) = request.pending_write() {
        let vcpu = current.vcpu();
        snoop(vcpu, &write);
        // Other elements, or the rest of one, may be in a page with a table.
        if !request.is_plain() || write.crosses_page() {
            lose(vcpu.domain(), write.span(0));
        }
    }
    false
}

/// Accepts or refuses any request to the page of a table.
#[inline(never)]
fn accept_slowly(current: CurrentHvm, request: Ioreq) -> bool {
    let vcpu = current.vcpu();
    let address = request.address();
    let write = request.pending_write();
    let (accepted, kept) = {
        let rcu = rcu::read();
        let Some(table) = tables::find(vcpu.domain(), &rcu, address) else {
            return accept_elsewhere(current, request);
        };
        let accepted = match judge(table, request) {
            Verdict::Serves => true,
            Verdict::Unsure => is_set_up(vcpu.domain(), table, address),
            Verdict::NoTable => false,
        };
        // An entry that has no interrupt yet has a message that is worth keeping all the same.
        let kept = !accepted && write.is_some_and(|write| keep_early(table, &write));
        if !accepted && !request.is_write() {
            vcpu.note_read(table.generation());
        }
        (accepted, kept)
    };
    if let Some(write) = write {
        if !accepted {
            snoop(vcpu, &write);
        } else if matches!(write.source, Source::Memory(_)) && is_aligned(write.address, write.size)
        {
            // Of what is accepted, the device model gets the first element alone; nothing, where
            // that is not aligned.
            let first = Write {
                count: write.count.min(1),
                ..write
            };
            snoop(vcpu, &first);
        }
        // Of a repeated write, and of one from memory, Xen sees at most the first element, and what
        // is neither carried out here nor kept the device model may carry out.
        if !request.is_plain() || !(accepted || kept) {
            lose(vcpu.domain(), write.span(accepted.into()));
        }
    }
    accepted
}

/// Keeps what a plain, well-formed write changes of an entry that has no interrupt yet; returns
/// whether it is one.
fn keep_early(table: &Table, write: &Write) -> bool {
    if let Source::Value(value) = write.source
        && write.count == 1
        && is_aligned(write.address, write.size)
        && let Some(entry) = table.entry(write.address)
    {
        keep(&entry, write.address, write.size, value);
        return Access::decode(write.address, write.size).is_some();
    }
    false
}

/// Takes note of the unmasking that a write to the device model may bring.
fn snoop(vcpu: HvmVcpu, write: &Write) {
    if let Some(candidate) = write.candidate() {
        vcpu.set_snooped(candidate);
    }
}

/// Returns what is known of the words that a read covers, but for vector control.
#[inline]
fn message(entry: &Entry, address: u64, len: u32) -> Option<u64> {
    match Access::decode(address, len)? {
        Access::Word(index) => Some(entry.word(index)?.get()?.into()),
        Access::Address => entry.address(),
        // What is known of the data is of use only together with the mask bit.
        Access::DataControl | Access::Control => None,
    }
}

pub(crate) const PAGE: u64 = 4096;

/// The first bytes of the pages that some bytes lie in, as far as one request can reach.
pub(crate) fn pages(start: u64, end: u64) -> impl Iterator<Item = u64> {
    /// Pages that a string instruction can reach in one request: 4,096 elements of 8 bytes, on any
    /// alignment.
    const PAGES: usize = 9;
    (start & !(PAGE - 1)..end)
        .step_by(PAGE as usize)
        .take(PAGES)
}

/// Invalidates the words of messages that lie in `start..end`, until the guest's next plain write.
#[cold]
#[inline(never)]
pub(crate) fn lose(domain: HvmDomain, span: Option<(u64, u64)>) {
    let Some((start, end)) = span else {
        return;
    };
    let rcu = rcu::read();
    for page in pages(start, end) {
        let Some(table) = tables::find(domain, &rcu, page) else {
            continue;
        };
        let (start, end) = (start.max(page) & !3, end.min(page + PAGE));
        for address in (start..end).step_by(4) {
            lose_word(table, address);
        }
    }
}

/// Keeps what a plain write changes of an entry's message.
#[inline]
fn keep(entry: &Entry, address: u64, len: u32, value: u64) {
    match Access::decode(address, len) {
        Some(Access::Word(index)) => {
            if let Some(word) = entry.word(index) {
                word.write(value as u32);
            }
        }
        Some(Access::Address) => entry.write_address(value),
        Some(Access::DataControl) => entry.write_data(value as u32),
        Some(Access::Control) | None => {}
    }
}

/// Reads `len` bytes of a table or of registers beside one; `None` where the device model has to.
#[doc(alias = "msixtbl_read")]
#[inline]
pub fn read(current: CurrentHvm, address: u64, len: u32) -> Option<u64> {
    if !is_aligned(address, len) {
        return None;
    }
    let rcu = rcu::read();
    let table = tables::find(current.vcpu().domain(), &rcu, address)?;
    let value = if table.contains(address) {
        let access = Access::decode(address, len)?;
        let entry = table.entry(address)?;
        let (data, shift) = match access {
            Access::Word(index) => {
                let value = entry.word(index)?.get().map(u64::from);
                return value.or_else(|| ask_device_model(current, table));
            }
            Access::Address => return entry.address().or_else(|| ask_device_model(current, table)),
            Access::Control => (0, 0),
            Access::DataControl => match entry.data() {
                Some(data) => (data, 32),
                None => return ask_device_model(current, table),
            },
        };
        entry
            .guest_masked()
            .map(|masked| u64::from(data) | control(masked) << shift)
    } else {
        None
    };
    drop(rcu);
    value.or_else(|| read_slowly(current, address, len))
}

/// Has the device model answer a read of a word that is not known; its answer is learned.
#[cold]
#[inline(never)]
fn ask_device_model(current: CurrentHvm, table: &Table) -> Option<u64> {
    current.vcpu().note_read(table.generation());
    None
}

/// Reads a register beside a table, or the mask bit of an entry that takes a search.
#[cold]
#[inline(never)]
fn read_slowly(current: CurrentHvm, address: u64, len: u32) -> Option<u64> {
    let rcu = rcu::read();
    let domain = current.vcpu().domain();
    let table = tables::find(domain, &rcu, address)?;
    let Some(entry) = table.entry(address) else {
        return Some(adjacent::read(*domain, table, address, len));
    };
    let found = Devices::with(*domain, |devices| entry.set_up(devices))?;
    let control = control(found.guest_masked);
    match Access::decode(address, len)? {
        Access::Control => Some(control),
        Access::DataControl => Some(u64::from(entry.data()?) | control << 32),
        Access::Word(_) | Access::Address => None,
    }
}

/// Returns vector control as the guest set it.
#[inline]
fn control(guest_masked: bool) -> u64 {
    if guest_masked { MASKED.into() } else { 0 }
}

/// Writes `len` bytes for a guest; returns whether that is all. The device model always has to see
/// an aligned write, so that its view is the same; one that is not is lost.
#[doc(alias = "_msixtbl_write")]
#[inline]
pub fn write(current: CurrentHvm, address: u64, len: u32, value: u64) -> bool {
    if !is_aligned(address, len) {
        return true;
    }
    apply(address, len, value, current.vcpu(), true);
    false
}

/// What is left of a write when the shadow has it.
enum Rest {
    /// Nothing that Xen could do.
    Nothing,
    /// To apply the mask bit.
    Mask(EntryIrq, bool),
    /// To find the interrupt of the entry whose vector control is at this address, and apply the
    /// mask bit.
    Search(u64, bool),
    /// To write to registers beside the table.
    Adjacent,
}

/// Applies an aligned write to what Xen keeps of a table and to the mask bits, or to registers
/// beside it if those are meant, too. Returns whether nothing of it is left to the device model.
#[doc(alias = "msixtbl_write")]
pub(crate) fn apply(address: u64, len: u32, value: u64, vcpu: HvmVcpu, beside: bool) -> bool {
    // The table is of no use any more once the interrupt is known.
    let rest = {
        let rcu = rcu::read();
        match tables::find(vcpu.domain(), &rcu, address) {
            Some(table) => update(vcpu, table, address, len, value),
            None => Rest::Nothing,
        }
    };
    match rest {
        Rest::Nothing => return false,
        Rest::Mask(irq, mask) => irq.set_guest_mask(*vcpu.domain(), mask),
        Rest::Search(control, mask) => return search_and_set_mask(vcpu, control, mask),
        Rest::Adjacent if beside => write_adjacent(vcpu, address, len, value),
        Rest::Adjacent => {}
    }
    true
}

/// Keeps what an aligned write to the page of a table changes, and says what is left of it.
///
/// The device model has to see a changed message before the interrupt is let through, so that then
/// the unmasking waits for it; see [`crate::complete`].
#[inline(always)]
fn update(vcpu: HvmVcpu, table: &Table, address: u64, len: u32, value: u64) -> Rest {
    let Some(entry) = table.entry(address) else {
        // It may reach a part of the last word, or run on into the first one.
        for dword in (address..address.saturating_add(len.into())).step_by(4) {
            lose_word(table, dword);
        }
        return Rest::Adjacent;
    };
    match Access::decode(address, len) {
        Some(Access::Control) => update_control(vcpu, &entry, Some(entry), address, value as u32),
        Some(Access::DataControl) => {
            entry.change(|entry| entry.write_data(value as u32));
            // Vector control is in another entry where the table's alignment is one that no device
            // has, and the device model claims.
            let address = address + 4;
            let control = (value >> 32) as u32;
            update_control(vcpu, &entry, table.entry(address), address, control)
        }
        Some(Access::Word(_) | Access::Address) => {
            entry.change(|entry| keep(entry, address, len, value));
            Rest::Nothing
        }
        // The specification leaves it to the device, and so to its model, what one or two bytes do
        // to a word.
        None => {
            lose_word(table, address);
            Rest::Nothing
        }
    }
}

/// Invalidates the word of a message that the byte at `address` lies in: the aligned dword, which
/// is a word of the entry in which it begins.
#[cold]
#[inline(never)]
fn lose_word(table: &Table, address: u64) {
    let address = address & !3;
    if let Some(entry) = table.entry(address)
        && let Some(Access::Word(index)) = Access::decode(address, 4)
        && let Some(word) = entry.word(index)
    {
        word.lose();
    }
}

/// Says what is left of a write of the vector control of `bound`, that was to `entry`.
#[inline(always)]
fn update_control(
    vcpu: HvmVcpu,
    entry: &Entry,
    bound: Option<TableEntry>,
    address: u64,
    control: u32,
) -> Rest {
    let mask = control & MASKED != 0;
    if !mask && entry.take_modified() {
        vcpu.set_unmask_address(address);
        return Rest::Nothing;
    }
    let Some(entry) = bound else {
        return Rest::Nothing;
    };
    match entry.bound() {
        Some(irq) => Rest::Mask(irq, mask),
        None => Rest::Search(address, mask),
    }
}

/// Writes to registers beside a table.
#[cold]
#[inline(never)]
fn write_adjacent(vcpu: HvmVcpu, address: u64, len: u32, value: u64) {
    let rcu = rcu::read();
    if let Some(table) = tables::find(vcpu.domain(), &rcu, address) {
        adjacent::write(*vcpu.domain(), table, address, len, value);
    }
}

/// Applies a mask bit to an interrupt that takes a search; returns whether one was found.
#[cold]
#[inline(never)]
fn search_and_set_mask(vcpu: HvmVcpu, address: u64, mask: bool) -> bool {
    let irq = {
        let rcu = rcu::read();
        tables::find(vcpu.domain(), &rcu, address).and_then(|table| {
            let entry = table.entry(address)?;
            Devices::with(*vcpu.domain(), |devices| entry.set_up(devices)?.irq)
        })
    };
    if let Some(irq) = irq {
        irq.set_guest_mask(*vcpu.domain(), mask);
    }
    irq.is_some()
}
