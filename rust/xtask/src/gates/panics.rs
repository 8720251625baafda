//! Rule 9: no reachable panic and no allocator of Rust's own. What remains of either shows as a
//! reference.

use std::collections::HashSet;

use iced_x86::Mnemonic;

use super::code::is_direct_branch;
use super::elf::Relocation;
use super::subject::{Finding, Subject};

/// Where Rust's allocator interface begins.
const ALLOCATOR: [&str; 6] = [
    "alloc::",
    "__rust_",
    "__rustc::__rust_",
    "__rdl_",
    "__rg_",
    "__rustc::__rdl_",
];

/// No code or data outside core's panic functions themselves refers to one of them, nor to an
/// allocator.
pub(super) fn check(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let mut faults = Vec::new();
    for (run, step) in subject.code.steps() {
        if is_panic(&run.name) {
            continue;
        }
        let named = step.relocation.map(|r| object.target_name(&r, 4));
        let branch = subject.code.branch_target(run, step);
        if let Some(target) = named.or(branch).filter(|t| is_panic(t) || is_allocator(t)) {
            let place = object.place(run.section, step.instruction.ip());
            faults.push(format!("{place} refers to {}", demangled(&target)));
        }
    }
    for (index, section) in object.sections.iter().enumerate() {
        if !section.allocated || section.executable || section.name == ".eh_frame" {
            continue;
        }
        for relocation in &section.relocations {
            let target = object.target_name(relocation, 0);
            if is_panic(&target) || is_allocator(&target) {
                let place = object.place(index, relocation.offset);
                faults.push(format!("{place} refers to {}", demangled(&target)));
            }
        }
    }
    Finding {
        figure: format!("{} call sites", faults.len()),
        faults,
    }
}

/// Every `ud2` is a bug frame of Xen's, or stands behind one or behind a call, where nothing
/// returns to.
///
/// An abort, or a panic compiled to an immediate one, leaves no symbol: only this instruction, for
/// which Xen would report an invalid opcode without a place.
pub(super) fn traps(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let framed: HashSet<_> = object
        .sections
        .iter()
        .filter(|s| s.name.starts_with(".bug_frames"))
        .flat_map(|s| &s.relocations)
        .filter_map(|r| object.target(&without_line(r), 0))
        .collect();
    let (mut total, mut faults) = (0usize, Vec::new());
    for run in subject.code.runs() {
        // LLVM puts an ud2 of its own behind whatever does not return.
        let mut may_end_here = false;
        for step in &run.instructions {
            let i = &step.instruction;
            if i.mnemonic() == Mnemonic::Ud2 {
                total += 1;
                may_end_here |= framed.contains(&(run.section, i.ip()));
                if !may_end_here {
                    faults.push(run.at(step));
                }
            } else {
                may_end_here = i.mnemonic() == Mnemonic::Call && is_direct_branch(i);
            }
        }
    }
    Finding {
        figure: format!("{} of {total} ud2 without a bug frame", faults.len()),
        faults,
    }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Whether a function only serves to report a failed check: core names them all `panic…`, `…_fail`
/// or `…_failed`.
fn is_panic(name: &str) -> bool {
    let path = demangled(name);
    if path.contains("rust_begin_unwind") {
        return true;
    }
    let from_core = path
        .strip_prefix("core::")
        .or_else(|| path.strip_prefix("<core::"));
    from_core.is_some_and(|path| {
        path.split("::").any(|part| {
            part.contains("panic") || part.ends_with("_fail") || part.ends_with("_failed")
        })
    })
}

fn is_allocator(name: &str) -> bool {
    let path = demangled(name);
    ALLOCATOR.iter().any(|prefix| path.starts_with(prefix))
}

/// The relocation of a bug frame's displacement, whose upper bits hold a part of the line number.
fn without_line(relocation: &Relocation) -> Relocation {
    /// `BUG_DISP_WIDTH` of xen/bug.h.
    const WIDTH: u32 = 24;
    let upper = i64::BITS - WIDTH;
    Relocation {
        addend: relocation.addend << upper >> upper,
        ..*relocation
    }
}
