//! include/exports.h: which symbols have a prototype there.

use std::collections::BTreeSet;

use super::Inputs;
use super::manifest::Kind;
use crate::gates::Finding;

/// exports.h and the manifest name the same symbols, and the compiler has compared the prototypes.
pub(super) fn check(inputs: &Inputs) -> Finding {
    let declared: BTreeSet<&str> = inputs.declared.iter().map(String::as_str).collect();
    let listed: BTreeSet<&str> = inputs
        .manifest
        .public()
        // Data of the shim stands behind its declaration in Xen's headers, where the compiler
        // compares the two.
        .filter(|e| e.kind == Kind::Text || !e.by_shim)
        .map(|e| e.symbol.as_str())
        .collect();
    let mut faults: Vec<String> = listed
        .difference(&declared)
        .map(|name| format!("exports.h has no prototype of {name}"))
        .collect();
    faults.extend(
        declared
            .difference(&listed)
            .map(|name| format!("symbols.txt does not list {name}")),
    );
    if !inputs
        .shim
        .iter()
        .any(|object| object.path.ends_with("/abi.o"))
    {
        faults.push("the build has not compiled c-shim/abi.c".to_owned());
    }
    Finding {
        figure: format!("{} prototypes", declared.len()),
        faults,
    }
}

/// The names that the header declares for the given switches.
pub(super) fn names(text: &str, switches: &[String]) -> Vec<String> {
    let mut on = true;
    let mut names = Vec::new();
    for line in text.lines() {
        if let Some(switch) = line.strip_prefix("#ifdef CONFIG_") {
            on = switches.iter().any(|s| s == switch.trim());
        } else if line.starts_with("#endif") {
            on = true;
        } else if let Some(rest) = line.strip_prefix("XEN_IRQ_EXPORT(")
            && on
        {
            names.extend(rest.split(',').nth(1).map(|name| name.trim().to_owned()));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_follow_the_switches() {
        let text = concat!(
            "/* XEN_IRQ_EXPORT(result, name, ...) */\n",
            "#ifdef CONFIG_RUST_A\n",
            "XEN_IRQ_EXPORT(int, first,\n               struct domain *)\n",
            "#endif\n#ifdef CONFIG_RUST_B\n",
            "XEN_IRQ_EXPORT(void, second, int)\n",
            "#endif\n",
        );
        assert_eq!(super::names(text, &["RUST_A".to_owned()]), ["first"]);
        assert_eq!(
            super::names(text, &["RUST_A".to_owned(), "RUST_B".to_owned()]),
            ["first", "second"]
        );
    }
}
