//! Shows that no check of the ABI is blind: a small C file and a Rust one that takes its place, and
//! for each kind of fault a Rust file, a manifest or a header that is wrong in that way.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::manifest::Manifest;
use super::{CHECKS, Inputs, header};
use crate::fixture;
use crate::gates::elf::Object;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::ui::{self, Table};

/// What the fixture in C offers.
const MANIFEST: &str = concat!(
    "RUST_A abi_first text\nRUST_A abi_second text\nRUST_A abi_value data\n",
    "RUST_A xen_irq_abi_private text\nRUST_A abi_hook text hook other.o\n",
);

/// A header that names all of it.
const HEADER: &str = "XEN_IRQ_EXPORT(int, abi_first,\nXEN_IRQ_EXPORT(bool, abi_second,\nXEN_IRQ_EXPORT(int, abi_value,\n";

/// One planted fault.
struct Plant {
    /// The check that must fail.
    check: &'static str,
    /// The `cfg` of the Rust fixture, or macro of the C fixtures, that plants it; empty for none.
    define: &'static str,
    /// The manifest.
    manifest: &'static str,
    /// The header.
    header: &'static str,
    /// The file name of the shim's object.
    shim: &'static str,
    /// What the check must name.
    names: &'static str,
}

const CLEAN: Plant = Plant {
    check: "",
    define: "",
    manifest: MANIFEST,
    header: HEADER,
    shim: "abi.o",
    names: "",
};

const PLANTS: &[Plant] = &[
    Plant {
        check: "manifest is what C offers",
        manifest: "RUST_A abi_first text\nRUST_A abi_value data\nRUST_A xen_irq_abi_private text\n",
        names: "the C file offers abi_second",
        ..CLEAN
    },
    Plant {
        check: "manifest is what C offers",
        manifest: concat!(
            "RUST_A abi_first text\nRUST_A abi_second text\nRUST_A abi_value data\nRUST_A xen_irq_abi_private text\n",
            "RUST_A abi_third text\n"
        ),
        names: "the C file does not offer abi_third",
        ..CLEAN
    },
    Plant {
        check: "manifest is what C offers",
        manifest: "RUST_A abi_first text\nRUST_A abi_second text\nRUST_A abi_value text\nRUST_A xen_irq_abi_private text\n",
        names: "abi_value is data in the C file, not text",
        ..CLEAN
    },
    Plant {
        check: "Rust and shim offer it",
        define: "PLANT_MISSING",
        names: "does not offer abi_second",
        ..CLEAN
    },
    Plant {
        check: "Rust and shim offer it",
        define: "PLANT_KIND",
        names: "abi_second is data",
        ..CLEAN
    },
    Plant {
        check: "nothing leaks out",
        define: "PLANT_EXTRA",
        names: "abi_extra",
        ..CLEAN
    },
    Plant {
        check: "nothing leaks out",
        define: "PLANT_SHIM_EXTRA",
        names: "the shim offers abi_helper",
        ..CLEAN
    },
    Plant {
        check: "nothing leaks out",
        define: "PLANT_INTRUDER",
        names: "refers to xen_irq_abi_private",
        ..CLEAN
    },
    Plant {
        check: "what they need exists",
        define: "PLANT_NEED",
        names: "abi_nowhere is needed",
        ..CLEAN
    },
    Plant {
        check: "hooks are called",
        define: "PLANT_NO_HOOK",
        names: "other.o does not call abi_hook",
        ..CLEAN
    },
    Plant {
        check: "hooks are called",
        manifest: "RUST_A abi_hook text hook nowhere.o\n",
        names: "nowhere.o does not call abi_hook",
        ..CLEAN
    },
    Plant {
        check: "prototypes of Rust and C agree",
        define: "PLANT_COUNT",
        names: "abi_first: Rust takes 1",
        ..CLEAN
    },
    Plant {
        check: "prototypes of Rust and C agree",
        define: "PLANT_NARROW",
        names: "abi_first: parameter 1",
        ..CLEAN
    },
    Plant {
        check: "prototypes of Rust and C agree",
        define: "PLANT_RESULT",
        names: "abi_first: the result",
        ..CLEAN
    },
    Plant {
        check: "prototypes of Rust and C agree",
        define: "PLANT_PRIVATE",
        names: "xen_irq_abi_private: parameter 0",
        ..CLEAN
    },
    Plant {
        check: "each has a line in exports.h",
        header: "XEN_IRQ_EXPORT(int, abi_first,\nXEN_IRQ_EXPORT(int, abi_value,\n",
        names: "no prototype of abi_second",
        ..CLEAN
    },
    Plant {
        check: "each has a line in exports.h",
        shim: "shim.o",
        names: "has not compiled c-shim/abi.c",
        ..CLEAN
    },
];

