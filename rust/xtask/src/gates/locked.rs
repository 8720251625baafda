//! Entries of remapping tables and words that several CPUs write change in one step: the bus has to
//! be locked for it.

use iced_x86::{MemorySize, Mnemonic, OpKind};

use super::code::Step;
use super::subject::{Finding, Subject};

/// Functions that write 32-bit entries of AMD's tables, and in how many places. Each write is a
/// full barrier, which an exchange is and a store is not: see docs/protocols/message-update.md,
/// "Barriers".
const NARROW_WRITES: [(&str, usize); 2] = [
    ("xen_irq_amd_iommu_ioapic_update_ire", 1),
    ("xen_irq_amd_iommu_msi_msg_update_ire", 2),
];

/// Every instruction that reads and writes memory in one step if it is locked, and only then, is
/// locked; 32-bit entries are written by exchanges.
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
    let figure = format!("{} of {total} exchanges without LOCK", faults.len());
    for (name, wanted) in NARROW_WRITES {
        let reached = subject.code.reached(name);
        if reached.is_empty() {
            continue;
        }
        let steps = reached.iter().flat_map(|run| &run.instructions);
        let found = steps.filter(|step| is_narrow_write(step)).count();
        if found < wanted {
            faults.push(format!("{name} has {found} of {wanted} 32-bit exchanges"));
        }
    }
    Finding { figure, faults }
}

/// Whether an instruction exchanges 32 bits of memory.
fn is_narrow_write(step: &Step) -> bool {
    let i = &step.instruction;
    i.mnemonic() == Mnemonic::Xchg
        && i.op0_kind() == OpKind::Memory
        && i.memory_size() == MemorySize::UInt32
}
