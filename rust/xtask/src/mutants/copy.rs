//! A copy of the repository's sources in which slips stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::slip::{Place, Slip};
use crate::patch::repository;

/// What the crates and their tests are built from.
const SOURCES: [&str; 9] = [
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    "rust-toolchain.toml",
    "rust",
    "c-shim",
    "include",
    "tests/twin",
    "tests/gates",
];

/// The word that says which slip is chosen.
pub(super) const WORD: &str = "xen_irq_slip";

/// What goes into the lowest crate. The word is not zero, so that it has a place in the file, where
/// it is set.
const CHOICE: &str = r#"
#[allow(missing_docs, non_upper_case_globals, unsafe_code)]
#[unsafe(no_mangle)]
pub static xen_irq_slip: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(u32::MAX);

/// Whether this slip is chosen.
#[inline(always)]
pub fn slip(number: u32) -> bool {
    xen_irq_slip.load(core::sync::atomic::Ordering::Relaxed) == number
}
"#;

/// The texts of a copy, by their paths.
pub(super) struct Texts(BTreeMap<PathBuf, Vec<u8>>);

impl Texts {
    /// Reads the repository's sources.
    pub(super) fn read() -> Result<Self> {
        let mut texts = BTreeMap::new();
        for source in SOURCES {
            read_into(&mut texts, Path::new(source))?;
        }
        // A slip may leave something unused, and lints are no judge here.
        for (path, text) in &mut texts {
            if path.ends_with("Cargo.toml") {
                let kept = String::from_utf8_lossy(text)
                    .replace("[lints]\nworkspace = true\n", "")
                    .replace("[workspace.lints.rust]\n", "[workspace.metadata.rust]\n")
                    .replace(
                        "[workspace.lints.clippy]\n",
                        "[workspace.metadata.clippy]\n",
                    );
                // The choice is in the lowest crate, which not every unit uses.
                let core = "irq-core = { path = \"../core\" }\n";
                let kept = if kept.contains("irq-hw = ") {
                    kept
                } else {
                    kept.replace(core, &format!("{core}irq-hw = {{ path = \"../hw\" }}\n"))
                };
                *text = kept.into_bytes();
            }
        }
        Ok(Self(texts))
    }

    /// Puts one slip in.
    pub(super) fn slip(&mut self, slip: &Slip) -> Result<()> {
        let text = self.text(slip.file)?;
        let slipped = slip.slipped(&text)?;
        self.set(slip.file, slipped);
        Ok(())
    }

    /// Puts all of these slips in, each with the number by which it is chosen.
    pub(super) fn choose(&mut self, slips: &[(u32, Slip)]) -> Result<()> {
        let files: BTreeSet<_> = slips.iter().map(|(_, slip)| slip.file).collect();
        for file in files {
            let text = self.text(file)?;
            let of_file = slips.iter().filter(|(_, slip)| slip.file == file);
            let of_file: Vec<_> = of_file.map(|(number, slip)| (*number, slip)).collect();
            let name = if file.starts_with("hw/") {
                "crate::slip"
            } else if file.starts_with("exports/") {
                "xen::slip"
            } else {
                "irq_hw::slip"
            };
            self.set(file, choice(&text, &of_file, name)?);
        }
        let lowest = self.text("hw/src/lib.rs")?;
        let lowest = lowest.replace("#![forbid(unsafe_code)]", "") + CHOICE;
        self.set("hw/src/lib.rs", lowest);
        let edge =
            self.text("xen/src/lib.rs")? + "\n#[allow(missing_docs)]\npub use irq_hw::slip;\n";
        self.set("xen/src/lib.rs", edge);
        Ok(())
    }

    fn text(&self, file: &str) -> Result<String> {
        let path = Path::new("rust").join(file);
        let text = self
            .0
            .get(&path)
            .with_context(|| format!("there is no {}", path.display()))?;
        String::from_utf8(text.clone()).with_context(|| format!("{} is no text", path.display()))
    }

    fn set(&mut self, file: &str, text: String) {
        self.0
            .insert(Path::new("rust").join(file), text.into_bytes());
    }

    /// A number that changes with any text of what is judged or judges. The commands are neither.
    pub(super) fn hash(&self) -> String {
        let mut all = Vec::new();
        for (path, text) in &self.0 {
            if path.starts_with("rust/xtask") {
                continue;
            }
            all.extend_from_slice(path.as_os_str().as_encoded_bytes());
            all.extend_from_slice(&(text.len() as u64).to_le_bytes());
            all.extend_from_slice(text);
        }
        crate::cache::short_hash(&all)
    }

