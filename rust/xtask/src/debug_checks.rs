//! `cargo xtask debug-checks`: the checks of the replaced C files that debug builds keep.
//!
//! tests/debug-checks.txt has every `ASSERT`, `BUG` and `WARN` of the C, each with what stands for
//! it: a check in a Rust function, or the reason why there is none. The command compares the list
//! with the C of the tree that is built; the Rust is compared in the tests of this crate, too.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::patch::repository;
use crate::units::{IN_WORK, UNITS, Unit};
use crate::xen;

/// Prove that each debug check of the replaced C files has its place in Rust, or a reason.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// The list, below the repository.
const LIST: &str = "tests/debug-checks.txt";

/// The macros of C that are checks.
const MACROS: [&str; 7] = [
    "ASSERT",
    "ASSERT_UNREACHABLE",
    "ASSERT_PDEV_LIST_IS_READ_LOCKED",
    "BUG",
    "BUG_ON",
    "WARN",
    "WARN_ON",
];

/// What a check in Rust is made with.
const RUST_MACROS: [&str; 3] = ["xen_assert!(", "xen_warn!(", "debug_assert!("];

/// Around what is left to Rust in a file of which a part stays in C: what begins it, before the
/// unit's switch, and what ends it.
const LEFT_OUT: (&str, &str) = ("#ifndef CONFIG_", "#endif /* !CONFIG_");

/// A check, by the function and the text of the check without white space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Check {
    function: String,
    text: String,
}

/// A check of C in the list.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// The C file.
    file: String,
    check: Check,
    /// The file of each check in Rust, with the check.
    rust: Vec<(String, Check)>,
    /// Whether a reason is given.
    has_reason: bool,
}

/// A text without white space.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect()
}

/// Reads `function: text`.
fn check(line: &str) -> Result<Check> {
    let (function, text) = line
        .split_once(": ")
        .with_context(|| format!("{LIST}: no function in `{line}`"))?;
    Ok(Check {
        function: function.trim().to_owned(),
        text: squeeze(text),
    })
}

/// Reads the list. A C file stands at the margin, a check of it behind two spaces, and behind four
/// what stands for it: `file function: text`, where a method is `Type::method`, or `= reason`.
fn parse(list: &str) -> Result<Vec<Entry>> {
    let mut file = None;
    let mut entries: Vec<Entry> = Vec::new();
    for line in list.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(place) = line.strip_prefix("    ") {
            let entry = entries
                .last_mut()
                .with_context(|| format!("{LIST}: `{line}` stands for nothing"))?;
            if place.starts_with("= ") {
                entry.has_reason = true;
                continue;
            }
            let (file, rest) = place
                .split_once(' ')
                .with_context(|| format!("{LIST}: no file in `{line}`"))?;
            let check = check(rest)?;
            ensure!(
                RUST_MACROS.iter().any(|name| check.text.contains(name)),
                "{LIST}: `{rest}` is no check"
            );
            entry.rust.push((file.to_owned(), check));
        } else if let Some(text) = line.strip_prefix("  ") {
            let file: &String = file.as_ref().context("a check of no file")?;
            entries.push(Entry {
                file: file.clone(),
                check: check(text)?,
                rust: Vec::new(),
                has_reason: false,
            });
        } else {
            file = Some(line.to_owned());
        }
    }
    for entry in &entries {
        ensure!(
            entry.has_reason || !entry.rust.is_empty(),
            "{LIST}: nothing stands for {}: {}",
            entry.check.function,
            entry.check.text
        );
    }
    Ok(entries)
}

/// C or Rust without its comments.
fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(at) = rest.find('/') {
        code.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else if rest.starts_with("//") {
            rest.find('\n')
        } else {
            code.push('/');
            Some(1)
        };
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    code + rest
}

