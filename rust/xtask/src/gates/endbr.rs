//! Rule 3: ENDBR64 exactly where a pointer leads. A missing one is a #CP on IBT hardware, a
//! superfluous one a gadget.

use std::collections::BTreeSet;

use iced_x86::Mnemonic;

use super::code::{Code, is_direct_branch};
use super::elf::{Object, Relocation};
use super::subject::{Finding, Subject};

const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// Sections that record places in the code without anybody jumping there through the record.
const RECORDS: [&str; 6] = [
    ".bug_frames",
    ".altinstructions",
    ".alt_call_sites",
    ".ex_table",
    ".eh_frame",
    ".livepatch",
];

/// No ENDBR64 in the Rust object; in the shim one at the entry of each function whose address is
/// taken, and no other.
pub(super) fn check(subject: &Subject) -> Finding {
    let inputs = subject.inputs;
    let mut faults = Vec::new();
    for (index, offset) in occurrences(&inputs.rust) {
        faults.push(format!(
            "ENDBR64 bytes in the Rust object at {}",
            inputs.rust.place(index, offset)
        ));
    }
    let shim: Vec<Code> = inputs.shim.iter().map(Code::of).collect();
    let rest: Vec<Code> = inputs.rest.iter().map(Code::of).collect();
    let mut wanted_global = BTreeSet::new();
    for code in shim.iter().chain(&rest).chain([&subject.code]) {
        wanted_global.extend(pointed_at(code).filter(|t| t.global).map(|t| t.name));
    }
    let (mut good, mut wanted_total) = (0usize, 0usize);
    for code in &shim {
        let local: BTreeSet<String> = pointed_at(code)
            .filter(|t| !t.global)
            .map(|t| t.name)
            .collect();
        for function in &code.functions {
            let wanted = wanted_global.contains(&function.name) || local.contains(&function.name);
            let first = function.instructions.first();
            let marked = first.is_some_and(|s| s.instruction.mnemonic() == Mnemonic::Endbr64);
            wanted_total += usize::from(wanted);
            good += usize::from(wanted && marked);
            if wanted != marked {
                let what = if wanted {
                    "lacks ENDBR64 but its address is taken"
                } else {
                    "has an ENDBR64 that no pointer needs"
                };
                faults.push(format!("{} in {} {what}", function.name, code.object.path));
            }
        }
        for (index, offset) in occurrences(code.object) {
            if !code
                .functions
                .iter()
                .any(|f| f.section == index && f.start == offset)
            {
                faults.push(format!(
                    "ENDBR64 bytes inside {} in {}",
                    code.object.place(index, offset),
                    code.object.path
                ));
            }
        }
    }
    Finding {
        figure: format!(
            "{} in Rust; {good} of {wanted_total} pointer targets in {} shim objects",
            occurrences(&inputs.rust).count(),
            shim.len()
        ),
        faults,
    }
}

/// All places in executable sections where the four bytes stand, aligned to an instruction or not.
fn occurrences(object: &Object) -> impl Iterator<Item = (usize, u64)> + '_ {
    object
        .sections
        .iter()
        .enumerate()
        .filter(|(_, s)| s.executable)
        .flat_map(|(index, section)| {
            section
                .data
                .windows(ENDBR64.len())
                .enumerate()
                .filter(|(_, bytes)| *bytes == ENDBR64)
                .map(move |(offset, _)| (index, offset as u64))
        })
}

struct Target {
    name: String,
    global: bool,
}

/// What an object takes the address of: everything that a relocation names outside a direct branch.
fn pointed_at<'a>(code: &'a Code) -> impl Iterator<Item = Target> + 'a {
    let object = code.object;
    let from_code = code
        .steps()
        .filter(|(_, step)| !is_direct_branch(&step.instruction))
        .filter_map(|(_, step)| step.relocation)
        .map(|relocation| target(object, &relocation, 4));
    let from_data = object
        .sections
        .iter()
        .filter(|s| s.allocated && !s.executable && !RECORDS.iter().any(|r| s.name.starts_with(r)))
        .flat_map(|s| &s.relocations)
        .map(|relocation| target(object, relocation, 0));
    from_code.chain(from_data)
}

fn target(object: &Object, relocation: &Relocation, bias: i64) -> Target {
    let symbol = &object.symbols[relocation.symbol];
    if symbol.global {
        return Target {
            name: symbol.name.clone(),
            global: true,
        };
    }
    Target {
        name: object.target_name(relocation, bias),
        global: false,
    }
}
