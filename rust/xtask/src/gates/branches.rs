//! Rule 2, third part: indirect branches and returns go through Xen's thunks, and there are no jump
//! tables.

use iced_x86::FlowControl;
use object::elf::{R_X86_64_64, R_X86_64_PC32};

use super::subject::{Finding, Subject};

/// Every indirect call and jump is a direct one to `__x86_indirect_thunk_*`.
pub(super) fn indirect(subject: &Subject) -> Finding {
    let (mut thunks, mut faults) = (0usize, Vec::new());
    for (run, step) in subject.code.steps() {
        match step.instruction.flow_control() {
            FlowControl::IndirectCall | FlowControl::IndirectBranch => faults.push(run.at(step)),
            _ => {
                let target = subject.code.branch_target(run, step);
                thunks +=
                    usize::from(target.is_some_and(|t| t.starts_with("__x86_indirect_thunk_")));
            }
        }
    }
    Finding {
        figure: format!("{} bare, {thunks} through a thunk", faults.len()),
        faults,
    }
}

/// Every return is a jump to `__x86_return_thunk`.
pub(super) fn returns(subject: &Subject) -> Finding {
    let (mut thunks, mut faults) = (0usize, Vec::new());
    for (run, step) in subject.code.steps() {
        if step.instruction.flow_control() == FlowControl::Return {
            faults.push(run.at(step));
        } else {
            let target = subject.code.branch_target(run, step);
            thunks += usize::from(target.is_some_and(|t| t == "__x86_return_thunk"));
        }
    }
    Finding {
        figure: format!("{} bare, {thunks} through the thunk", faults.len()),
        faults,
    }
}

/// No table of data points into the middle of a function.
///
/// Sections in which Xen records places in the code on purpose (bug frames, alternatives, exception
/// tables) have names of their own; a jump table is constant data.
pub(super) fn jump_tables(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let (mut pointers, mut faults) = (0usize, Vec::new());
    for (index, section) in object.sections.iter().enumerate() {
        let constant = section.name.starts_with(".rodata") || section.name.starts_with(".data");
        if !section.allocated || section.executable || !constant {
            continue;
        }
        for relocation in &section.relocations {
            let Some((target, offset)) = object.target(relocation, 0) else {
                continue;
            };
            if !object.sections[target].executable {
                continue;
            }
            pointers += 1;
            let relative = relocation.kind == R_X86_64_PC32;
            let entry = object.symbols.iter().any(|s| {
                s.section == Some(target)
                    && s.offset == offset
                    && s.kind == object::SymbolKind::Text
            });
            if relative || (relocation.kind == R_X86_64_64 && !entry) {
                faults.push(format!(
                    "{} points into {}",
                    object.place(index, relocation.offset),
                    object.place(target, offset),
                ));
            }
        }
    }
    Finding {
        figure: format!("{} of {pointers} code pointers in data", faults.len()),
        faults,
    }
}
