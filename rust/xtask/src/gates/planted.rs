//! Shows that no gate is blind: compiles one fixture that passes them all, and for each kind of
//! fault one that the responsible gate must refuse by name.
//!
//! The fixtures (tests/gates) are compiled for the host with the flags of the Xen build, less the
//! one that a plant leaves out.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::GATES;
use super::elf::Object;
use super::subject::Inputs;
use crate::fixture;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::ui::{self, Table};

/// The flags of the Xen build that the gates guard (c-shim/Makefile). The host's core was built
/// without them, which does not matter: the fixtures take nothing but macros and inline functions
/// from it.
const FLAGS: [&str; 14] = [
    "-Copt-level=2",
    "-Cdebuginfo=2",
    "-Crelocation-model=pic",
    "-Ccode-model=small",
    "-Zdirect-access-external-data=yes",
    "-Zplt=yes",
    "-Cno-redzone=yes",
    "-Cpanic=abort",
    "-Cforce-unwind-tables=no",
    "-Cjump-tables=no",
    "-Zretpoline-external-thunk=yes",
    "-Zfunction-return=thunk-extern",
    "-Csymbol-mangling-version=v0",
    "-Cunsafe-allow-abi-mismatch=retpoline,retpoline-external-thunk",
];

/// One planted fault.
struct Plant {
    /// The gate that must fail.
    gate: &'static str,
    /// The Rust fixture, without `.rs`.
    rust: &'static str,
    /// Compiler flags against the rules, behind those of the build.
    flags: &'static [&'static str],
    /// The macro that plants a fault in the C fixtures; empty for none.
    c: &'static str,
    /// How often the object is linked with itself.
    copies: usize,
    /// What the gate must name.
    names: &'static str,
}

const CLEAN: Plant = Plant {
    gate: "",
    rust: "clean",
    flags: &[],
    c: "",
    copies: 1,
    names: "",
};

const PLANTS: &[Plant] = &[
    Plant {
        gate: "relocations",
        flags: &["-Zdirect-access-external-data=no"],
        names: "outside_data",
        ..CLEAN
    },
    Plant {
        gate: "vector registers",
        rust: "float",
        names: "planted_float",
        ..CLEAN
    },
    Plant {
        gate: "vector registers",
        rust: "x87",
        names: "planted_x87",
        ..CLEAN
    },
    Plant {
        gate: "red zone",
        rust: "red_zone",
        flags: &["-Cno-redzone=no"],
        names: "planted_red_zone",
        ..CLEAN
    },
    Plant {
        gate: "red zone",
        rust: "red_zone",
        flags: &["-Cno-redzone=no", "-Cforce-frame-pointers=yes"],
        names: "planted_red_zone",
        ..CLEAN
    },
    Plant {
        gate: "indirect branches",
        flags: &["-Zretpoline-external-thunk=no"],
        names: "clean_pointer",
        ..CLEAN
    },
    Plant {
        gate: "returns",
        flags: &["-Zfunction-return=keep"],
        names: "clean_loop",
        ..CLEAN
    },
    Plant {
        gate: "jump tables",
        rust: "jump_table",
        flags: &["-Cjump-tables=yes", "-Zretpoline-external-thunk=no"],
        names: "planted_jump_table",
        ..CLEAN
    },
    Plant {
        gate: "ENDBR64",
        flags: &["-Zcf-protection=branch"],
        names: "clean_narrow",
        ..CLEAN
    },
    Plant {
        gate: "ENDBR64",
        rust: "endbr_bytes",
        names: "planted_endbr_bytes",
        ..CLEAN
    },
    Plant {
        gate: "ENDBR64",
        c: "PLANT_MISSING",
        names: "shim_local_target",
        ..CLEAN
    },
    Plant {
        gate: "ENDBR64",
        c: "PLANT_SUPERFLUOUS",
        names: "shim_called",
        ..CLEAN
    },
    Plant {
        gate: "ENDBR64",
        c: "PLANT_BYTES",
        names: "shim_called",
        ..CLEAN
    },
    Plant {
        gate: "ENDBR64",
        c: "PLANT_REST",
        names: "shim_called",
        ..CLEAN
    },
    Plant {
        gate: "narrow parameters",
        rust: "narrow",
        names: "planted_narrow: parameter 1",
        ..CLEAN
    },
    Plant {
        gate: "narrow parameters",
        rust: "narrow",
        names: "planted_narrow: the IR",
        ..CLEAN
    },
    Plant {
        gate: "stack alignment",
        rust: "aligned",
        names: "planted_aligned",
        ..CLEAN
    },
    Plant {
        gate: "speculation fences",
        rust: "merged_fences",
        names: "planted_merged_fences",
        ..CLEAN
    },
    Plant {
        gate: "speculation fences",
        rust: "bare_lock",
        names: "planted_bare_lock",
        ..CLEAN
    },
    Plant {
        gate: "speculation fences",
        rust: "bare_trylock",
        names: "planted_bare_trylock",
        ..CLEAN
    },
    Plant {
        gate: "speculation fences",
        rust: "half_fenced",
        names: "planted_half_fenced",
        ..CLEAN
    },
    Plant {
        gate: "speculation fences",
        rust: "unevaluated",
        names: "msixtbl_init evaluates 0 of 1 conditions",
        ..CLEAN
    },
    Plant {
        gate: "names",
        rust: "mangled",
        names: "planted_mangled",
        ..CLEAN
    },
    Plant {
        gate: "names",
        rust: "long_name",
        names: "planted_long_name",
        ..CLEAN
    },
    Plant {
        gate: "names",
        rust: "duplicate",
        copies: 2,
        names: "planted_duplicate",
        ..CLEAN
    },
    Plant {
        gate: "panics",
        rust: "panic",
        names: "planted_panic",
        ..CLEAN
    },
    Plant {
        gate: "panics",
        rust: "allocator",
        names: "planted_allocator",
        ..CLEAN
    },
    Plant {
        gate: "traps",
        rust: "trap",
        names: "planted_trap",
        ..CLEAN
    },
    Plant {
        gate: "stack frames",
        rust: "big_frame",
        names: "planted_big_frame",
        ..CLEAN
    },
    Plant {
        gate: "stack frames",
        rust: "variable_frame",
        names: "planted_variable_frame",
        ..CLEAN
    },
    Plant {
        gate: "recursion",
        rust: "recursion",
        names: "planted_ping",
        ..CLEAN
    },
    Plant {
        gate: "locked exchanges",
        rust: "unlocked",
        names: "planted_unlocked_pair",
        ..CLEAN
    },
    Plant {
        gate: "locked exchanges",
        rust: "unlocked",
        names: "planted_unlocked_word",
        ..CLEAN
    },
    Plant {
        gate: "locked exchanges",
        rust: "plain_store",
        names: "xen_irq_amd_iommu_ioapic_update_ire has 0 of 1",
        ..CLEAN
    },
    Plant {
        gate: "masked indices",
        rust: "unmasked",
        names: "xen_irq_msixtbl_read+",
        ..CLEAN
    },
    Plant {
        gate: "masked indices",
        rust: "unmasked",
        names: "xen_irq_msixtbl_write masks no index",
        ..CLEAN
    },
];

