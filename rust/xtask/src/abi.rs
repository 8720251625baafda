//! `cargo xtask abi`: proves that the Rust object takes the place of the C objects, symbol by
//! symbol.
//!
//! What C offered is offered, with the same kind and prototype; nothing else leaks out; and what
//! Rust needs is there. That the prototypes are those of Xen's headers is a matter for the
//! compiler: c-shim/abi.c, a part of every build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::gates::elf::Object;
use crate::gates::{self, Finding, RUST_OBJECT};
use crate::patch::repository;
use crate::units;
use crate::{arguments, xen};

mod header;
mod manifest;
mod paths;
mod planted;
mod prototypes;
mod symbols;

use manifest::Manifest;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Instead, plant faults of each kind and see them found.
    #[arg(long, conflicts_with_all = ["objects", "stock_objects"])]
    self_check: bool,
    /// A finished object tree of Xen with Rust in it, instead of the one that xtask builds.
    #[arg(
        long,
        value_name = "DIR",
        requires = "stock_objects",
        value_parser = arguments::directory()
    )]
    objects: Option<PathBuf>,
    /// A finished object tree of upstream's Xen, to compare with.
    #[arg(
        long,
        value_name = "DIR",
        requires = "objects",
        value_parser = arguments::directory()
    )]
    stock_objects: Option<PathBuf>,
}

/// The switch of each symbol that include/symbols.txt lists.
///
/// # Errors
/// The list cannot be read.
pub(crate) fn switches() -> Result<BTreeMap<String, String>> {
    let entries = Manifest::parse(&read("symbols.txt")?)?.entries.into_iter();
    Ok(entries.map(|entry| (entry.symbol, entry.switch)).collect())
}

/// Everything that is compared.
struct Inputs {
    /// include/symbols.txt, without the switches that are off.
    manifest: Manifest,
    /// The symbols for which include/exports.h has a prototype.
    declared: Vec<String>,
    /// The objects of the C files.
    stock: Vec<Object>,
    /// Those of C files of which a part is in Rust, each with what is left of it.
    in_work: Vec<(Object, Object)>,
    /// The Rust object.
    rust: Object,
    /// The objects of c-shim.
    shim: Vec<Object>,
    /// All other objects of the build with Rust in it.
    others: Vec<Object>,
    /// The names that the linked image defines.
    image: Object,
}

/// Name and check of each row of the table.
type Check = (&'static str, fn(&Inputs) -> Finding);

const CHECKS: [Check; 7] = [
    ("manifest is what C offers", symbols::manifest_is_stock),
    ("Rust and shim offer it", symbols::offered),
    ("nothing leaks out", symbols::leaks),
    ("what they need exists", symbols::needs),
    ("hooks are called", symbols::hooks),
    ("prototypes of Rust and C agree", prototypes::check),
    ("each has a line in exports.h", header::check),
];

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.self_check {
        return planted::run();
    }
    let (stock, rust) = match (args.stock_objects, args.objects) {
        (Some(stock), Some(rust)) => (stock, rust),
        _ => (built(xen::Flavour::Stock)?, built(xen::Flavour::Rust)?),
    };
    let inputs = Inputs::read(&stock, &rust)?;
    let mut results: Vec<_> = CHECKS
        .iter()
        .map(|(name, check)| (*name, check(&inputs)))
        .collect();
    let paths = paths::check(&rust.join(RUST_OBJECT))?;
    results.push(("no path of the host", paths));
    gates::report("check", &inputs.rust.path, results)
}

/// Builds Xen and returns its object tree.
fn built(flavour: xen::Flavour) -> Result<PathBuf> {
    let options = xen::Options {
        flavour,
        ..Default::default()
    };
    Ok(xen::build(&options)?.objects)
}

/// Reads a file of include/.
fn read(name: &str) -> Result<String> {
    let path = repository().join("include").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

impl Inputs {
    fn read(stock: &Path, objects: &Path) -> Result<Self> {
        let config =
            std::fs::read_to_string(objects.join(".config")).context("the build has no .config")?;
        let mut manifest = Manifest::parse(&read("symbols.txt")?)?;
        manifest
            .entries
            .retain(|entry| config.contains(&format!("CONFIG_{}=y\n", entry.switch)));
        ensure!(
            !manifest.entries.is_empty(),
            "the build has no part in Rust"
        );
        let (mut stock_objects, mut in_work) = (Vec::new(), Vec::new());
        for switch in manifest.switches() {
            let Some(unit) = units::switched_by(&switch) else {
                bail!("xtask does not know which C file {switch} replaces");
            };
            let object = Object::read(&stock.join(unit.object))?;
            match units::in_work(unit.name) {
                Some(_) => in_work.push((object, Object::read(&objects.join(unit.object))?)),
                None => stock_objects.push(object),
            }
        }
        Ok(Self {
            declared: header::names(&read("exports.h")?, &manifest.switches()),
            manifest,
            stock: stock_objects,
            in_work,
            rust: Object::read(&objects.join(RUST_OBJECT))?,
            shim: gates::shim_objects(objects)?
                .iter()
                .map(|p| Object::read(p))
                .collect::<Result<_>>()?,
            others: other_objects(objects)?,
            image: Object::read_symbols(&objects.join("xen-syms"))?,
        })
    }
}

/// The symbols of all objects of a build that are made from C and assembler outside c-shim.
fn other_objects(root: &Path) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path: PathBuf = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !path.ends_with(gates::FOLDER) && name != "tools" {
                pending.push(path);
            } else if name.ends_with(".o") && !name.starts_with('.') && !is_collection(&name) {
                // Some objects are for 16-bit or 32-bit mode, and refer to nothing outside their
                // own kind.
                objects.extend(Object::read_symbols(&path));
            }
        }
    }
    Ok(objects)
}

/// Objects that are linked from the objects below them.
fn is_collection(name: &str) -> bool {
    name.starts_with("built_in") || name.starts_with("built-in") || name == "prelink.o"
}
