//! What the series and Rust change in a build, and what they must not change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget};

use super::{Build, Compiler, Flavour, Options, build};
use crate::{cache, ui};

/// Proves that the series changes nothing as long as the menu is off: every object of the patched
/// tree has what upstream's has, but for numbers of lines. Returns how many were compared.
///
/// # Errors
///
/// When one differs, or is there on one side only.
pub(crate) fn menu_off() -> Result<usize> {
    let [stock, off] = [Flavour::Stock, Flavour::MenuOff].map(|flavour| {
        build(&Options {
            flavour,
            ..Options::default()
        })
    });
    let [stock, off] = [results(&stock?.objects)?, results(&off?.objects)?];
    let differ: Vec<String> = stock
        .iter()
        .filter(|(path, sum)| off.get(*path) != Some(sum))
        .chain(off.iter().filter(|(path, _)| !stock.contains_key(*path)))
        .map(|(path, _)| path.display().to_string())
        .collect();
    ensure!(
        differ.is_empty(),
        "{} of {} files of the build differ although the menu is off: {}",
        differ.len(),
        stock.len(),
        differ.join(" ")
    );
    Ok(stock.len())
}

/// Builds Xen with Rust by each compiler, with and without assertions.
pub(crate) fn matrix() -> Result<Vec<Build>> {
    let mut built = Vec::new();
    for compiler in [Compiler::Gcc, Compiler::Clang] {
        for debug in [false, true] {
            built.push(build(&Options {
                debug,
                compiler,
                ..Options::default()
            })?);
        }
    }
    Ok(built)
}

/// How long make takes for one directory of Xen in a tree that is otherwise built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// For the Rust part, core included, with nothing built before.
    pub(crate) cold: Duration,
    /// For the Rust part with nothing changed.
    pub(crate) unchanged: Duration,
    /// For a small directory in C with nothing changed: what make itself takes.
    pub(crate) make: Duration,
}

/// Measures [`Times`]; leaves the build as it was.
pub(crate) fn times() -> Result<Times> {
    const RUST: &str = "arch/x86/xen-irq/";
    let options = Options::default();
    let built = build(&options)?;
    let make = options.make(&built.tree, &built.objects);
    let timed = |target: &str, text: &str| {
        let start = Instant::now();
        make.run(target, text).map(|()| start.elapsed())
    };
    // The lock that `build` takes: nobody else may build here meanwhile.
    let _lock = super::lock(&built.objects)?;
    timed(RUST, "building the Rust part, nothing changed")?;
    let unchanged = timed(RUST, "building the Rust part, nothing changed, timed")?;
    let make_alone = timed(
        "arch/x86/genapic/",
        "building a directory in C, nothing changed, timed",
    )?;
    let (dir, aside) = (
        built.objects.join(RUST),
        built.objects.join("xen-irq.aside"),
    );
    fs::rename(&dir, &aside).context("cannot put the Rust part aside")?;
    let cold = timed(RUST, "building the Rust part, cold, timed");
    fs::remove_dir_all(&dir).context("cannot remove the timed build")?;
    fs::rename(&aside, &dir).context("cannot put the Rust part back")?;
    Ok(Times {
        cold: cold?,
        unchanged,
        make: make_alone,
    })
}

/// What the objects of a build come to, by their path in the object tree.
fn results(objects: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let step = ui::step(format!("reading {}", objects.display()));
    let mut sums = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(objects.join(&dir))
            .with_context(|| format!("cannot read {}", objects.display()))?
        {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if is_result(&path) {
                let bytes = fs::read(objects.join(&path))?;
                let sum = digest(&bytes).with_context(|| format!("cannot read {path:?}"))?;
                sums.insert(path, sum);
            }
        }
    }
    ensure!(!sums.is_empty(), "{} has no objects", objects.display());
    step.done();
    Ok(sums)
}

/// Tells whether a file is an ELF object that goes into the hypervisor. Tools of the host do not;
/// the number of the build, which changes with debug information, is no ELF.
fn is_result(path: &Path) -> bool {
    let is_object = path.extension().is_some_and(|end| end == "o");
    is_object && !path.starts_with("tools") && !path.ends_with("buildid.o")
}

/// A number that changes with what an object has, but for where its source's lines are: in debug
/// information, and in the frames of BUG(), which keep a line in the upper byte of each word.
fn digest(bytes: &[u8]) -> Result<String> {
    let file = object::File::parse(bytes)?;
    let mut text = String::new();
    for section in file.sections() {
        let name = section.name()?;
        // Relocations are read below.
        if name.contains(".debug_") || name.starts_with(".rela") {
            continue;
        }
        let data = section.uncompressed_data()?;
        writeln!(text, "{name} {}", cache::short_hash(&data))?;
        for (at, relocation) in section.relocations() {
            let target = match relocation.target() {
                RelocationTarget::Symbol(index) => {
                    let symbol = file.symbol_by_index(index)?;
                    let section = symbol.section_index();
                    let section = section.map(|index| file.section_by_index(index));
                    let section = section.transpose()?;
                    let section = section.as_ref().map(|section| section.name());
                    let section = section.transpose()?.unwrap_or_default();
                    format!("{} {section} {:#x}", symbol.name()?, symbol.address())
                }
                other => format!("{other:?}"),
            };
            let addend = match name.starts_with(".bug_frames") {
                true => relocation.addend() & 0xff_ffff,
                false => relocation.addend(),
            };
            writeln!(text, "{at:#x} {:?} {target} {addend}", relocation.flags())?;
        }
    }
    Ok(cache::short_hash(text.as_bytes()))
}
