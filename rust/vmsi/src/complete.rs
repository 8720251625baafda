//! What remains to be done when the device model has handled a request.
//!
//! A guest programs an entry and unmasks it. The device model learns the message from the writes
//! and binds the interrupt; only then may Xen unmask it. So an unmasking write goes to the device
//! model first, and is applied here.
//!
//! The table, or the entry's interrupt, may have come to be since a write began: by that very
//! write, by another vCPU's, or by the device model itself. So every write that the device model
//! has carried out is applied once more to what Xen keeps now.

use crate::emulate::{self, PAGE, apply, pages};
use irq_core::vmsi::access::{Access, is_aligned};
use irq_core::vmsi::snoop::{Source, Write};
use irq_hw::msix::MASKED;
use xen::arch::cpu::CurrentVcpu;
use xen::base::log;
use xen::objects::ioreq::Answer;
use xen::sync::rcu;
use xen::vmsi::tables::{self, EntryIrq};

/// Finishes a request of the vCPU that the device model has handled.
///
/// Context: the vCPU is on its way back to the guest; IRQs on, no lock held. It runs
/// after each request of each HVM guest, most of which have nothing to do with MSI-X.
#[doc(alias = "msix_write_completion")]
pub fn complete(vcpu: CurrentVcpu) {
    let snooped = vcpu.snoop_address();
    let unmask = vcpu.unmask_address();
    if snooped | unmask != 0 {
        vcpu.set_snoop_address(0);
        finish_unmask(vcpu, snooped, unmask);
    } else if vcpu.request().is_answered() {
        take_answer(vcpu);
    }
}

/// Takes what there is to take from a request that the device model has answered.
#[cold]
#[inline(never)]
fn take_answer(vcpu: CurrentVcpu) {
    if let Some(answer) = vcpu.request().answered_read() {
        learn(vcpu, &answer);
    } else if let Some(write) = vcpu.request().answered_write() {
        settle(vcpu, &write);
    }
}

/// Applies an unmasking write: one that was held back at address `unmask`, or else one that was
/// seen at `snooped`, whose value is in guest memory.
#[cold]
fn finish_unmask(vcpu: CurrentVcpu, snooped: u64, unmask: u64) {
    let control = match unmask {
        0 if unmasks_from_memory(vcpu, snooped) => snooped,
        _ => unmask,
    };
    if control != 0 {
        vcpu.set_unmask_address(0);
        // The table may have moved away meanwhile, and the write was not to what another has there.
        if !apply(control, 4, 0, *vcpu, false) {
            log::write_completion_failed();
        }
    }
    let is_of_snooped = |write: &Write| {
        write
            .candidate()
            .is_some_and(|candidate| candidate.control == snooped)
    };
    let request = vcpu.request();
    let from_memory = || request.write_from_memory().filter(is_of_snooped);
    if let Some(write) = request.answered_write().or_else(from_memory) {
        settle(vcpu, &write);
        // All that the vCPU asked for is done: an unmasking that `apply` held back must not undo a
        // later mask.
        vcpu.set_unmask_address(0);
    }
}

/// Applies a write that the device model has carried out to the words and mask bits that Xen keeps
/// now.
fn settle(vcpu: CurrentVcpu, write: &Write) {
    let Some((start, end)) = write.span(0) else {
        return;
    };
    for page in pages(start, end) {
        let (start, end) = (start.max(page) & !3, end.min(page + PAGE));
        for address in (start..end).step_by(4) {
            let written = write.dword(address);
            let rcu = rcu::read();
            let Some(table) = tables::find(vcpu.domain(), &rcu, page) else {
                break;
            };
            let Some(entry) = table.entry(address) else {
                continue;
            };
            match Access::decode(address, 4) {
                Some(Access::Word(index)) => {
                    if let Some(word) = entry.word(index) {
                        word.settle(value_of(written));
                    }
                }
                _ => {
                    let (bound, masked) = (entry.bound(), entry.guest_masked());
                    drop(rcu);
                    if let (Some(irq), Some(masked), Some(written)) = (bound, masked, written) {
                        settle_mask(vcpu, (irq, masked), written);
                    }
                }
            }
        }
    }
}

/// The value of a dword, where it was in the request.
fn value_of(written: Option<Source>) -> Option<u32> {
    match written? {
        Source::Value(value) => Some(value as u32),
        Source::Memory(_) => None,
    }
}

/// Masks or unmasks an interrupt as a vector control dword was written, if it is not `masked` so
/// already.
fn settle_mask(vcpu: CurrentVcpu, (irq, masked): (EntryIrq, bool), written: Source) {
    let control = match written {
        Source::Value(value) => Some(value as u32),
        Source::Memory(memory) => vcpu.read_guest_u32(memory),
    };
    if let Some(mask) = control.map(|control| control & MASKED != 0)
        && masked != mask
    {
        irq.set_guest_mask(*vcpu.domain(), mask);
    }
}

/// Returns whether a repeated write unmasks the entry whose vector control it ended with.
fn unmasks_from_memory(vcpu: CurrentVcpu, snooped: u64) -> bool {
    let Some(source) = vcpu.snooped().source.filter(|_| snooped != 0) else {
        return false;
    };
    let is_set_up = {
        let rcu = rcu::read();
        tables::find(vcpu.domain(), &rcu, snooped)
            .is_some_and(|table| emulate::is_set_up(vcpu.domain(), table, snooped))
    };
    is_set_up
        && vcpu
            .read_guest_u32(source)
            .is_some_and(|value| value & MASKED == 0)
}

/// Keeps what the device model answered to a read of a message, so that it need not be asked again.
#[cold]
#[inline(never)]
fn learn(vcpu: CurrentVcpu, answer: &Answer) {
    let Some(generation) = vcpu.take_noted_read() else {
        return;
    };
    if !is_aligned(answer.address, answer.size) {
        return;
    }
    let rcu = rcu::read();
    // A table that was set up while the read was under way has not seen what was written before.
    let table = tables::find(vcpu.domain(), &rcu, answer.address)
        .filter(|table| table.generation() == generation);
    let Some(entry) = table.and_then(|table| table.entry(answer.address)) else {
        return;
    };
    let value = answer.value;
    let learn = |index, value: u64| {
        if let Some(word) = entry.word(index) {
            word.learn(value as u32);
        }
    };
    match Access::decode(answer.address, answer.size) {
        Some(Access::Word(index)) => learn(index, value),
        Some(Access::Address) => {
            learn(0, value);
            learn(1, value >> 32);
        }
        Some(Access::DataControl) => learn(2, value),
        Some(Access::Control) | None => {}
    }
}
