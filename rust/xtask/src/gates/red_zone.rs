//! Rule 2, second part: no red zone. Interrupts run on the interrupted stack and overwrite what
//! lies below %rsp.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::frame::Frame;
use super::subject::{Finding, Subject};

/// No memory operand lies below the stack pointer.
pub(super) fn check(subject: &Subject) -> Finding {
    let mut operands = 0usize;
    let mut faults = Vec::new();
    for run in subject.code.runs() {
        let mut frame = Frame::default();
        for step in &run.instructions {
            frame.step(&step.instruction);
            let Some(below) = stack_operand(&step.instruction, &frame) else {
                continue;
            };
            operands += 1;
            if below {
                faults.push(run.at(step));
            }
        }
    }
    Finding {
        figure: format!("{} of {operands} stack operands below %rsp", faults.len()),
        faults,
    }
}

/// For an operand on the stack, whether it lies below the stack pointer.
fn stack_operand(i: &Instruction, frame: &Frame) -> Option<bool> {
    let memory = (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory);
    if !memory || moves_stack_pointer(i) {
        return None;
    }
    let displacement = i.memory_displacement64().cast_signed();
    match i.memory_base() {
        Register::RSP => Some(displacement < 0 && !is_barrier(i)),
        // With a frame pointer the same offence shows as an operand below what the function has
        // allocated.
        Register::RBP => {
            let base = frame.base?;
            Some(
                !frame.variable
                    && displacement < 0
                    && displacement.unsigned_abs() > frame.deepest() - base,
            )
        }
        _ => None,
    }
}

/// `lea N(%rsp),%rsp` is an adjustment, not an access.
fn moves_stack_pointer(i: &Instruction) -> bool {
    i.mnemonic() == Mnemonic::Lea && i.op0_register() == Register::RSP
}

/// A locked add or or of zero changes nothing; it is how C and LLVM write a full barrier.
fn is_barrier(i: &Instruction) -> bool {
    let immediate = matches!(
        i.op1_kind(),
        OpKind::Immediate8
            | OpKind::Immediate32
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    );
    i.has_lock_prefix()
        && matches!(i.mnemonic(), Mnemonic::Add | Mnemonic::Or)
        && immediate
        && i.immediate(1) == 0
}