/// How long the text in brackets is that a text begins with, with both brackets.
fn bracketed(text: &str, (open, close): (char, char)) -> Option<usize> {
    let mut depth = 0usize;
    for (at, character) in text.char_indices() {
        if character == open {
            depth += 1;
        } else if character == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

/// The parts of a unit's file that are left to Rust: between conditions, or all.
fn left_out(text: &str, switch: &str) -> String {
    let (begin, end) = LEFT_OUT;
    let begin = format!("{begin}{switch}\n");
    if !text.contains(&begin) {
        return text.to_owned();
    }
    let blocks = text.split(begin.as_str()).skip(1);
    blocks
        .filter_map(|block| block.split_once(end).map(|(block, _)| block))
        .collect()
}

/// The functions of a C file in Xen's style, with their bodies: the brackets of a body stand at the
/// margin.
fn c_functions(code: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("\n{") {
        let (head, body) = rest.split_at(at + 1);
        let length = bracketed(body, ('{', '}')).unwrap_or(body.len());
        let head = head.rsplit(['}', ';', '#']).next().unwrap_or(head);
        let mut pieces = head.split('(');
        let first = pieces.next().unwrap_or("");
        // A name that a macro has, too, stands in brackets.
        let name = if first.ends_with(char::is_whitespace) {
            pieces.next().unwrap_or("").trim_end_matches(')')
        } else {
            first
        };
        let name = name
            .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        found.extend(name.map(|name| (name, &body[..length])));
        rest = &body[length..];
    }
    found
}

/// The checks of a C file.
fn c_checks(text: &str) -> Vec<Check> {
    let code = without_comments(text);
    let mut found = Vec::new();
    for (function, body) in c_functions(&code) {
        for (at, _) in body.match_indices('(') {
            let before = body[..at].trim_end();
            let name = before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            if let Some(name) = name.filter(|name| MACROS.contains(name)) {
                let length = bracketed(&body[at..], ('(', ')')).unwrap_or(1);
                found.push(Check {
                    function: function.to_owned(),
                    text: squeeze(&format!("{name}{}", &body[at..at + length])),
                });
            }
        }
    }
    found
}

/// The name of the type that an `impl` is for, of what stands before its body.
fn type_of_impl(head: &str) -> &str {
    let head = head.trim_start();
    let head = &head[bracketed(head, ('<', '>'))
        .filter(|_| head.starts_with('<'))
        .unwrap_or(0)..];
    let name = head
        .split_once(" for ")
        .map_or(head, |(_, name)| name)
        .trim_start();
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let name = &name[..end.unwrap_or(name.len())];
    name.rsplit("::").next().unwrap_or(name)
}

/// A Rust file in two: the bodies of the `impl`s of a type, and what is outside of all `impl`s.
fn impls<'a>(code: &'a str, of: &str) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut its, mut outside) = (Vec::new(), Vec::new());
    let mut rest = code;
    while let Some(at) = rest.find("\nimpl") {
        let (before, found) = rest.split_at(at);
        outside.push(before);
        let begin = found.find('{').unwrap_or(found.len());
        let (head, body) = found.split_at(begin);
        let length = bracketed(body, ('{', '}')).unwrap_or(body.len());
        if type_of_impl(&head["\nimpl".len()..]) == of {
            its.push(&body[..length]);
        }
        rest = &body[length..];
    }
    outside.push(rest);
    (its, outside)
}

/// The bodies of the functions of a name in a Rust file, without white space: of `function`, which
/// belongs to no type, or of `Type::function`.
fn rust_functions(text: &str, name: &str) -> String {
    let code = without_comments(text);
    let (its, outside) = impls(&code, name.split_once("::").map_or("", |(of, _)| of));
    let (places, name) = match name.split_once("::") {
        Some((_, function)) => (its, function),
        None => (outside, name),
    };
    let mut found = String::new();
    for code in places {
        for generic in ["(", "<"] {
            for (at, _) in code.match_indices(&format!("fn {name}{generic}")) {
                let rest = &code[at..];
                let body = &rest[rest.find('{').unwrap_or(0)..];
                let length = bracketed(body, ('{', '}')).unwrap_or(0);
                found.push_str(&squeeze(&body[..length]));
                found.push('\n');
            }
        }
    }
    found
}

/// How often each is there.
fn counts<T: Ord + Clone>(all: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

/// What the Rust lacks of the list.
fn missing_in_rust(
    entries: &[Entry],
    read: impl Fn(&str) -> Result<String>,
) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    // Two checks of C may have one place; the same check that stands twice in a function is there
    // twice in the list.
    for entry in entries {
        for ((file, check), wanted) in counts(entry.rust.iter().cloned()) {
            let bodies = rust_functions(&read(&file)?, &check.function);
            if bodies.matches(&check.text).count() < wanted {
                missing.push(format!(
                    "{}: {} has no `{}` (for {} of {})",
                    file, check.function, check.text, entry.check.text, entry.check.function
                ));
            }
        }
    }
    Ok(missing)
}

/// The C file that a unit replaces.
fn c_file(unit: &Unit) -> String {
    format!("{}.c", unit.object.trim_end_matches(".o"))
}

