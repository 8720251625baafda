//! Emulation of MSI-X tables of passed-through devices (PCI 3.0, section 6.8.2).
//!
//! Xen answers what it knows: the messages that the guest wrote, of every entry, and the mask bits, which are Xen's to
//! apply. Everything else, and every write besides, goes to the device model.
//!
//! Context: the current vCPU, IRQs on, no lock held. The tables are found and the shadow is used in an RCU section,
//! without a lock; only a write of a mask bit takes the lock of that one interrupt's descriptor.

use crate::adjacent;
use irq_core::msix::access::{Access, is_aligned};
use irq_core::msix::shadow::{Entry, Word};
use irq_core::msix::snoop::{Source, Write};
use irq_hw::msix::{ENTRY_SIZE, MASKED, VECTOR_CTRL};
use xen::cpu::current;
use xen::domain::Domain;
use xen::ioreq::Ioreq;
use xen::rcu::{self, ReadGuard};
use xen::tables::{self, Table};
use xen::vcpu::{Snooped, Vcpu};
use xen::xen_assert;

/// How an access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Xen did all that there is to do.
    Done,
    /// The device model has to do it.
    DeviceModel,
}

/// Returns whether Xen may be able to serve a request; if it is a write that Xen will not, takes note of what it may do.
pub fn accept(request: Ioreq) -> bool {
    xen_assert!(request.is_memory());
    let vcpu = current();
    let address = request.address();
    let rcu = rcu::read();
    let table = tables::find(vcpu.domain(), &rcu, address);
    let accepted = table.is_some_and(|table| serves(table, request, address));
    if request.is_write() {
        observe(vcpu, &rcu, request, table, accepted);
    }
    accepted
}

/// Returns whether Xen has an answer: to any access beside a table or to an entry that is set up, and to a read of a
/// message that it knows.
#[inline]
fn serves(table: &Table, request: Ioreq, address: u64) -> bool {
    let Some(entry) = table.entry(address) else {
        return true;
    };
    (!request.is_write() && message(entry, address, request.size()).is_some())
        || table.descriptor(entry, address).is_some()
}

/// Returns what is known of the words that a read covers, but for vector control.
#[inline]
fn message(entry: &Entry, address: u64, len: u32) -> Option<u64> {
    match Access::decode(address, len)? {
        Access::Word(index) => Some(entry.word(index)?.get()?.into()),
        Access::Address => entry.address(),
        Access::DataControl | Access::Control => None,
    }
}

/// Takes note of a write before it is carried out. `table` shares its page, and `accepted` says whether Xen will see it.
#[inline(never)]
fn observe(vcpu: Vcpu, rcu: &ReadGuard, request: Ioreq, table: Option<&Table>, accepted: bool) {
    let Some(write) = request.pending_write() else {
        return;
    };
    if !accepted && let Some(candidate) = write.candidate() {
        vcpu.set_snooped(Snooped {
            address: candidate.control,
            source: candidate.source.unwrap_or(0),
        });
    }
    match (write.count, write.source) {
        // Xen carries a plain write out itself, or else the entry has no interrupt yet, and its message is worth keeping.
        (1, Source::Value(value)) => {
            if !accepted
                && is_aligned(write.address, write.size)
                && let Some(entry) = table.and_then(|table| table.entry(write.address))
            {
                keep(entry, write.address, write.size, value);
            }
        }
        // Of a repeated write, and of one from memory, Xen sees at most the first element.
        _ => lose_unseen(vcpu.domain(), rcu, &write, u32::from(accepted)),
    }
}

/// Forgets the words that a write changes from its element number `first` on.
#[cold]
#[inline(never)]
fn lose_unseen(domain: Domain, rcu: &ReadGuard, write: &Write, first: u32) {
    /// Pages that a string instruction can reach in one request: 4,096 elements of 8 bytes, on any alignment.
    const PAGES: usize = 9;
    const PAGE: u64 = 4096;
    let Some((start, end)) = write.span(first) else {
        return;
    };
    for page in (start & !(PAGE - 1)..end)
        .step_by(PAGE as usize)
        .take(PAGES)
    {
        let Some(table) = tables::find(domain, rcu, page) else {
            continue;
        };
        for (base, entry) in table.entries_in(start.max(page), end.min(page + PAGE)) {
            for (index, word) in (0..).map_while(|i| Some((i, entry.word(i)?))) {
                let word_start = base + index as u64 * 4;
                if word_start < end && start < word_start + 4 {
                    word.lose();
                }
            }
        }
    }
}