/// Sees the clean fixture pass every gate, and every gate fail on its faults.
///
/// # Errors
/// A gate was wrong, or a fixture does not compile.
pub(super) fn run() -> Result<()> {
    let step = ui::step("planting faults for the gates");
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let clean = build(&CLEAN, folder.path())?.findings();
    for (gate, faults) in &clean {
        if let Some(fault) = faults.first() {
            bail!("the gate `{gate}` fails on the clean fixture: {fault}");
        }
    }
    let mut table = Table::new(&["gate", "planted", "seen"]);
    for plant in PLANTS {
        let inputs = build(plant, folder.path())?;
        let findings = inputs.findings();
        let Some((_, faults)) = findings.iter().find(|(gate, _)| *gate == plant.gate) else {
            bail!("there is no gate `{}`", plant.gate);
        };
        let Some(seen) = faults.iter().find(|fault| fault.contains(plant.names)) else {
            bail!(
                "the gate `{}` does not see {}: it names {faults:?}",
                plant.gate,
                plant.what()
            );
        };
        table.row([plant.gate, &plant.what(), seen]);
    }
    if let Some(gate) = GATES
        .iter()
        .find(|gate| PLANTS.iter().all(|plant| plant.gate != gate.name))
    {
        bail!("no fault is planted for the gate `{}`", gate.name);
    }
    step.done();
    table.print();
    Ok(())
}

impl Inputs {
    /// The faults that each gate finds.
    fn findings(&self) -> Vec<(&'static str, Vec<String>)> {
        let subject = self.subject();
        GATES
            .iter()
            .map(|gate| (gate.name, (gate.check)(&subject).faults))
            .collect()
    }
}

impl Plant {
    fn what(&self) -> String {
        let mut words = vec![self.rust];
        words.extend(self.flags);
        words.extend(Some(self.c).filter(|name| !name.is_empty()));
        words.join(" ")
    }
}

/// Compiles a plant's fixtures and reads them.
fn build(plant: &Plant, folder: &Path) -> Result<Inputs> {
    let object = rust(plant, folder)?;
    let mut inputs = Inputs::read(&object)?;
    inputs.shim.push(c("shim", plant, folder)?);
    inputs.rest.push(c("rest", plant, folder)?);
    Ok(inputs)
}

/// Compiles the Rust fixture; its IR lies beside the object.
fn rust(plant: &Plant, folder: &Path) -> Result<PathBuf> {
    let object = folder.join("rust.o");
    Cmd::new("rustc")
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=obj,llvm-ir",
            "--target=x86_64-unknown-linux-gnu",
        ])
        .args(FLAGS)
        .args(plant.flags)
        .arg("--out-dir")
        .arg(folder)
        .arg(repository().join(format!("tests/gates/{}.rs", plant.rust)))
        .dir(repository())
        .env("RUSTC_BOOTSTRAP", "1")
        .run()?;
    let compiled = folder.join(format!("{}.o", plant.rust));
    let merge = Cmd::new("ld").args(["-r", "-o"]).arg(&object);
    merge
        .args(std::iter::repeat_n(&compiled, plant.copies))
        .run()?;
    std::fs::copy(compiled.with_extension("ll"), object.with_extension("ll"))
        .context("rustc wrote no IR")?;
    Ok(object)
}

/// Compiles a C fixture with Xen's flags for ENDBR64.
fn c(name: &str, plant: &Plant, folder: &Path) -> Result<Object> {
    let object = folder.join(format!("{name}.o"));
    let flags = [
        "-ffunction-sections",
        "-fdata-sections",
        "-fpic",
        "-fvisibility=hidden",
        "-fcf-protection=branch",
        "-mmanual-endbr",
    ];
    fixture::compile(name, plant.c, &flags, &object)?;
    Object::read(&object)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_gate_passes_the_clean_fixture_and_fails_on_its_faults() -> anyhow::Result<()> {
        super::run()
    }
}
