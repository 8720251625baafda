//! `cargo xtask xtf`: the tests of a built XTF tree as domains of the booted dom0, stock Xen beside
//! ours.
//!
//! - [`machines`]: a list of tests in as many machines as it takes.
//! - [`kept`]: results in plain files.
//! - [`tries`]: what a difference is worth.

mod kept;
mod machines;
mod tries;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::boot::{Flavour, XtfRun};
use crate::{arguments, host, ui};
use kept::Kept;
use machines::Boots;
use tries::{Tries, Verdict};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The XTF tree, built.
    dir: PathBuf,
    /// Run only the tests whose names match, with `*` for any text: test-pv64-*.
    #[arg(long, value_name = "GLOB", default_value = "*")]
    filter: String,
    /// Go on from the results in target/boot/xtf-*.txt: tests that have one there are not run.
    #[arg(long)]
    resume: bool,
    /// Build Xen with CONFIG_DEBUG, that is with assertions.
    #[arg(long)]
    debug: bool,
    /// A Xen tree to build instead of Debian's source; it is copied, never changed.
    #[arg(long, value_name = "DIR", value_parser = arguments::xen_tree())]
    xen_tree: Option<PathBuf>,
}

/// Stock Xen, and ours beside it.
const SIDES: [Flavour; 2] = [Flavour::Stock, Flavour::Rust];

/// Where more tests than these differ, it is no matter of chance, and none is tried again.
const MANY: usize = 24;

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let all = Test::all(&args.dir)?;
    let tests: Vec<&Test> = all
        .iter()
        .filter(|test| matches(&args.filter, &test.name))
        .collect();
    ensure!(
        !tests.is_empty(),
        "{} has no built test that matches {}",
        args.dir.display(),
        args.filter
    );
    host::ensure()?;
    let mut run = XtfRun::prepare(args.xen_tree, args.debug, files_of(&all))?;
    let mut results = Vec::new();
    for flavour in SIDES {
        let path = run.result(&format!("xtf-{}.txt", flavour.name()));
        let mut kept = Kept::open(path, &run.identity(flavour)?, args.resume)?;
        let left: Vec<&Test> = tests
            .iter()
            .copied()
            .filter(|test| kept.get(&test.name).is_none())
            .collect();
        machines::run(&mut run, flavour, &left, |test, result| {
            println!("{}: {} {result}", flavour.name(), test.name);
            kept.add(&test.name, result)
        })?;
        results.push(kept);
    }
    let result = |side: usize, test: &Test| results[side].get(&test.name).unwrap_or("not run");
    let different: Vec<&Test> = tests
        .iter()
        .copied()
        .filter(|test| result(0, test) != result(1, test))
        .collect();
    let mut table = ui::Table::new(&["test", "stock", "rust", ""]);
    for test in &tests {
        let [stock, rust] = [0, 1].map(|side| result(side, test));
        let mark = if stock == rust { "" } else { "DIFFERENT" };
        table.row([test.name.as_str(), stock, rust, mark]);
    }
    table.print();
    println!(
        "{} tests, {} different at the first run; results in {} and {}",
        tests.len(),
        different.len(),
        results[0].path().display(),
        results[1].path().display()
    );
    ensure!(
        different.len() <= MANY,
        "{} tests have another result than on stock Xen",
        different.len()
    );
    let first = different
        .iter()
        .map(|test| [0, 1].map(|side| Tries(vec![result(side, test).to_owned()])))
        .collect();
    let path = run.result("xtf-tries.txt");
    let bad = try_again(&mut run, &different, first, &path)?;
    ensure!(
        bad == 0,
        "{bad} tests have another result than on stock Xen, or have it more often"
    );
    Ok(())
}

