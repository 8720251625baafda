//! What is built from a copy besides the object that Xen links: the tests of the host's crates.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use object::read::elf::ElfFile64;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use super::copy::WORD;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::units::{self, Unit};

/// The crates whose tests run on the host.
const TESTED: [&str; 3] = ["irq-core", "irq-hw", "irq-sim"];

/// The features of the library: a replaced file each, and one in work at most.
pub(super) fn features(in_work: Option<&Unit>) -> String {
    let in_work = in_work.map(|unit| unit.name);
    let all: Vec<_> = units::NAMES.into_iter().chain(in_work).collect();
    all.join(",")
}

/// Builds the tests of a copy's crates; returns their programs, those of the crate itself first.
pub(super) fn tests(copy: &Path) -> Result<Vec<PathBuf>> {
    let packages = TESTED.iter().flat_map(|name| ["--package", name]);
    let messages = Cmd::new("cargo")
        .args(["test", "--quiet", "--offline", "--no-run", "--tests"])
        .arg("--message-format=json-render-diagnostics")
        .args(packages)
        .dir(copy)
        // What the crates depend on is there already, where their own tests are built.
        .env("CARGO_TARGET_DIR", repository().join("target"))
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper(copy)?)
        .output()?;
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cargo printed no JSON")?;
        let program = message.get("executable").and_then(|path| path.as_str());
        programs.extend(program.map(PathBuf::from));
    }
    ensure!(
        programs.len() >= TESTED.len(),
        "cargo built {} test programs, where {} crates have some",
        programs.len(),
        TESTED.len()
    );
    programs.sort();
    Ok(programs)
}

/// Makes a program beside a copy that runs rustc and does nothing else; returns its path.
///
/// Cargo names what it builds from a workspace by hashes in which the workspace's own path is not,
/// and takes one copy's tests for those of another in the same target folder. The wrapper's path is
/// in them.
fn wrapper(copy: &Path) -> Result<PathBuf> {
    let path = copy.with_extension("rustc");
    std::fs::write(&path, "#!/bin/sh\nexec \"$@\"\n")
        .and_then(|()| std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)))
        .with_context(|| format!("cannot make {} a program", path.display()))?;
    Ok(path)
}

/// Whether a program has the word that chooses: the linker drops it where no slip looks at it.
pub(super) fn has_choice(program: &Path) -> Result<bool> {
    let data =
        std::fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let file = ElfFile64::<object::Endianness>::parse(&*data).context("this is no ELF file")?;
    Ok(file.symbols().any(|symbol| symbol.name() == Ok(WORD)))
}

/// Copies a program or an object in which all slips stand, with one of them chosen.
pub(super) fn chosen(from: &Path, to: &Path, number: u32) -> Result<()> {
    let mut data =
        std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let place = word(&data).with_context(|| format!("in {}", from.display()))?;
    data[place..place + 4].copy_from_slice(&number.to_le_bytes());
    std::fs::write(to, data).with_context(|| format!("cannot write {}", to.display()))?;
    let permissions = std::fs::metadata(from)?.permissions();
    std::fs::set_permissions(to, permissions)
        .with_context(|| format!("cannot make {} a program", to.display()))
}

/// Where in a file the word is that chooses.
fn word(data: &[u8]) -> Result<usize> {
    let file = ElfFile64::<object::Endianness>::parse(data).context("this is no ELF file")?;
    let mut symbols = file.symbols();
    let symbol = symbols
        .find(|symbol| symbol.name() == Ok(WORD) && symbol.is_definition())
        .with_context(|| format!("there is no {WORD}"))?;
    let section = symbol
        .section_index()
        .context("the word is in no section")
        .and_then(|index| Ok(file.section_by_index(index)?))?;
    let (start, size) = section
        .file_range()
        .context("the word is not in the file")?;
    let offset = symbol.address() - section.address();
    ensure!(offset + 4 <= size, "the word is not in its section");
    let place = usize::try_from(start + offset)?;
    ensure!(
        data[place..place + 4] == [0xff; 4],
        "the word is set already"
    );
    Ok(place)
}
