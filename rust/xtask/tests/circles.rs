//! The modules of a crate do not import one another in circles.
//!
//! What counts is a path that begins with `crate`, `super` or `self` and leads to another module's
//! file, in an import or in code. A module that offers what its own submodules define does not
//! depend on them, so that submodules may use what it holds for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, UseTree};

/// The sources of a crate, by the path of the module.
type Sources = BTreeMap<Vec<String>, String>;

/// The crates, each by the folder of its sources.
const CRATES: [&str; 11] = [
    "rust/core/src",
    "rust/exports",
    "rust/hw/src",
    "rust/msi/src",
    "rust/remap/amd/src",
    "rust/remap/vtd/src",
    "rust/sim/src",
    "rust/vmsi/src",
    "rust/xen/src",
    "rust/xtask/src",
    "tests/twin/src",
];

/// Reads the sources below a folder, without those of tests.
fn read(folder: &Path, module: &[String], sources: &mut Sources) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "tests" {
            continue;
        }
        let mut module = module.to_vec();
        if !["lib", "main", "mod"].contains(&name.as_str()) {
            module.push(name);
        }
        if path.is_dir() {
            read(&path, &module, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(module, fs::read_to_string(&path).unwrap());
        }
    }
}

/// The paths in a file that begin with `crate`, `super` or `self`.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn of_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.of_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.0.push(with(&name.ident)),
            UseTree::Rename(rename) => self.0.push(with(&rename.ident)),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.of_tree(before, tree);
                }
            }
        }
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.of_tree(&[], &item.tree);
    }

    /// `pub(super)` uses nothing of that module.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        self.0.push(names.collect());
        visit::visit_path(self, path);
    }
}

/// The module that a path leads to, seen from another; `None` for one that is relative, or that
/// leads to the module itself, to one below it, or to the crate's root.
fn target(sources: &Sources, here: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut whole = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "super" | "self" => here.to_vec(),
        _ => return None,
    };
    for name in path {
        match name.as_str() {
            "crate" | "self" => {}
            "super" => {
                whole.pop();
            }
            name => whole.push(name.to_owned()),
        }
    }
    while !sources.contains_key(&whole) {
        whole.pop()?;
    }
    (!whole.is_empty() && !whole.starts_with(here)).then_some(whole)
}

/// The modules that lie on a circle, each with those of them that it uses.
fn circles(sources: &Sources) -> Vec<String> {
    let uses: BTreeMap<_, BTreeSet<_>> = sources
        .iter()
        .map(|(module, text)| {
            let mut paths = Paths::default();
            paths.visit_file(&syn::parse_file(text).unwrap());
            let targets = paths.0.iter();
            let targets = targets.filter_map(|path| target(sources, module, path));
            (module, targets.collect())
        })
        .collect();
    let reached = |from: &Vec<String>| {
        let mut found = BTreeSet::new();
        let mut next: Vec<_> = uses[from].iter().collect();
        while let Some(module) = next.pop() {
            if found.insert(module.clone()) {
                next.extend(&uses[module]);
            }
        }
        found
    };
    uses.keys()
        .filter(|module| reached(module).contains(**module))
        .map(|module| {
            let back = |used: &&Vec<String>| reached(used).contains(*module);
            let used = uses[module].iter().filter(back);
            let used: Vec<_> = used.map(|used| used.join("::")).collect();
            format!("{} uses {}", module.join("::"), used.join(", "))
        })
        .collect()
}

#[test]
fn modules_do_not_import_one_another_in_circles() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = 0;
    let mut found = Vec::new();
    for name in CRATES {
        let mut sources = Sources::new();
        read(&repository.join(name), &[], &mut sources);
        files += sources.len();
        found.extend(circles(&sources).iter().map(|one| format!("{name}: {one}")));
    }
    assert!(files > 150, "{files} sources");
    assert!(found.is_empty(), "circles: {found:#?}");
}

#[test]
fn a_circle_is_found_and_a_submodule_may_use_its_parent() {
    let sources = |of_c: &str| -> Sources {
        let files = [
            ("", "mod a; mod b; mod c;"),
            ("a", "use crate::b::{B, other::C}; mod tests;"),
            (
                "b",
                "mod d; pub use d::D; pub struct B; fn f() { super::c::f() }",
            ),
            ("b d", "use super::B; fn f(_: crate::b::B) {}"),
            ("c", of_c),
        ];
        let module = |name: &str| name.split_whitespace().map(str::to_owned).collect();
        files
            .map(|(name, text)| (module(name), text.to_owned()))
            .into()
    };
    assert_eq!(
        circles(&sources("#[cfg(test)] mod t { use crate::a; }")),
        [""; 0]
    );
    let all = ["a uses b", "b uses c", "c uses a"];
    assert_eq!(circles(&sources("use crate::a::A as Other;")), all);
    assert_eq!(circles(&sources("fn f() -> crate::a::A {}")), all);
    assert_eq!(
        circles(&sources("use crate::b::d::D;")),
        ["b uses c", "b::d uses b", "c uses b::d"]
    );
}