/// Keeps what a plain write changes of an entry's message; returns whether it changes any of it.
#[inline]
fn keep(entry: &Entry, address: u64, len: u32, value: u64) -> bool {
    match Access::decode(address, len) {
        Some(Access::Word(index)) => {
            if let Some(word) = entry.word(index) {
                word.write(value as u32);
            }
        }
        Some(Access::Address) => entry.write_address(value),
        Some(Access::DataControl) => entry.write_data(value as u32),
        Some(Access::Control) | None => return false,
    }
    true
}

/// Reads `len` bytes of a table or of registers beside one; `None` where the device model has to.
pub fn read(address: u64, len: u32) -> Option<u64> {
    if !is_aligned(address, len) {
        return None;
    }
    let rcu = rcu::read();
    let table = tables::find(current().domain(), &rcu, address)?;
    let Some(entry) = table.entry(address) else {
        return Some(adjacent::read(table, address, len));
    };
    match Access::decode(address, len)? {
        Access::Word(index) => entry.word(index).and_then(Word::get).map(u64::from),
        Access::Address => entry.address(),
        Access::Control => control(table, entry, address),
        Access::DataControl => {
            let data = u64::from(entry.data()?);
            Some(data | control(table, entry, address)? << 32)
        }
    }
}

/// Returns vector control as the guest set it, if the entry that an address lies in is set up.
#[inline]
fn control(table: &Table, entry: &Entry, address: u64) -> Option<u64> {
    let masked = table.descriptor(entry, address)?.guest_masked();
    Some(if masked { MASKED.into() } else { 0 })
}

/// Writes `len` bytes for a guest. The device model always has to see an aligned write, so that its view is the same.
pub fn write(address: u64, len: u32, value: u64) -> Outcome {
    if !is_aligned(address, len) {
        return Outcome::Done;
    }
    apply(current(), address, len, value);
    Outcome::DeviceModel
}

/// Applies an aligned write to what Xen keeps of a table and to the mask bits, or to registers beside it.
pub(crate) fn apply(vcpu: Vcpu, address: u64, len: u32, value: u64) -> Outcome {
    let rcu = rcu::read();
    let Some(table) = tables::find(vcpu.domain(), &rcu, address) else {
        return Outcome::DeviceModel;
    };
    let Some(entry) = table.entry(address) else {
        adjacent::write(table, address, len, value);
        return Outcome::Done;
    };
    let Some(access) = Access::decode(address, len) else {
        return Outcome::DeviceModel;
    };
    if keep(entry, address, len, value) {
        entry.set_modified();
    }
    match access {
        Access::Word(_) | Access::Address => Outcome::DeviceModel,
        Access::Control => set_mask(vcpu, table, entry, address, value as u32),
        Access::DataControl => {
            let control = address - address % ENTRY_SIZE + VECTOR_CTRL;
            set_mask(vcpu, table, entry, control, (value >> 32) as u32)
        }
    }
}

/// Applies a write of vector control at `address`.
///
/// The device model has to see a changed message before the interrupt is let through, so that then the unmasking waits
/// for it; see [`crate::complete`].
#[inline]
fn set_mask(vcpu: Vcpu, table: &Table, entry: &Entry, address: u64, control: u32) -> Outcome {
    let mask = control & MASKED != 0;
    if !mask && entry.take_modified() {
        vcpu.set_unmask_address(address);
        return Outcome::DeviceModel;
    }
    let Some(msi) = table.descriptor(entry, address) else {
        return Outcome::DeviceModel;
    };
    let Some(desc) = msi.irq_desc() else {
        return Outcome::DeviceModel;
    };
    let desc = desc.lock();
    // The MSI may have been unmapped since it was looked up; what the IRQ is used for now is not the guest's to mask.
    match desc.desc().msi_desc() {
        Some(now) if now == msi => desc.guest_mask_msi(mask),
        Some(_) | None => {}
    }
    Outcome::Done
}
