//! Which symbols are offered, by whom, and which are missed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use object::SymbolKind;

use super::Inputs;
use super::manifest::{Entry, Kind};
use crate::gates::Finding;
use crate::gates::elf::Object;

/// The manifest names exactly what the C objects offer, with its kind; of those in work, nothing
/// that they do not offer.
pub(super) fn manifest_is_stock(inputs: &Inputs) -> Finding {
    let offered = offers(&inputs.stock);
    let listed: BTreeMap<&str, Kind> = inputs.manifest.public().map(entry).collect();
    let mut known = offered.clone();
    known.extend(offers(inputs.in_work.iter().map(|(whole, _)| whole)));
    let mut faults = missing(&listed, &known, "the C file");
    for (name, kind) in &offered {
        if !listed.contains_key(name) {
            faults.push(format!(
                "the C file offers {name} ({kind}), which symbols.txt does not list"
            ));
        }
    }
    Finding {
        figure: format!("{} symbols", offered.len()),
        faults,
    }
}

/// Everything in the manifest is offered by the Rust object or c-shim.
pub(super) fn offered(inputs: &Inputs) -> Finding {
    let mut offered = offers(&inputs.shim);
    let of_shim = offered.len();
    offered.extend(offers([&inputs.rust]));
    let listed = inputs.manifest.entries.iter().map(entry).collect();
    Finding {
        figure: format!("{} by Rust, {of_shim} by the shim", offered.len() - of_shim),
        faults: missing(&listed, &offered, "the build with Rust"),
    }
}

/// Nothing but the manifest is offered, save names with a prefix of this project's that no other
/// object refers to.
pub(super) fn leaks(inputs: &Inputs) -> Finding {
    let listed: BTreeSet<&str> = inputs
        .manifest
        .entries
        .iter()
        .map(|e| e.symbol.as_str())
        .collect();
    let mut faults = Vec::new();
    for name in offers([&inputs.rust])
        .into_keys()
        .filter(|name| !listed.contains(name))
    {
        faults.push(format!(
            "the Rust object offers {name}, which symbols.txt does not list"
        ));
    }
    for name in offers(&inputs.shim).into_keys() {
        if !listed.contains(name) && !is_ours(name) {
            faults.push(format!(
                "the shim offers {name}, which has no prefix of its own"
            ));
        }
    }
    // What is left of a C file calls the Rust part of it.
    let is_other = |object: &&Object| {
        let mut rests = inputs.in_work.iter().map(|(_, rest)| rest);
        !rests.any(|rest| rest.path == object.path)
    };
    let others = inputs.others.iter().filter(is_other);
    for object in others.chain(&inputs.stock) {
        for symbol in object
            .symbols
            .iter()
            .filter(|s| s.global && is_ours(&s.name))
        {
            faults.push(format!("{} refers to {}", object.path, symbol.name));
        }
    }
    let ours = offers(&inputs.shim)
        .into_keys()
        .chain(inputs.manifest.private().map(|e| e.symbol.as_str()));
    Finding {
        figure: format!(
            "{} private symbols, {} other objects",
            ours.count(),
            inputs.others.len()
        ),
        faults,
    }
}

/// Everything that the Rust object and the shim refer to is in the linked image.
pub(super) fn needs(inputs: &Inputs) -> Finding {
    let image: BTreeSet<&str> = inputs.image.exported().map(|s| s.name.as_str()).collect();
    let mut needed = BTreeSet::new();
    for object in inputs.shim.iter().chain([&inputs.rust]) {
        needed.extend(
            object
                .symbols
                .iter()
                .filter(|s| s.undefined && s.global)
                .map(|s| s.name.as_str()),
        );
    }
    let faults = needed
        .iter()
        .filter(|name| !image.contains(*name))
        .map(|name| {
            format!(
                "{name} is needed, but {} does not define it",
                inputs.image.path
            )
        })
        .collect();
    Finding {
        figure: format!("{} of Xen's symbols", needed.len()),
        faults,
    }
}

/// Each object from which a hook is to be called refers to it.
pub(super) fn hooks(inputs: &Inputs) -> Finding {
    let (mut faults, mut calls) = (Vec::new(), 0);
    for entry in &inputs.manifest.entries {
        for caller in &entry.callers {
            let refers = |object: &Object| {
                let mut symbols = object.symbols.iter();
                symbols.any(|symbol| symbol.undefined && symbol.name == entry.symbol)
            };
            let is_caller = |object: &&Object| Path::new(&object.path).ends_with(caller);
            calls += 1;
            if !inputs.others.iter().find(is_caller).is_some_and(refers) {
                faults.push(format!("{caller} does not call {}", entry.symbol));
            }
        }
    }
    Finding {
        figure: format!("{calls} callers"),
        faults,
    }
}

/// Names and kinds of what other objects see.
fn offers<'a>(objects: impl IntoIterator<Item = &'a Object>) -> BTreeMap<&'a str, Kind> {
    let mut offers = BTreeMap::new();
    for object in objects {
        for symbol in object.exported() {
            let code = symbol.kind == SymbolKind::Text;
            offers.insert(
                symbol.name.as_str(),
                if code { Kind::Text } else { Kind::Data },
            );
        }
    }
    offers
}

fn missing(
    listed: &BTreeMap<&str, Kind>,
    offered: &BTreeMap<&str, Kind>,
    who: &str,
) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, kind) in listed {
        match offered.get(name) {
            None => faults.push(format!("{who} does not offer {name}")),
            Some(other) if other != kind => {
                faults.push(format!("{name} is {other} in {who}, not {kind}"))
            }
            Some(_) => {}
        }
    }
    faults
}

fn entry(entry: &Entry) -> (&str, Kind) {
    (&entry.symbol, entry.kind)
}

/// Whether a name can only be this project's; a per-CPU variable has Xen's prefix before ours.
fn is_ours(name: &str) -> bool {
    let name = name.strip_prefix("per_cpu__").unwrap_or(name);
    name.starts_with("xen_irq_") || name.starts_with("shim_")
}
