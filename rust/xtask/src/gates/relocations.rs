//! Rule 1: no GOT. xen-syms refuses to link one; xen.efi links it silently wrong.

use std::collections::BTreeMap;

use object::elf::{R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, RelocationType};

use super::subject::{Finding, Subject};

/// Only PC32, PLT32 and (in data) 64-bit absolute relocations occur in allocated sections.
pub(super) fn check(subject: &Subject) -> Finding {
    let object = &subject.inputs.rust;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, section) in object
        .sections
        .iter()
        .enumerate()
        .filter(|(_, s)| s.allocated)
    {
        if section.name == ".got" || section.name.starts_with(".got.") {
            faults.push(format!("section {}", section.name));
        }
        for relocation in &section.relocations {
            let allowed = match relocation.kind {
                R_X86_64_PC32 | R_X86_64_PLT32 => true,
                R_X86_64_64 => !section.executable,
                _ => false,
            };
            if allowed {
                *counts.entry(name(relocation.kind)).or_default() += 1;
            } else {
                faults.push(format!(
                    "{} against {} at {}",
                    name(relocation.kind),
                    object.target_name(relocation, 4),
                    object.place(index, relocation.offset),
                ));
            }
        }
    }
    for symbol in object
        .symbols
        .iter()
        .filter(|s| s.name == "_GLOBAL_OFFSET_TABLE_")
    {
        faults.push(format!("symbol {}", symbol.name));
    }
    let parts: Vec<_> = counts
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    Finding {
        figure: format!("{}, 0 GOT expected", parts.join(", ")),
        faults,
    }
}

fn name(kind: RelocationType) -> &'static str {
    object::elf::machine_names(object::elf::EM_X86_64)
        .r
        .name(kind)
        .unwrap_or("relocation of unknown type")
}