/// What differs between a unit's C file and the list of its checks.
fn differences(unit: &Unit, text: &str, entries: &[Entry]) -> Vec<String> {
    let file = c_file(unit);
    let listed = entries.iter().filter(|entry| entry.file == file);
    let listed = counts(listed.map(|entry| entry.check.clone()));
    let present = counts(c_checks(&left_out(text, unit.switch)));
    let mut all: Vec<_> = listed.keys().chain(present.keys()).collect();
    all.sort();
    all.dedup();
    let count = |counts: &BTreeMap<Check, usize>, check| counts.get(check).copied().unwrap_or(0);
    all.into_iter()
        .map(|check| (check, count(&present, check), count(&listed, check)))
        .filter(|(_, present, listed)| present != listed)
        .map(|(check, present, listed)| {
            let Check { function, text } = check;
            format!("{file}: {function} has `{text}` {present} times, {LIST} {listed} times")
        })
        .collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn list() -> Result<Vec<Entry>> {
    parse(&read(&repository().join(LIST))?)
}

/// Proves that the Rust has what the list says.
fn compare_rust(entries: &[Entry]) -> Result<()> {
    let missing = missing_in_rust(entries, |file| read(&repository().join(file)))?;
    ensure!(missing.is_empty(), "debug checks:\n{}", missing.join("\n"));
    Ok(())
}

/// Runs the command.
pub(crate) fn run(Args {}: Args) -> Result<()> {
    let entries = list()?;
    compare_rust(&entries)?;
    let options = xen::Options {
        flavour: xen::Flavour::Rust,
        ..Default::default()
    };
    let tree = xen::build(&options)?.tree;
    let mut wrong = Vec::new();
    for unit in UNITS.iter().chain(&IN_WORK) {
        let text = read(&tree.join("xen").join(c_file(unit)))?;
        wrong.extend(differences(unit, &text, &entries));
    }
    if !wrong.is_empty() {
        bail!("debug checks:\n{}", wrong.join("\n"));
    }
    println!(
        "{LIST}: {} debug checks of C have their places",
        entries.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: &str = "\
static int cf_check
f(int a)
{
    /* ASSERT(no) */
    ASSERT(a ==
           1);
    if ( a )
        BUG ();
    BUILD_BUG_ON(a);
}

void __init (g)(void)
{
    WARN_ON(h(1, 2));
    ASSERT(a == 1);
}
";

    const UNIT: Unit = Unit {
        name: "a",
        switch: "RUST_A",
        package: "a",
        object: "a.o",
        companion: None,
    };

    const LISTED: &str = "\
# Words.
a.c
  f: ASSERT(a == 1)
    b.rs f: xen_assert!(a == 1)
  f: BUG()
    = Not reached.
  g: WARN_ON(h(1, 2))
    b.rs A::g: if h(1, 2) { xen_warn!() }
  g: ASSERT(a == 1)
    b.rs A::g: xen_assert!(false)
    b.rs A::g: xen_assert!(false)
";

    const RUST: &str = "\
fn f(a: i32) {
    // Words.
    xen_assert!(a == 1);
}
impl<'a, T: X<'a>> y::Y<T> for z::A<'a, T> {
    fn g<T>(self) {
        if h(1, 2) {
            xen_warn!()
        }
        xen_assert!(false);
        xen_assert!(false);
    }
}
impl B {
    fn f(self) {}
    fn g(self) {}
}
fn g() {}
";

    #[test]
    fn the_rust_has_the_checks_of_the_list() {
        compare_rust(&list().unwrap()).unwrap();
    }

    #[test]
    fn a_list_that_is_right_differs_in_nothing() {
        let entries = parse(LISTED).unwrap();
        assert_eq!(differences(&UNIT, C, &entries), Vec::<String>::new());
        let missing = missing_in_rust(&entries, |_| Ok(RUST.to_owned())).unwrap();
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn a_check_that_the_rust_drops_or_changes_is_found() {
        let entries = parse(LISTED).unwrap();
        for (from, to) in [
            ("    xen_assert!(a == 1);\n", ""),
            ("xen_assert!(a == 1)", "xen_assert!(a == 2)"),
            ("xen_warn!()", "()"),
            ("        xen_assert!(false);\n        ", "        "),
            ("    xen_assert!(a == 1)", "    // xen_assert!(a == 1)"),
            ("fn f(", "fn other("),
        ] {
            let rust = RUST.replacen(from, to, 1);
            assert_ne!(rust, RUST);
            let missing = missing_in_rust(&entries, |_| Ok(rust.clone())).unwrap();
            assert_eq!(missing.len(), 1, "{from:?}: {missing:?}");
        }
    }

    #[test]
    fn a_check_that_is_moved_to_another_function_of_the_name_is_found() {
        let entries = parse(LISTED).unwrap();
        let warns = "if h(1, 2) {\n            xen_warn!()\n        }\n        ";
        for (check, to) in [
            ("xen_assert!(a == 1);", "fn f(self) {"),
            (warns, "fn g(self) {"),
            (warns, "fn g() {"),
        ] {
            let rust = RUST.replacen(check, "", 1);
            let rust = rust.replacen(to, &format!("{to}{check}"), 1);
            let missing = missing_in_rust(&entries, |_| Ok(rust.clone())).unwrap();
            assert_eq!(missing.len(), 1, "{to}: {missing:?}");
        }
    }

    #[test]
    fn a_check_that_c_has_and_the_list_has_not_is_found() {
        let entries = parse(LISTED).unwrap();
        let more = C.replace("        BUG ();", "        BUG();\n    BUG_ON(a > 2);");
        assert_eq!(differences(&UNIT, &more, &entries).len(), 1);
        let fewer = C.replace("WARN_ON", "h");
        assert_eq!(differences(&UNIT, &fewer, &entries).len(), 1);
    }

    #[test]
    fn what_stays_in_c_is_left_alone() {
        let part = format!(
            "int z(void)\n{{\n    BUG();\n}}\n#ifndef CONFIG_RUST_A\n{C}\
             #ifdef CONFIG_PV\n#endif\nvoid y(void)\n{{\n}}\n#endif /* !CONFIG_RUST_A */\n"
        );
        assert_eq!(
            differences(&UNIT, &part, &parse(LISTED).unwrap()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_place_that_is_no_check_is_refused() {
        assert!(parse("a.c\n  f: BUG()\n    b.rs f: call()\n").is_err());
        assert!(parse("a.c\n  f: BUG()\n").is_err());
    }
}
