//! `cargo xtask xtf`: the tests of a built XTF tree as domains of the booted dom0, stock Xen beside ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::boot::{Flavour, XtfRun};
use crate::{arguments, setup, ui};

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
    #[arg(long, value_name = "DIR", value_parser = arguments::xen_tree())]
    xen_tree: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let tests = Test::all(&args.dir, &args.filter)?;
    setup::ensure()?;
    let mut run = XtfRun::prepare(args.xen_tree, args.debug)?;
    let mut results = Results::default();
    let files = files_of(&tests);
    for (side, flavour) in [Flavour::Stock, Flavour::Rust].into_iter().enumerate() {
        results.take(side, run.results(flavour, &files)?);
    }
    results.table(&tests).print();
    let different = tests
        .iter()
        .filter(|test| results.differ(&test.name))
        .count();
    println!("{} tests, {different} different", tests.len());
    ensure!(
        different == 0,
        "{different} tests have another result than on stock Xen"
    );
    Ok(())
}

/// The result of each test on stock Xen and on ours.
#[derive(Default)]
struct Results(BTreeMap<String, [Option<String>; 2]>);

impl Results {
    fn take(&mut self, side: usize, results: Vec<(String, String)>) {
        for (test, result) in results {
            self.0.entry(test).or_default()[side] = Some(result);
        }
    }

    /// Whether a test's results differ. One that ran on neither proves nothing, and counts as well.
    fn differ(&self, test: &str) -> bool {
        let pair = self.0.get(test);
        pair.is_none_or(|[stock, rust]| stock.is_none() || stock != rust)
    }

    fn table(&self, tests: &[Test]) -> ui::Table {
        let mut table = ui::Table::new(&["test", "stock", "rust", ""]);
        for test in tests {
            let [stock, rust] = [0, 1].map(|side| {
                let pair = self.0.get(&test.name);
                pair.and_then(|pair| pair[side].as_deref())
                    .unwrap_or("not run")
            });
            let mark = if self.differ(&test.name) {
                "DIFFERENT"
            } else {
                ""
            };
            table.row([test.name.as_str(), stock, rust, mark]);
        }
        table
    }
}

/// A built test: one environment of one of XTF's directories.
struct Test {
    /// As its domain is called.
    name: String,
    /// Its configuration and its kernel, under the names that they have in dom0.
    files: [(String, Vec<u8>); 2],
}

impl Test {
    /// The tests of the tree `dir` whose names match `filter`.
    fn all(dir: &Path, filter: &str) -> Result<Vec<Self>> {
        let list = |path: &Path| -> Result<Vec<PathBuf>> {
            let mut paths = Vec::new();
            let entries =
                fs::read_dir(path).with_context(|| format!("{} is no XTF tree", dir.display()))?;
            for entry in entries {
                paths.push(entry?.path());
            }
            paths.sort();
            Ok(paths)
        };
        let mut tests = Vec::new();
        for test in list(&dir.join("tests"))?
            .iter()
            .filter(|path| path.is_dir())
        {
            for config in list(test)? {
                if let Some(name) = file_name(&config).strip_suffix(".cfg")
                    && matches(filter, name)
                {
                    tests.push(Self::read(name, test, &config)?);
                }
            }
        }
        ensure!(
            !tests.is_empty(),
            "{} has no built test that matches {filter}: build XTF with `make` first",
            dir.display()
        );
        Ok(tests)
    }

    /// Reads a configuration of the test in `dir`, and the kernel that it names.
    fn read(name: &str, dir: &Path, config: &Path) -> Result<Self> {
        let text = fs::read_to_string(config)
            .with_context(|| format!("cannot read {}", config.display()))?;
        // XTF writes the place where it was built or is to be installed into the configuration.
        let inner = format!("/tests/{}/", file_name(dir));
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
        let path = dir.join(&kernel);
        let image = fs::read(&path)
            .with_context(|| format!("cannot read {}: build XTF with `make`", path.display()))?;
        let place = format!("xtf{inner}");
        Ok(Self {
            name: name.to_owned(),
            files: [
                (format!("{place}{}", file_name(config)), text.into_bytes()),
                (format!("{place}{kernel}"), image),
            ],
        })
    }
}

/// The files of some tests, which share kernels.
fn files_of(tests: &[Test]) -> Vec<(String, Vec<u8>)> {
    let files: BTreeMap<_, _> = tests.iter().flat_map(|test| test.files.clone()).collect();
    files.into_iter().collect()
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
        assert!(Test::all(dir.path(), "*").is_err(), "the kernel is missing");
        fs::write(test.join("test-pv64-one"), "kernel").unwrap();
        let tests = Test::all(dir.path(), "*").unwrap();
        assert_eq!(tests[0].name, "test-pv64-one");
        let files = files_of(&tests);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        let place = "xtf/tests/one/test-pv64-one";
        assert_eq!(names, [place, &format!("{place}.cfg")]);
        let text = String::from_utf8(files[1].1.clone()).unwrap();
        assert!(text.contains("\"/xtf/tests/one/test-pv64-one\""), "{text}");
        assert!(Test::all(dir.path(), "*hvm*").is_err());
    }

    #[test]
    fn results_are_compared() {
        let result = |result: &str| vec![("one".to_owned(), result.to_owned())];
        let mut results = Results::default();
        assert!(results.differ("one"), "it ran on neither");
        results.take(0, result("SUCCESS"));
        assert!(results.differ("one"), "it ran on stock alone");
        results.take(1, result("CRASH"));
        assert!(results.differ("one"));
        results.take(1, result("SUCCESS"));
        assert!(!results.differ("one"));
        assert!(results.differ("two"));
    }
}
