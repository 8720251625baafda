//! Bytes of code per unit: the functions of the C file beside those that replace it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::SymbolKind;
use serde::Serialize;

use crate::abi;
use crate::gates::elf::Object;
use crate::twin::Twin;
use crate::{ui, units};

/// What several units use: locks, logs, entries of tables, look-ups of functions.
const SHARED: &str = "shared";

/// The units and what they share, so that moving code between them hides nothing.
const ALL: &str = "all";

/// Bytes of functions.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Code {
    pub(super) unit: &'static str,
    pub(super) c: u64,
    /// The Rust and its shim.
    pub(super) rust: u64,
}

/// Units that may have more code than one and a half times C's, with the most in percent and the
/// reason.
const LARGER: &[(&str, u64, &str)] = &[
    (
        "vmsi",
        280,
        "it keeps the messages of all entries, learns the answers of the device model, and takes \
         note of string instructions and of writes that straddle words",
    ),
    (
        "msi",
        207,
        "each step of setting up is undone where a later one fails, the masks of a block are \
         computed, and writes to configuration space are followed",
    ),
    (
        "vtd",
        177,
        "the source is checked against the bridges on its way, and entries are found by a map",
    ),
    (
        "amd",
        178,
        "an entry is freed after its invalidation, and pins are kept for reads without a lock",
    ),
    (ALL, 225, "as said of each"),
];

impl Code {
    /// Why there may be more of it than in C, and how much, in percent.
    fn bound(&self) -> (u64, &'static str) {
        let entry = LARGER.iter().find(|(unit, ..)| *unit == self.unit);
        entry.map_or((150, ""), |&(_, most, why)| (most, why))
    }

    /// One row of Markdown.
    pub(super) fn markdown(&self) -> String {
        let Self { unit, c, rust } = self;
        format!("| {unit} | {c} / {rust} | {} |\n", self.bound().1)
    }

    /// What is worse than promised.
    pub(super) fn complaint(&self) -> Option<String> {
        let most = self.bound().0;
        (self.c > 0 && self.rust * 100 > self.c * most).then(|| {
            format!(
                "{}: {} bytes of code, {} in C: more than {most} %",
                self.unit, self.rust, self.c
            )
        })
    }
}

/// Measures all units, and what they share.
///
/// # Errors
///
/// An object cannot be read, or holds no function of a unit.
pub(super) fn measure(twin: &Twin) -> Result<Vec<Code>> {
    let switches = abi::switches()?;
    let dir = twin.rust().objects.join("arch/x86/xen-irq");
    let mut rust: BTreeMap<&str, u64> = BTreeMap::new();
    for (symbol, bytes) in functions(&dir.join("xen-irq-rs.o"))? {
        let unit = match switches.get(&symbol) {
            Some(switch) => units::of_switch(switch).context("symbols.txt names no unit")?,
            None => unit_of(&symbol).unwrap_or(SHARED),
        };
        *rust.entry(unit).or_default() += bytes;
    }
    for unit in units::NAMES.into_iter().chain([SHARED]) {
        let name = if unit == SHARED { "shim" } else { unit };
        let bytes = total(&dir.join(format!("{name}.o")))?;
        *rust.entry(unit).or_default() += bytes;
    }
    let mut code = Vec::new();
    for unit in units::NAMES {
        let c = total(&twin.c_object(unit)?)?;
        let rust = rust.get(unit).copied().unwrap_or(0);
        ensure!(c > 0 && rust > 0, "no function of {unit} was found");
        code.push(Code { unit, c, rust });
    }
    let shared = rust.get(SHARED).copied().unwrap_or(0);
    let [c, rust] = [
        code.iter().map(|code| code.c).sum(),
        code.iter().map(|code| code.rust).sum::<u64>() + shared,
    ];
    for (unit, c, rust) in [(SHARED, 0, shared), (ALL, c, rust)] {
        code.push(Code { unit, c, rust });
    }
    Ok(code)
}

/// Shows them.
pub(super) fn print(code: &[Code]) {
    let mut table = ui::Table::new(&["bytes of code", "C", "Rust", "Rust / C"]);
    for Code { unit, c, rust } in code {
        let ratio = match c {
            0 => String::new(),
            c => format!("{:.2}", *rust as f64 / *c as f64),
        };
        table.row(vec![(*unit).into(), c.to_string(), rust.to_string(), ratio]);
    }
    table.print();
}

/// The functions of an object with their bytes, each once.
fn functions(path: &Path) -> Result<Vec<(String, u64)>> {
    let object = Object::read_symbols(path)?;
    let mut functions = BTreeMap::new();
    for symbol in object.symbols {
        if symbol.kind == SymbolKind::Text && !symbol.undefined && symbol.size > 0 {
            functions.insert((symbol.section, symbol.offset), (symbol.name, symbol.size));
        }
    }
    Ok(functions.into_values().collect())
}

/// Bytes of all functions of an object.
fn total(path: &Path) -> Result<u64> {
    Ok(functions(path)?.into_iter().map(|(_, bytes)| bytes).sum())
}

/// The unit to which a mangled name of Rust belongs, if it is one's alone.
fn unit_of(symbol: &str) -> Option<&'static str> {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    // `<vmsi::Type as …>::function` belongs where the type is.
    let path = name.trim_start_matches(['<', '&']);
    let mut path = path.split("::");
    let package = path.next()?;
    if let Some(unit) = units::of_package(&package.replace('_', "-")) {
        return Some(unit);
    }
    let module = match path.next()? {
        "remap" => path.next()?,
        module => module,
    };
    units::named(module).map(|unit| unit.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_belongs_to_the_unit_that_its_path_names() {
        let of = [
            ("_RNvNtCs1fiRYNDOfm6_3msi4mask3set", Some("msi")),
            ("_RNvNtCskhnRQhtWtRr_9remap_vtd6enable6enable", Some("vtd")),
            (
                "_RNvMNtNtNtCsaiUqGEJbbhE_3xen5remap3amd4lockNtB2_14RequesterTable10invalidate",
                Some("amd"),
            ),
            (
                "_RNvMs1_NtNtCsaiUqGEJbbhE_3xen4vmsi6tablesNtB5_5Table6set_up",
                Some("vmsi"),
            ),
            (
                "_RNvMs_NtNtCsaiUqGEJbbhE_3xen7objects4vcpuNtB4_4Vcpu14read_guest_u32",
                None,
            ),
        ];
        for (symbol, unit) in of {
            assert_eq!(unit_of(symbol), unit, "{symbol}");
        }
    }

    #[test]
    fn more_than_half_as_much_again_is_a_complaint() {
        let complaint = |rust| {
            let code = Code {
                unit: "test",
                c: 100,
                rust,
            };
            code.complaint()
        };
        assert_eq!(complaint(150), None);
        assert!(complaint(151).is_some());
    }
}
