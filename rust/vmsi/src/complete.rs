//! What remains to be done when the device model has handled a request.
//!
//! A guest programs an entry and unmasks it. The device model learns the message from the writes and binds the interrupt;
//! only then may Xen unmask it. So an unmasking write goes to the device model first, and is applied here.

use crate::emulate::{self, Outcome, apply};
use irq_core::msix::access::{Access, is_aligned};
use irq_hw::msix::MASKED;
use xen::ioreq::Answer;
use xen::vcpu::Vcpu;
use xen::{log, rcu, tables};

/// Finishes a request of the vCPU that the device model has handled.
///
/// Context: this is the current vCPU, on its way back to the guest; IRQs on, no lock held. It runs after each request of
/// each HVM guest, most of which have nothing to do with MSI-X.
pub fn complete(vcpu: Vcpu) {
    let snooped = vcpu.snoop_address();
    let unmask = vcpu.unmask_address();
    if snooped | unmask != 0 {
        vcpu.set_snoop_address(0);
        finish_unmask(vcpu, snooped, unmask);
    } else if let Some(answer) = vcpu.request().answered_read() {
        learn(vcpu, &answer);
    }
}

/// Applies an unmasking write: one that was held back at address `unmask`, or else one that was seen at `snooped`, whose
/// value is in guest memory.
#[cold]
fn finish_unmask(vcpu: Vcpu, snooped: u64, unmask: u64) {
    let control = match unmask {
        0 if unmasks_from_memory(vcpu, snooped) => snooped,
        0 => return,
        _ => unmask,
    };
    vcpu.set_unmask_address(0);
    // The table may have moved away meanwhile, and the write was not to what another has there.
    if apply(control, 4, 0, vcpu, false) != Outcome::Done {
        log::write_completion_failed();
    }
}

/// Returns whether a repeated write unmasks the entry whose vector control it ended with.
fn unmasks_from_memory(vcpu: Vcpu, snooped: u64) -> bool {
    let source = vcpu.snooped().source;
    if snooped == 0 || source == 0 {
        return false;
    }
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
fn learn(vcpu: Vcpu, answer: &Answer) {
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
    let Some(entry) = table.and_then(|table| Some(table.entry(table.place(answer.address)?)))
    else {
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
