//! Rule 8: exported names are C's, and every name fits Xen's symbol table.

use std::collections::BTreeSet;

use object::SymbolKind;

use super::elf::Symbol;
use super::subject::{Finding, Subject};

/// Xen expands a name into a buffer of 128 bytes without a check (`KSYM_NAME_LEN`).
const LONGEST: usize = 127;

/// Exported names are unmangled; names with their file prefix are unique and at most 127 characters
/// long.
pub(super) fn check(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let mut faults = Vec::new();
    for symbol in object.exported() {
        if !is_c_name(&symbol.name) {
            faults.push(format!("{} is exported under a mangled name", symbol.name));
        }
    }
    let (mut seen, mut longest) = (BTreeSet::new(), 0);
    for symbol in object.symbols.iter().filter(|s| is_listed(s)) {
        let name = listed_name(symbol);
        longest = longest.max(name.len());
        if name.len() > LONGEST {
            faults.push(format!("{name} has {} characters", name.len()));
        }
        if let Some(twice) = seen.replace(name) {
            faults.push(format!("{twice} is defined twice"));
        }
    }
    if seen.is_empty() {
        faults.push(format!("{} defines no symbol", object.path));
    }
    let exported = object.exported().count();
    Finding {
        figure: format!(
            "{exported} exported, {} in all, longest {longest} of {LONGEST}",
            seen.len()
        ),
        faults,
    }
}

/// Whether Xen's symbol table takes the symbol.
fn is_listed(symbol: &Symbol) -> bool {
    let named = !symbol.name.is_empty() && !symbol.name.starts_with(".L");
    named && !symbol.undefined && !matches!(symbol.kind, SymbolKind::Section | SymbolKind::File)
}

/// The name in Xen's symbol table, where local symbols carry their file: `file#symbol`.
fn listed_name(symbol: &Symbol) -> String {
    if symbol.file.is_empty() {
        symbol.name.clone()
    } else {
        format!("{}#{}", symbol.file, symbol.name)
    }
}

fn is_c_name(name: &str) -> bool {
    let characters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    characters && rustc_demangle::try_demangle(name).is_err()
}