/// Sees the clean fixtures pass every check, and every check fail on its faults.
///
/// # Errors
/// A check was wrong, or a fixture does not compile.
pub(super) fn run() -> Result<()> {
    let step = ui::step("planting faults for the ABI");
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let clean = build(&CLEAN, folder.path())?;
    for (name, check) in CHECKS {
        if let Some(fault) = check(&clean).faults.first() {
            bail!("the check `{name}` fails on the clean fixtures: {fault}");
        }
    }
    let mut table = Table::new(&["check", "planted", "seen"]);
    for plant in PLANTS {
        let inputs = build(plant, folder.path())?;
        let Some((_, check)) = CHECKS.iter().find(|(name, _)| *name == plant.check) else {
            bail!("there is no check `{}`", plant.check);
        };
        let faults = check(&inputs).faults;
        let Some(seen) = faults.iter().find(|fault| fault.contains(plant.names)) else {
            bail!(
                "the check `{}` does not say `{}`: it says {faults:?}",
                plant.check,
                plant.names
            );
        };
        let what = match plant.define {
            "" if plant.manifest != MANIFEST => "symbols.txt",
            "" if plant.header != HEADER => "exports.h",
            "" => plant.shim,
            define => define,
        };
        table.row([plant.check, what, seen]);
    }
    if let Some((name, _)) = CHECKS
        .iter()
        .find(|(name, _)| PLANTS.iter().all(|p| p.check != *name))
    {
        bail!("no fault is planted for the check `{name}`");
    }
    step.done();
    table.print();
    Ok(())
}

fn build(plant: &Plant, folder: &Path) -> Result<Inputs> {
    let rust = folder.join("rust.o");
    let mut rustc = Cmd::new("rustc")
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=obj",
            "-Copt-level=2",
            "-Cdebuginfo=2",
            "-Cpanic=abort",
        ])
        .arg("-o")
        .arg(&rust)
        .arg(repository().join("tests/gates/abi.rs"))
        .dir(repository());
    if !plant.define.is_empty() {
        rustc = rustc.args(["--cfg", plant.define]);
    }
    rustc.run()?;
    let stock = folder.join("stock.o");
    let shim = folder.join(plant.shim);
    let other = folder.join("other.o");
    for (name, object) in [("abi-stock", &stock), ("abi", &shim), ("abi-other", &other)] {
        fixture::compile(name, plant.define, &["-g"], object)?;
    }
    let image = folder.join("image.o");
    Cmd::new("ld")
        .args(["-r", "-o"])
        .arg(&image)
        .args([&rust, &shim, &other])
        .run()?;
    Ok(Inputs {
        manifest: Manifest::parse(plant.manifest)?,
        declared: header::names(plant.header, &[]),
        in_work: Vec::new(),
        stock: vec![Object::read(&stock)?],
        rust: Object::read(&rust)?,
        shim: vec![Object::read(&shim)?],
        others: vec![Object::read_symbols(&other)?],
        image: Object::read_symbols(&image)?,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_check_passes_the_clean_fixtures_and_fails_on_its_faults() -> anyhow::Result<()> {
        super::run()
    }
}
