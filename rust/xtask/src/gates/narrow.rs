//! Rule 4: parameters narrower than 32 bits are taken as `u32`. LLVM believes that the caller has
//! extended them, and Xen's callers do not always do so.

use object::SymbolKind;

use super::dwarf;
use super::subject::{Finding, Subject};

/// Every parameter of every exported function is at least 32 bits wide, in the debug information
/// and in the IR.
///
/// The two are independent: the first records the source's types, the second what the code
/// generator believed.
pub(super) fn check(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let mut faults = Vec::new();
    let prototypes = dwarf::prototypes(object).unwrap_or_else(|error| {
        faults.push(format!("{error:#}"));
        Default::default()
    });
    let (mut functions, mut parameters) = (0usize, 0usize);
    for symbol in object.exported().filter(|s| s.kind == SymbolKind::Text) {
        functions += 1;
        let Some(prototype) = dwarf::of_symbol(&prototypes, object, symbol) else {
            faults.push(format!("{} has no debug information", symbol.name));
            continue;
        };
        for (index, parameter) in prototype.parameters.iter().enumerate() {
            parameters += 1;
            let bytes = parameter.shape.bytes();
            if (1..4).contains(&bytes) {
                faults.push(format!(
                    "{}: parameter {index} ({}) has {} bits",
                    symbol.name,
                    parameter.name,
                    bytes * 8
                ));
            }
        }
        faults.extend(narrow_in_ir(subject, &symbol.name));
    }
    Finding {
        figure: format!("{parameters} parameters of {functions} exported functions"),
        faults,
    }
}

fn narrow_in_ir(subject: &Subject, name: &str) -> Vec<String> {
    let function = subject.inputs.ir.as_ref().and_then(|ir| ir.function(name));
    let parameters = function.map_or(&[][..], |f| &f.parameters);
    parameters
        .iter()
        .filter(|p| {
            matches!(p.split(' ').next(), Some("i1" | "i8" | "i16"))
                || p.contains("zeroext")
                || p.contains("signext")
        })
        .map(|p| format!("{name}: the IR takes {p}"))
        .collect()
}
