//! Rule 5: no stack object of alignment 16. Xen keeps its stack aligned to 8 bytes only, while LLVM
//! assumes 16 and computes with that: the low four bits of such an object's address are folded to
//! zero.
//!
//! The finished code does not show it, because nothing is aligned there: the IR does. Objects of a
//! larger alignment are aligned by code at run time and are sound.

use object::SymbolKind;

use super::subject::{Finding, Subject};

/// What LLVM believes of the stack at entry, in bytes.
const ASSUMED: u64 = 16;

/// No stack object and no argument in memory is aligned to exactly 16 bytes, in the IR of every
/// function.
pub(super) fn check(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let Some(ir) = &subject.inputs.ir else {
        return Finding {
            figure: "no IR".to_owned(),
            faults: vec![format!(
                "{}: no .ll file beside it; build with --emit=llvm-ir",
                object.path
            )],
        };
    };
    let mut faults = Vec::new();
    for symbol in object
        .symbols
        .iter()
        .filter(|s| s.kind == SymbolKind::Text && !s.undefined)
    {
        if ir.function(&symbol.name).is_none() {
            faults.push(format!(
                "{} is not in the IR beside the object",
                symbol.name
            ));
        }
    }
    let (mut total, mut largest) = (0usize, 0);
    for (name, function) in &ir.functions {
        for (alignment, text) in &function.stack_objects {
            total += 1;
            largest = largest.max(*alignment);
            if *alignment == ASSUMED {
                faults.push(format!("{name}: {text}"));
            }
        }
    }
    Finding {
        figure: format!(
            "{total} stack objects in {} functions, largest alignment {largest}",
            ir.functions.len()
        ),
        faults,
    }
}
