//! Rule 2, first part: no SSE, AVX, MMX or x87. Xen does not save those registers for itself.

use iced_x86::{CpuidFeature, EncodingKind, Instruction, InstructionInfoFactory, Mnemonic};

use super::subject::{Finding, Subject};

/// No instruction uses a vector, mask, MMX or x87 register, nor one of those units' state.
pub(super) fn check(subject: &Subject) -> Finding {
    let mut info = InstructionInfoFactory::new();
    let mut count = 0usize;
    let mut faults = Vec::new();
    for (run, step) in subject.code.steps() {
        count += 1;
        if step.instruction.is_invalid() {
            faults.push(format!("{} does not decode", run.at(step)));
        } else if touches_unit(&mut info, &step.instruction) {
            faults.push(run.at(step));
        }
    }
    if count == 0 {
        faults.push(format!("{} holds no code", subject.inputs.rust.path));
    }
    Finding {
        figure: format!("{} of {count} instructions", faults.len()),
        faults,
    }
}

fn touches_unit(info: &mut InstructionInfoFactory, instruction: &Instruction) -> bool {
    // The CPUID class is of no use for SSE: lfence, mfence, pause and prefetch belong to it and
    // touch no register.
    let unit = instruction.cpuid_features().iter().any(|feature| {
        use CpuidFeature::{FPU, FPU287, FPU387, FXSR, MMX, XSAVE};
        matches!(*feature, FPU | FPU287 | FPU387 | FXSR | MMX | XSAVE)
    });
    let control = matches!(
        instruction.mnemonic(),
        Mnemonic::Ldmxcsr | Mnemonic::Stmxcsr
    );
    // VEX also encodes BMI on general registers, which the baseline CPU lacks.
    let extended = instruction.encoding() != EncodingKind::Legacy;
    let registers = info.info(instruction).used_registers().iter().any(|used| {
        let r = used.register();
        r.is_vector_register() || r.is_mm() || r.is_st() || r.is_k() || r.is_bnd() || r.is_tmm()
    });
    unit || control || extended || registers
}
