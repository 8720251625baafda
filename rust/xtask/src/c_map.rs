//! `cargo xtask c-map`: where each function of the replaced C files went.
//!
//! The functions, static ones too, are those of the debug information of stock Xen's objects. A
//! Rust item says with `#[doc(alias = "…")]` which of them it does the work of, or has its name;
//! functions that only C can hold are in c-shim. docs/c-map.md is made from that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use syn::visit::{self, Visit};

use crate::gates::dwarf;
use crate::gates::elf::Object;
use crate::patch::repository;
use crate::units::{IN_WORK, UNITS};
use crate::xen;

/// Prove that docs/c-map.md tells where each function of the replaced C files went.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write docs/c-map.md anew.
    #[arg(long)]
    write: bool,
}

/// Where the Rust is that Xen links, without the tests.
const FOLDERS: [&str; 9] = [
    "rust/core/src",
    "rust/exports",
    "rust/hw/src",
    "rust/irq/src",
    "rust/msi/src",
    "rust/remap/amd/src",
    "rust/remap/vtd/src",
    "rust/vmsi/src",
    "rust/xen/src",
];

/// The file, below the repository.
const MAP: &str = "docs/c-map.md";

const HEADING: &str = "\
# Where each C function went

Made by `cargo xtask c-map --write` from stock Xen's objects and from the `#[doc(alias)]` of the Rust;
`cargo xtask c-map` proves it, as a part of `cargo xtask test`. A function in `rust/exports` takes C's
arguments and calls the unit; one in `c-shim` is reached through a pointer, or is what only C can hold.
";

/// A function, or another item, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// The file, below the repository.
    file: String,
    /// The item, with the type that it belongs to.
    item: String,
}

/// The functions of a C file.
struct CFile {
    /// Its name in Xen's tree.
    name: String,
    /// In the order of the file.
    functions: Vec<String>,
    /// Whether a part of them is in C still.
    in_work: bool,
}

/// The items that do the work of each function, by its name.
type Places = BTreeMap<String, BTreeSet<Place>>;

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let c_files = c_files()?;
    let mut places = rust_places()?;
    for (name, place) in shim_places()? {
        places.entry(name).or_default().insert(place);
    }
    let map = render(&c_files, &places)?;
    let path = repository().join(MAP);
    if args.write {
        fs::write(&path, &map).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    if present != map {
        bail!("{MAP} is not what the sources say; run `cargo xtask c-map --write`");
    }
    let count: usize = c_files.iter().map(|file| file.functions.len()).sum();
    println!("{MAP}: {count} functions of {} C files", c_files.len());
    Ok(())
}

/// The functions of the C files that the units replace.
fn c_files() -> Result<Vec<CFile>> {
    let options = xen::Options {
        flavour: xen::Flavour::Stock,
        ..Default::default()
    };
    let objects = xen::build(&options)?.objects;
    let done = UNITS.iter().map(|unit| (unit, false));
    done.chain(IN_WORK.iter().map(|unit| (unit, true)))
        .map(|(unit, in_work)| {
            let name = format!("{}.c", unit.object.trim_end_matches(".o"));
            let object = Object::read(&objects.join(unit.object))?;
            let functions = dwarf::functions_of_file(&object, &name)?;
            Ok(CFile {
                name,
                functions,
                in_work,
            })
        })
        .collect()
}

/// The Rust items, by the C functions that they say they do the work of, and by their own names.
fn rust_places() -> Result<Places> {
    let mut places = Places::new();
    for folder in FOLDERS {
        for path in files(&repository().join(folder), "rs")? {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let file = path.strip_prefix(repository())?.display().to_string();
            for (name, item) in items(&text).with_context(|| file.clone())? {
                let file = file.clone();
                places.entry(name).or_default().insert(Place { file, item });
            }
        }
    }
    Ok(places)
}

/// All files in a folder and below whose names end so.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What the items of a Rust file do the work of: names, each with the item.
fn items(text: &str) -> Result<Vec<(String, String)>> {
    #[derive(Default)]
    struct Items {
        /// The type whose methods are visited.
        of: Option<String>,
        found: Vec<(String, String)>,
    }

    impl Items {
        fn add(&mut self, name: &syn::Ident, attributes: &[syn::Attribute]) {
            let name = name.to_string();
            let item = match &self.of {
                Some(of) => format!("{of}::{name}"),
                None => name.clone(),
            };
            for alias in aliases(attributes) {
                self.found.push((alias, item.clone()));
            }
            // A method that is called as a C function has nothing to do with it.
            if self.of.is_none() {
                self.found.push((name, item));
            }
        }
    }

    impl<'ast> Visit<'ast> for Items {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            self.add(&item.sig.ident, &item.attrs);
        }

        fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
            self.add(&item.ident, &item.attrs);
        }

        fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
            let is_test = |attribute: &syn::Attribute| attribute.path().is_ident("cfg");
            if !item.attrs.iter().any(is_test) {
                visit::visit_item_mod(self, item);
            }
        }

        fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
            if let syn::Type::Path(path) = &*item.self_ty
                && let Some(last) = path.path.segments.last()
            {
                self.of = Some(last.ident.to_string());
            }
            visit::visit_item_impl(self, item);
            self.of = None;
        }

        fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
            self.add(&item.sig.ident, &item.attrs);
        }
    }

    let mut items = Items::default();
    items.visit_file(&syn::parse_file(text)?);
    Ok(items.found)
}

/// The names in `#[doc(alias = "…")]`.
fn aliases(attributes: &[syn::Attribute]) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident("doc")) {
        // Other forms of the attribute are documentation.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("alias") {
                found.push(meta.value()?.parse::<syn::LitStr>()?.value());
            }
            Ok(())
        });
    }
    found
}