    /// Makes the folder hold these texts and no others; what is there already is not written again,
    /// so that cargo finds it unchanged.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        for old in files_below(folder)? {
            let path = old.strip_prefix(folder).unwrap_or(&old);
            if !self.0.contains_key(path) {
                std::fs::remove_file(&old)
                    .with_context(|| format!("cannot remove {}", old.display()))?;
            }
        }
        for (path, text) in &self.0 {
            let path = folder.join(path);
            if std::fs::read(&path).is_ok_and(|now| now == *text) {
                continue;
            }
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("cannot create {}", parent.display()))?;
            }
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The text with a choice at the place of each slip. Several slips may have the same place.
fn choice(text: &str, slips: &[(u32, &Slip)], name: &str) -> Result<String> {
    let mut places: BTreeMap<usize, Vec<(u32, Place)>> = BTreeMap::new();
    for &(number, slip) in slips {
        for place in slip.places(text)? {
            places.entry(place.at).or_default().push((number, place));
        }
    }
    let mut result = String::new();
    let mut end = 0;
    for (at, here) in places {
        let from = here[0].1.from;
        let wholes = here.iter().filter(|(_, place)| place.whole("").is_some());
        ensure!(
            at >= end
                && here.iter().all(|(_, place)| place.from == from)
                && (here.len() == 1 || wholes.count() == 0),
            "slips lie across each other at `{from}`"
        );
        result += &text[end..at];
        end = at + from.len();
        if let [(number, place)] = &here[..]
            && let Some(whole) = place.whole(&format!("{name}({number})"))
        {
            result += &whole;
            continue;
        }
        let is_statement = from.ends_with([';', '}']);
        result += if is_statement { "" } else { "(" };
        for (number, place) in here {
            result += &format!("if {name}({number}) {{ {} }} else ", place.to);
        }
        result += &format!("{{ {from} }}");
        result += if is_statement { "" } else { ")" };
    }
    result += &text[end..];
    Ok(result)
}

/// Reads a file, or all files below a folder, of the repository.
fn read_into(texts: &mut BTreeMap<PathBuf, Vec<u8>>, path: &Path) -> Result<()> {
    let place = repository().join(path);
    let files = if place.is_dir() {
        files_below(&place)?
    } else {
        vec![place]
    };
    for file in files {
        let text =
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let path = file.strip_prefix(repository()).unwrap_or(&file).to_owned();
        texts.insert(path, text);
    }
    Ok(())
}

/// All files below a folder, if there is one.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            // What the linker or an editor left behind is no source.
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::slip::slip;
    use super::*;

    #[test]
    fn a_choice_stands_for_each_slip() {
        let text = "let a = b + c; f(a); g(a);";
        let minus = slip("minus", "f", "", "b + c", "b - c");
        let times = slip("times", "f", "", "b + c", "b * c");
        let without = slip("without", "f", "", "f(a);", "");
        let slips = [(3, &minus), (4, &without), (5, &times)];
        assert_eq!(
            choice(text, &slips, "slip").unwrap(),
            "let a = (if slip(3) { b - c } else if slip(5) { b * c } else { b + c }); \
             if slip(4) {  } else { f(a); } g(a);"
        );
        let kept = slip("kept", "f", "", "f(a);", "f(!$slipped);");
        let text_of = |slips: &[(u32, &Slip)]| choice(text, slips, "slip");
        assert_eq!(
            text_of(&[(6, &kept)]).unwrap(),
            "let a = b + c; f(!slip(6)); g(a);"
        );
        assert!(text_of(&[(6, &kept), (4, &without)]).is_err());
        let across = slip("across", "f", "", "c; f", "");
        assert!(choice(text, &[(1, &minus), (2, &across)], "slip").is_err());
    }

    #[test]
    fn a_copy_holds_its_texts_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let texts = |paths: &[&str]| {
            Texts(
                paths
                    .iter()
                    .map(|path| (PathBuf::from(path), path.as_bytes().to_vec()))
                    .collect(),
            )
        };
        texts(&["a", "b/c"]).write(folder.path()).unwrap();
        let before = folder.path().join("a").metadata().unwrap().modified();
        texts(&["a", "d"]).write(folder.path()).unwrap();
        let after = folder.path().join("a").metadata().unwrap().modified();
        assert_eq!(before.unwrap(), after.unwrap());
        let mut names = files_below(folder.path()).unwrap();
        names.sort();
        assert_eq!(names, ["a", "d"].map(|name| folder.path().join(name)));
    }
}
