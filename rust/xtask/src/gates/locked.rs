//! Entries of remapping tables and words that several CPUs write change in one step: the bus has to
//! be locked for it.

use iced_x86::{Mnemonic, OpKind};

use super::subject::{Finding, Subject};

/// Every instruction that reads and writes memory in one step if it is locked, and only then, is
/// locked.
pub(super) fn check(subject: &Subject) -> Finding {
    let (mut total, mut faults) = (0usize, Vec::new());
    for (run, step) in subject.code.steps() {
        let i = &step.instruction;
        let is_exchange = matches!(
            i.mnemonic(),
            Mnemonic::Cmpxchg | Mnemonic::Cmpxchg8b | Mnemonic::Cmpxchg16b | Mnemonic::Xadd
        );
        // XCHG locks the bus by itself.
        if is_exchange && i.op0_kind() == OpKind::Memory {
            total += 1;
            if !i.has_lock_prefix() {
                faults.push(run.at(step));
            }
        }
    }
    Finding {
        figure: format!("{} of {total} exchanges without LOCK", faults.len()),
        faults,
    }
}