/// Runs tests again whose results differ, prints all runs and what they say, and keeps the runs in
/// a file. Returns how many tests are different for certain. `first` are the results so far.
fn try_again(
    machine: &mut impl Boots,
    tests: &[&Test],
    first: Vec<[Tries; 2]>,
    path: &Path,
) -> Result<usize> {
    if tests.is_empty() {
        return Ok(0);
    }
    let mut lines = String::new();
    let mut repeat = |tests: &[&Test], times: usize| -> Result<BTreeMap<String, [Tries; 2]>> {
        let mut tries: BTreeMap<String, [Tries; 2]> = BTreeMap::new();
        for (side, flavour) in SIDES.into_iter().enumerate() {
            let list: Vec<&Test> = tests
                .iter()
                .flat_map(|&test| std::iter::repeat_n(test, times))
                .collect();
            machines::run(machine, flavour, &list, |test, result| {
                let line = format!("{}\t{}\t{result}\n", test.name, flavour.name());
                print!("again: {line}");
                lines += &line;
                fs::write(path, &lines)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                let of_test = tries.entry(test.name.clone()).or_default();
                of_test[side].0.push(result.to_owned());
                Ok(())
            })?;
        }
        Ok(tries)
    };
    let mut again = repeat(tests, tries::AGAIN)?;
    let mut runs = Vec::new();
    for (test, [mut stock, mut rust]) in tests.iter().zip(first) {
        let [more_stock, more_rust] = again.remove(&test.name).unwrap_or_default();
        stock.0.extend(more_stock.0);
        rust.0.extend(more_rust.0);
        runs.push((*test, tries::judge(&stock, &rust), [stock, rust]));
    }
    let open: Vec<&Test> = runs
        .iter()
        .filter(|(_, verdict, _)| *verdict == Verdict::Open)
        .map(|(test, ..)| *test)
        .collect();
    let mut rates = repeat(&open, tries::RATE)?;
    let mut table = ui::Table::new(&["test", "stock", "rust", ""]);
    let mut bad = 0;
    for (test, mut verdict, [stock, rust]) in runs {
        table.row([
            test.name.as_str(),
            &stock.summary(),
            &rust.summary(),
            verdict.words(),
        ]);
        if let Some([more_stock, more_rust]) = rates.remove(&test.name) {
            verdict = tries::judge_rate(&stock, &more_stock, &more_rust);
            table.row([
                "",
                &more_stock.summary(),
                &more_rust.summary(),
                verdict.words(),
            ]);
        }
        bad += usize::from(verdict == Verdict::Different);
    }
    table.print();
    println!("all of these runs in {}", path.display());
    Ok(bad)
}

/// A built test: one environment of one of XTF's directories.
struct Test {
    /// As its domain is called.
    name: String,
    /// Its configuration and its kernel, under the names that they have in dom0.
    files: [(String, Vec<u8>); 2],
}

impl Test {
    /// The tests of the tree `dir`.
    fn all(dir: &Path) -> Result<Vec<Self>> {
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
                if let Some(name) = file_name(&config).strip_suffix(".cfg") {
                    tests.push(Self::read(name, test, &config)?);
                }
            }
        }
        ensure!(
            !tests.is_empty(),
            "{} has no built test: build XTF with `make` first",
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

    /// Where its configuration is in dom0.
    fn config(&self) -> String {
        format!("/{}", self.files[0].0)
    }

    /// One that has no files.
    #[cfg(test)]
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            files: Default::default(),
        }
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
    use super::machines::tests::{Act, Fake};
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
        assert!(Test::all(dir.path()).is_err(), "the kernel is missing");
        fs::write(test.join("test-pv64-one"), "kernel").unwrap();
        let tests = Test::all(dir.path()).unwrap();
        assert_eq!(tests[0].name, "test-pv64-one");
        let files = files_of(&tests);
        let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
        let place = "xtf/tests/one/test-pv64-one";
        assert_eq!(names, [place, &format!("{place}.cfg")]);
        let text = String::from_utf8(files[1].1.clone()).unwrap();
        assert!(text.contains("\"/xtf/tests/one/test-pv64-one\""), "{text}");
        assert_eq!(tests[0].config(), format!("/{place}.cfg"));
    }

    #[test]
    fn a_difference_is_tried_again_on_both() {
        const GOOD: Act = Act::Ends("SUCCESS");
        const BAD: Act = Act::Ends("FAILURE");
        let names = ["stock", "once", "always", "rate"];
        let mut fake = Fake::default()
            // Only on stock Xen it varies.
            .with("stock", &[GOOD], &[GOOD])
            // It was bad with Rust once, and is good from then on, but for one of the first tries.
            .with("once", &[GOOD], &[GOOD, BAD, GOOD])
            .with("always", &[GOOD], &[BAD])
            // Each other time.
            .with("rate", &[GOOD], &[GOOD, BAD, GOOD, GOOD, Act::Hangs, GOOD]);
        let tests: Vec<Test> = names.iter().map(|name| Test::named(name)).collect();
        let tests: Vec<&Test> = tests.iter().collect();
        let tries = |stock: &str, rust: &str| [stock, rust].map(|run| Tries(vec![run.to_owned()]));
        let first = vec![
            tries("FAILURE", "SUCCESS"),
            tries("SUCCESS", "FAILURE"),
            tries("SUCCESS", "FAILURE"),
            tries("SUCCESS", "FAILURE"),
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tries");
        let bad = try_again(&mut fake, &tests, first, &path).unwrap();
        assert_eq!(bad, 2, "always, and rate");
        let text = fs::read_to_string(&path).unwrap();
        let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(lines("stock\tstock\t"), tries::AGAIN);
        assert_eq!(lines("stock\trust\t"), tries::AGAIN);
        assert_eq!(lines("always\trust\tFAILURE"), tries::AGAIN);
        assert_eq!(lines("once\tstock\t"), tries::AGAIN + tries::RATE);
        assert_eq!(lines("once\trust\t"), tries::AGAIN + tries::RATE);
        assert_eq!(lines("rate\trust\tmachine-hang"), 1);
    }
}
