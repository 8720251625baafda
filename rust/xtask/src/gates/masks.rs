//! Rule 7, for indices: one that a guest chooses is masked before it reaches memory, as C has it by
//! `array_access_nospec()`. Else a CPU that guesses wrong reads beyond the array, and leaves a
//! trace in its caches.

use std::collections::BTreeSet;

use iced_x86::{Mnemonic, OpKind, Register};

use super::code::Step;
use super::subject::{Finding, Subject};

/// Functions that take an address from a guest and find an entry of a table by it.
const FROM_GUESTS: [&str; 4] = [
    "msix_write_completion",
    "xen_irq_msixtbl_accept",
    "xen_irq_msixtbl_read",
    "xen_irq_msixtbl_write",
];

/// By how many bits an index is shifted: an entry of a shadow has 32 bytes.
const ENTRY_SHIFT: u64 = 5;

/// How far before the shift the mask may be.
const NEAR: usize = 10;

/// In what those functions reach, every index of an entry is masked; each of them has an index.
pub(super) fn check(subject: &Subject) -> Finding {
    let (mut masks, mut faults) = (0usize, Vec::new());
    let mut seen = BTreeSet::new();
    for root in FROM_GUESTS {
        let reached = subject.code.reached(root);
        if reached.is_empty() {
            continue;
        }
        let mut is_masked = false;
        for run in reached {
            for (number, step) in run.instructions.iter().enumerate() {
                let Some(register) = index(step) else {
                    continue;
                };
                let before = &run.instructions[number.saturating_sub(NEAR)..number];
                let masked = is_mask(before, register);
                is_masked |= masked;
                if seen.insert((run.name.clone(), number)) {
                    masks += usize::from(masked);
                    if !masked {
                        faults.push(run.at(step));
                    }
                }
            }
        }
        if !is_masked {
            faults.push(format!("{root} masks no index"));
        }
    }
    Finding {
        figure: format!("{masks} masked indices, {} faults", faults.len()),
        faults,
    }
}

/// The register of an index, in its page, that is about to become an offset.
fn index(step: &Step) -> Option<Register> {
    let i = &step.instruction;
    let is_shift = i.mnemonic() == Mnemonic::Shl
        && i.op0_kind() == OpKind::Register
        && (i.op0_register().is_gpr64() || i.op0_register().is_gpr32())
        && i.op1_kind() == OpKind::Immediate8
        && i.immediate(1) == ENTRY_SHIFT;
    is_shift.then(|| i.op0_register().full_register())
}

/// Whether a register holds an index and a mask of all ones or zeros, made by comparing and
/// subtracting with borrow.
fn is_mask(before: &[Step], register: Register) -> bool {
    let mut made = None;
    let mut masked = false;
    for [compared, step] in before.array_windows() {
        let i = &step.instruction;
        let is_of = |mnemonic| i.mnemonic() == mnemonic && i.op0_kind() == OpKind::Register;
        if is_of(Mnemonic::Sbb)
            && i.op1_kind() == OpKind::Register
            && i.op0_register() == i.op1_register()
            && compared.instruction.mnemonic() == Mnemonic::Cmp
        {
            made = Some(i.op0_register().full_register());
        } else if is_of(Mnemonic::And) && i.op1_kind() == OpKind::Register && made.is_some() {
            let operands = [i.op0_register(), i.op1_register()].map(|r| r.full_register());
            masked = operands[0] == register && operands.iter().any(|&r| Some(r) == made);
        }
    }
    masked
}
