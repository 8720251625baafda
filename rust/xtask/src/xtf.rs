//! `cargo xtask xtf`: the tests of a built XTF tree as domains of the booted dom0, stock Xen beside ours.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::boot::{Flavour, XtfRun};
use crate::{setup, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The XTF tree, built.
    dir: PathBuf,
    /// Run only the tests whose names match, with `*` for any text: test-pv64-*.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    filter: String,
    /// Build Xen with CONFIG_DEBUG, that is with assertions.
    #[arg(long)]
    debug: bool,
    /// A Xen tree to build instead of Debian's source; it is copied, never changed.
    #[arg(long, value_name = "DIR")]
    xen_tree: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let tests = Tests::of(&args.dir, &args.filter)?;
    setup::ensure()?;
    let mut run = XtfRun::prepare(args.xen_tree, args.debug, &tests.files)?;
    let stock = run.results(Flavour::Stock)?;
    let rust = run.results(Flavour::Rust)?;
    let mut table = ui::Table::new(&["test", "stock", "rust", ""]);
    let mut different = 0;
    for name in &tests.names {
        let [stock, rust] = [&stock, &rust].map(|results| {
            let result = results.iter().find(|(test, _)| test == name);
            result.map_or("not run", |(_, result)| result.as_str())
        });
        // A test that ran on neither proves nothing.
        let same = stock == rust && stock != "not run";
        different += usize::from(!same);
        table.row([
            name.as_str(),
            stock,
            rust,
            if same { "" } else { "DIFFERENT" },
        ]);
    }
    table.print();
    println!("{} tests, {different} different", tests.names.len());
    ensure!(
        different == 0,
        "{different} tests have another result than on stock Xen"
    );
    Ok(())
}

/// The tests of a tree.
struct Tests {
    /// Their names, as the domains are called.
    names: Vec<String>,
    /// Their configurations and kernels, under the names that they have in dom0.
    files: Vec<(String, Vec<u8>)>,
}

impl Tests {
    /// Those of the tree `dir` whose names match `filter`.
    fn of(dir: &Path, filter: &str) -> Result<Self> {
        let mut tests = Self {
            names: Vec::new(),
            files: Vec::new(),
        };
        let top = dir.join("tests");
        let list = |dir: &Path| -> Result<Vec<PathBuf>> {
            let mut paths = Vec::new();
            let entries =
                fs::read_dir(dir).with_context(|| format!("{} is no XTF tree", dir.display()))?;
            for entry in entries {
                paths.push(entry?.path());
            }
            paths.sort();
            Ok(paths)
        };
        for test in list(&top)?.into_iter().filter(|path| path.is_dir()) {
            for config in list(&test)? {
                let Some(name) = file_name(&config).strip_suffix(".cfg").map(str::to_owned) else {
                    continue;
                };
                if matches(filter, &name) {
                    tests.add(&top, &test, &config)?;
                    tests.names.push(name);
                }
            }
        }
        if tests.names.is_empty() {
            bail!(
                "{} has no built test that matches {filter}: build XTF with `make` first",
                dir.display()
            );
        }
        Ok(tests)
    }

    /// Adds a configuration and the kernel that it names.
    fn add(&mut self, top: &Path, test: &Path, config: &Path) -> Result<()> {
        let text = fs::read_to_string(config)
            .with_context(|| format!("cannot read {}", config.display()))?;
        // XTF writes the place where it was built or is to be installed into the configuration.
        let inner = format!("/tests/{}/", file_name(test));
        let kernel = text
            .split('"')
            .find_map(|word| word.split_once(&inner))
            .map(|(_, kernel)| kernel.to_owned())
            .with_context(|| format!("{} names no kernel of its test", config.display()))?;
        let text = text
            .split('"')
            .map(|word| match word.split_once(&inner) {
                Some((_, file)) => format!("/xtf{inner}{file}"),
                None => word.to_owned(),
            })
            .collect::<Vec<_>>()
            .join("\"");
        let place = format!("xtf/tests/{}", file_name(test));
        let path = top.join(file_name(test)).join(&kernel);
        let image = fs::read(&path)
            .with_context(|| format!("cannot read {}: build XTF with `make`", path.display()))?;
        self.files
            .push((format!("{place}/{}", file_name(config)), text.into_bytes()));
        let kernel = format!("{place}/{kernel}");
        if !self.files.iter().any(|(name, _)| *name == kernel) {
            self.files.push((kernel, image));
        }
        Ok(())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether a name matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|&at| tail.is_char_boundary(at))
                .any(|at| matches(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name) in [
            ("*", "a"),
            ("a*c", "abc"),
            ("a*c", "ac"),
            ("*-b-*", "a-b-c"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a*c", "abd"), ("", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_tests_files_move_to_dom0() {
        let dir = tempfile::tempdir().unwrap();
        let test = dir.path().join("tests/one");
        fs::create_dir_all(&test).unwrap();
        let config = "name=\"test-pv64-one\"\nkernel=\"/build/here/tests/one/test-pv64-one\"\n";
        fs::write(test.join("test-pv64-one.cfg"), config).unwrap();
        assert!(Tests::of(dir.path(), "*").is_err(), "the kernel is missing");
        fs::write(test.join("test-pv64-one"), "kernel").unwrap();
        let tests = Tests::of(dir.path(), "*").unwrap();
        assert_eq!(tests.names, ["test-pv64-one"]);
        let text = String::from_utf8(tests.files[0].1.clone()).unwrap();
        assert!(text.contains("\"/xtf/tests/one/test-pv64-one\""), "{text}");
        assert_eq!(tests.files[1].0, "xtf/tests/one/test-pv64-one");
        assert!(Tests::of(dir.path(), "*hvm*").is_err());
    }
}