/// The functions that c-shim defines.
fn shim_places() -> Result<Vec<(String, Place)>> {
    let folder = repository().join("c-shim");
    let mut found = Vec::new();
    for path in files(&folder, "c")? {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = path.strip_prefix(repository())?.display().to_string();
        for item in c_definitions(&text) {
            let file = file.clone();
            found.push((item.clone(), Place { file, item }));
        }
    }
    Ok(found)
}

/// The functions that a C file in Xen's style defines: a line that begins at the margin and is not
/// a declaration.
fn c_definitions(text: &str) -> Vec<String> {
    let begins = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase());
    text.lines()
        .filter(begins)
        .filter(|line| !line.trim_end().ends_with(';'))
        .filter_map(|line| {
            let (head, _) = line.split_once('(')?;
            let name = head.rsplit([' ', '*']).next()?;
            (!name.is_empty() && head != name).then(|| name.to_owned())
        })
        .collect()
}

/// The map.
///
/// # Errors
///
/// A function without an item, or an alias that is no function of these files.
fn render(c_files: &[CFile], places: &Places) -> Result<String> {
    let mut map = HEADING.to_owned();
    let mut missing = Vec::new();
    for file in c_files {
        let part = if file.in_work {
            ", what is in Rust so far"
        } else {
            ""
        };
        write!(map, "\n## {}{part}\n\n| C | here |\n|---|---|\n", file.name)?;
        for function in &file.functions {
            let Some(found) = places.get(function) else {
                if file.in_work {
                    continue;
                }
                missing.push(format!("{function} ({})", file.name));
                continue;
            };
            let mut found: Vec<_> = found.iter().collect();
            // First what does the work, then what C calls.
            found.sort_by_key(|place| (place.file.starts_with("rust/exports"), *place));
            let found: Vec<_> = found
                .iter()
                .map(|place| match place.item == *function {
                    true => format!("`{}`", place.file),
                    false => format!("`{}` `{}`", place.file, place.item),
                })
                .collect();
            writeln!(map, "| `{function}` | {} |", found.join(", "))?;
        }
    }
    if !missing.is_empty() {
        bail!(
            "no item has #[doc(alias)] for these C functions: {}",
            missing.join(", ")
        );
    }
    let known: BTreeSet<_> = c_files.iter().flat_map(|file| &file.functions).collect();
    let dangling: Vec<_> = places
        .iter()
        .flat_map(|(name, found)| found.iter().map(move |place| (name, place)))
        // An item's own name need not be one of C's.
        .filter(|(name, place)| !known.contains(name) && place.item != **name)
        .map(|(name, place)| format!("{name} ({})", place.file))
        .collect();
    if !dangling.is_empty() {
        bail!(
            "no C function has the name of these aliases: {}",
            dangling.join(", ")
        );
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(item: &str) -> BTreeSet<Place> {
        let file = "rust/msi/src/mask.rs".to_owned();
        let item = item.to_owned();
        [Place { file, item }].into()
    }

    fn msi(functions: &[&str]) -> [CFile; 1] {
        [CFile {
            name: "arch/x86/msi.c".into(),
            functions: functions.iter().map(|&name| name.into()).collect(),
            in_work: false,
        }]
    }

    #[test]
    fn items_are_found_by_alias_and_by_name() {
        let text = r#"
            /// Masks.
            #[doc(alias = "mask_msi_irq")]
            #[doc(alias = "msi_set_mask_bit")]
            pub fn mask() {}
            impl Desc<'_> {
                #[doc(alias = "msi_compose_msg")]
                fn compose(&self) {}
                fn dump_msi() {}
            }
            fn read_pci_mem_bar() {}
            #[cfg(test)]
            mod tests {
                #[doc(alias = "early_msi_init")]
                fn test() {}
            }
        "#;
        let pair = |name: &str, item: &str| (name.to_owned(), item.to_owned());
        assert_eq!(
            items(text).unwrap(),
            [
                pair("mask_msi_irq", "mask"),
                pair("msi_set_mask_bit", "mask"),
                pair("mask", "mask"),
                pair("msi_compose_msg", "Desc::compose"),
                pair("read_pci_mem_bar", "read_pci_mem_bar"),
            ]
        );
    }

    #[test]
    fn definitions_of_c_are_found() {
        let text = "void cf_check mask_msi_irq(struct irq_desc *desc)\n{\n    f(desc);\n}\n\
                    struct msi_desc *find(int a,\n    int b)\nint f(void);\n";
        assert_eq!(c_definitions(text), ["mask_msi_irq", "find"]);
    }

    #[test]
    fn missing_and_dangling_names_are_errors() {
        let c = msi(&["mask_msi_irq"]);
        let mut places = Places::new();
        let error = render(&c, &places).unwrap_err().to_string();
        assert!(error.contains("mask_msi_irq (arch/x86/msi.c)"), "{error}");

        places.insert("mask_msi_irq".into(), place("mask"));
        places.insert("mask".into(), place("mask"));
        let map = render(&c, &places).unwrap();
        assert!(map.ends_with("| `mask_msi_irq` | `rust/msi/src/mask.rs` `mask` |\n"));

        let mut part = msi(&["mask_msi_irq", "unmask_msi_irq"]);
        assert!(render(&part, &places).is_err());
        part[0].in_work = true;
        assert!(render(&part, &places).unwrap().contains("so far"));

        places.insert("mask_msi_irqs".into(), place("mask"));
        let error = render(&c, &places).unwrap_err().to_string();
        assert!(
            error.contains("mask_msi_irqs (rust/msi/src/mask.rs)"),
            "{error}"
        );
    }
}
