//! `cargo xtask gates`: proves on the object that is linked what Xen demands of its code.
//!
//! Each gate stands for a rule that Xen or its linker scripts impose (docs/rules.md). It reports
//! a figure and the offending symbols. [`planted`] shows that each of them can fail.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::ui::Table;
use crate::xen;

mod alignment;
mod branches;
mod code;
pub(crate) mod dwarf;
pub(crate) mod elf;
mod endbr;
mod fences;
mod frame;
mod ir;
mod locked;
mod masks;
mod names;
mod narrow;
mod panics;
mod planted;
mod red_zone;
mod relocations;
mod stack;
mod subject;
mod vectors;

pub(crate) use subject::Finding;
use subject::{Inputs, Subject};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Rust object to examine, with its LLVM IR beside it as a .ll file, or a finished object
    /// tree of Xen [default: the one that xtask builds].
    object: Option<PathBuf>,
    /// Objects of c-shim that go with OBJECT.
    #[arg(long, requires = "object")]
    shim: Vec<PathBuf>,
    /// Instead, compile a fault for each gate and see the gate fail on it.
    #[arg(long, conflicts_with = "object")]
    self_check: bool,
}

/// Where Xen's make puts the objects of this project.
pub(crate) const FOLDER: &str = "arch/x86/xen-irq";

pub(crate) use crate::xen::RUST_OBJECT;

/// One proof.
pub(crate) struct Gate {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// The option of Xen's configuration without which Xen does not demand it, as with a compiler
    /// that cannot do it.
    only_with: Option<&'static str>,
    check: fn(&Subject) -> Finding,
}

/// A proof that is always asked for.
const fn gate(name: &'static str, check: fn(&Subject) -> Finding) -> Gate {
    Gate {
        name,
        only_with: None,
        check,
    }
}

impl Gate {
    /// The same, asked for only with an option of Xen's configuration.
    const fn only_with(self, option: &'static str) -> Self {
        Self {
            only_with: Some(option),
            ..self
        }
    }
}

/// All proofs, in the order of the rules.
pub(crate) const GATES: [Gate; 17] = [
    gate("relocations", relocations::check),
    gate("vector registers", vectors::check),
    gate("red zone", red_zone::check),
    gate("indirect branches", branches::indirect).only_with("CONFIG_INDIRECT_THUNK"),
    gate("returns", branches::returns).only_with("CONFIG_RETURN_THUNK"),
    gate("jump tables", branches::jump_tables),
    gate("ENDBR64", endbr::check).only_with("CONFIG_XEN_IBT"),
    gate("narrow parameters", narrow::check),
    gate("stack alignment", alignment::check),
    gate("speculation fences", fences::check),
    gate("names", names::check),
    gate("panics", panics::check),
    gate("traps", panics::traps),
    gate("stack frames", stack::frames),
    gate("recursion", stack::recursion),
    gate("locked exchanges", locked::check),
    gate("masked indices", masks::check),
];

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.self_check {
        return planted::run();
    }
    let inputs = match args.object {
        Some(objects) if objects.is_dir() => of_build(&objects)?,
        Some(object) => {
            let mut inputs = Inputs::read(&object)?;
            for path in &args.shim {
                inputs.shim.push(elf::Object::read(path)?);
            }
            inputs
        }
        None => of_build(&xen::build(&xen::Options::default())?.objects)?,
    };
    prove(&inputs)
}

/// What the gates find in another Rust object than that of a build, which has its IR beside it.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn faults(build: &xen::Build, object: &Path) -> Result<Vec<String>> {
    let mut inputs = of_build(&build.objects)?;
    let other = Inputs::read(object)?;
    (inputs.rust, inputs.ir) = (other.rust, other.ir);
    let subject = inputs.subject();
    let wanted = GATES
        .iter()
        .filter(|gate| gate.only_with.is_none_or(|option| inputs.is_on(option)));
    let faults = wanted.flat_map(|gate| {
        let faults = (gate.check)(&subject).faults;
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", gate.name))
    });
    Ok(faults.collect())
}

/// The objects of a Xen build with Rust in it.
fn of_build(objects: &Path) -> Result<Inputs> {
    let mut inputs = Inputs::read(&objects.join(RUST_OBJECT))?;
    let config = objects.join(".config");
    let text = std::fs::read_to_string(&config)
        .with_context(|| format!("cannot read {}", config.display()))?;
    inputs.config = Some(text);
    for path in shim_objects(objects)? {
        inputs.shim.push(elf::Object::read(&path)?);
    }
    // What xen-syms is linked from, everything in one object and with its relocations.
    inputs
        .rest
        .push(elf::Object::read_image(&objects.join("prelink.o"))?);
    Ok(inputs)
}

/// The objects that Xen's make built from c-shim.
///
/// # Errors
/// The build has none.
pub(crate) fn shim_objects(objects: &Path) -> Result<Vec<PathBuf>> {
    let folder = objects.join(FOLDER);
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".o")
            && !name.starts_with('.')
            && !["built_in.o", "xen-irq-rs.o"].contains(&&*name)
        {
            found.push(path);
        }
    }
    found.sort();
    ensure!(
        !found.is_empty(),
        "there are no objects in {}",
        folder.display()
    );
    Ok(found)
}

/// Runs all gates and prints a table of their figures.
fn prove(inputs: &Inputs) -> Result<()> {
    let subject = inputs.subject();
    let results = GATES.iter().map(|gate| {
        let finding = match gate.only_with {
            Some(option) if !inputs.is_on(option) => Finding {
                figure: format!("not demanded without {option}"),
                faults: Vec::new(),
            },
            _ => (gate.check)(&subject),
        };
        (gate.name, finding)
    });
    report("gate", &inputs.rust.path, results)
}

/// Prints a table of findings and each fault.
///
/// # Errors
/// There is a fault.
pub(crate) fn report(
    kind: &str,
    object: &str,
    findings: impl IntoIterator<Item = (&'static str, Finding)>,
) -> Result<()> {
    let mut table = Table::new(&[kind, "result", "figure"]);
    let mut faults = Vec::new();
    for (name, finding) in findings {
        let result = if finding.faults.is_empty() {
            "pass"
        } else {
            "FAIL"
        };
        table.row([name, result, &finding.figure]);
        faults.extend(
            finding
                .faults
                .into_iter()
                .map(|fault| format!("{name}: {fault}")),
        );
    }
    println!("{object}");
    table.print();
    for fault in &faults {
        eprintln!("{fault}");
    }
    ensure!(faults.is_empty(), "{} faults in {object}", faults.len());
    Ok(())
}
