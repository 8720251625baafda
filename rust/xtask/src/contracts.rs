//! The contracts of `unsafe` code: `cargo xtask contracts`.
//!
//! Every SAFETY comment names what keeps it true: the lock, the lifetime, the C function. One that
//! says that the caller sees to it, or that it is as somewhere else, says nothing to who has to
//! check it. The list is made from the sources each time, so that it cannot be out of date.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::patch::repository;

/// Prove that every use of `unsafe` says what keeps it sound.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print every use of `unsafe` with its contract.
    #[arg(long)]
    list: bool,
}

/// Words that stand where a contract should.
const EMPTY: &[&str] = &[
    "as above",
    "as before.",
    "as in `",
    "as the caller",
    "caller guarantees",
    "caller holds",
    "caller is in",
    "caller says",
    "callers say",
    "has to hold here",
    "is safe.",
    "see `current`",
    "see above",
    "see below",
    "who calls",
    "whoever calls",
];

/// Where the `unsafe` code is that Xen links. What bindgen makes has none of ours.
const PLACES: &[&str] = &["rust/exports", "rust/xen/src"];

/// How many lines above a block its comment may begin.
const REACH: usize = 12;

/// A use of `unsafe`.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    /// The number of its line.
    line: usize,
    /// The line.
    code: String,
    /// What keeps it sound; `None` where nothing says so.
    contract: Option<String>,
}

/// What a comment says on its lines from `start` on, each of which begins with `mark`.
fn words(lines: &[&str], start: usize, mark: &str) -> String {
    let comment = lines[start..]
        .iter()
        .map_while(|line| line.trim_start().strip_prefix(mark));
    comment.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The SAFETY comments of a file, each with the index of its first line.
fn comments(lines: &[&str]) -> Vec<(usize, String)> {
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        let comment = line.trim_start().strip_prefix("//");
        comment.is_some_and(|words| words.trim_start().starts_with("SAFETY:"))
    });
    starts
        .map(|(start, _)| {
            let text = words(lines, start, "//");
            let contract = text.trim_start_matches("SAFETY:").trim().to_owned();
            (start, contract)
        })
        .collect()
}

/// The section `# Safety` of the documentation that ends above a line.
fn section(lines: &[&str], item: usize) -> Option<String> {
    let is_above = |line: &&&str| {
        let line = line.trim_start();
        line.starts_with("///") || line.starts_with("#[")
    };
    let above = lines[..item].iter().rev().take_while(is_above).count();
    let text: Vec<_> = lines[item - above..item]
        .iter()
        .filter_map(|line| line.trim_start().strip_prefix("///").map(str::trim))
        .collect();
    let start = text.iter().position(|line| *line == "# Safety")?;
    let section = text[start + 1..].iter();
    let section: Vec<_> = section.take_while(|line| !line.starts_with("# ")).collect();
    let section = section.into_iter().copied().collect::<Vec<_>>().join(" ");
    Some(section.trim().to_owned())
}

/// What a function without a section asks for, where the lines above begin the implementation of a
/// trait: that is said there.
fn of_trait(above: &[&str]) -> Option<String> {
    let begins = above.iter().rev().find(|line| line.contains("impl"))?;
    begins
        .contains(" for ")
        .then(|| "What its trait asks for.".to_owned())
}

/// The uses of `unsafe` in a file.
fn uses(text: &str) -> Vec<Use> {
    let lines: Vec<_> = text.lines().collect();
    let comments = comments(&lines);
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let is_item = ["unsafe fn", "unsafe extern", "unsafe trait"]
            .iter()
            .any(|item| code.contains(item));
        let is_block = code.contains("unsafe {") || code.contains("unsafe impl");
        if !is_item && !is_block {
            continue;
        }
        let contract = if is_item {
            section(&lines, number).or_else(|| of_trait(&lines[..number]))
        } else {
            let above = comments.iter().rev().find(|(start, _)| *start <= number);
            above
                .filter(|(start, _)| number - start <= REACH)
                .map(|(_, contract)| contract.clone())
        };
        found.push(Use {
            line: number + 1,
            code: code.trim().to_owned(),
            contract,
        });
    }
    found
}

/// Returns whether a contract names nothing.
fn is_empty(contract: &str) -> bool {
    let contract = contract.to_lowercase();
    // That something lives is no reason; what keeps it is.
    let is_alive = contract.ends_with(" is alive.") && contract.split(' ').count() <= 4;
    is_alive || contract.is_empty() || EMPTY.iter().any(|words| contract.contains(words))
}

/// The Rust files below a directory, in order.
fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("{} cannot be read", directory.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut paths = Vec::new();
    for place in PLACES {
        files(&repository().join(place), &mut paths)?;
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths {
        let text = std::fs::read_to_string(&path)?;
        let name = path.strip_prefix(repository()).unwrap_or(&path);
        for found in uses(&text) {
            count += 1;
            let place = format!("{}:{}: {}", name.display(), found.line, found.code);
            let contract = found.contract.unwrap_or_default();
            if args.list {
                println!("{place}\n    {contract}");
            }
            // What a function asks for may be said of its callers; a block has to give a reason.
            let is_function = found.code.contains("fn ");
            if contract.is_empty() || !is_function && is_empty(&contract) {
                wrong.push(format!("{place}\n    {contract}"));
            }
        }
    }
    ensure!(count > 300, "only {count} uses of `unsafe` were found");
    ensure!(
        wrong.is_empty(),
        "{} uses of `unsafe` do not say what keeps them sound:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{count} uses of `unsafe` say what keeps them sound");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_names_what_keeps_it() {
        run(Args { list: false }).unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn an_empty_contract_is_found() {
        let marker = "SAFETY";
        let text = format!(
            "// {marker}: The event lock keeps the chain, and\n// is held.\nunsafe {{}}\n\
             // {marker}: The list is circular, and the rest is\n// as above.\nlet a = unsafe {{}};\n\
             // {marker}: The caller says so.\nunsafe impl Sync for A {{}}\n\
             // {marker}: This is cleared under the lock, which who calls this holds.\nunsafe {{}}\n\
             // {marker}: It is mapped, as the caller guarantees.\nunsafe {{}}\n\
             // {marker}: The domain is alive.\nunsafe {{}}\n\
             // {marker}: The domain is alive, as a view's.\nunsafe {{}}\n"
        );
        let contracts: Vec<_> = uses(&text)
            .into_iter()
            .map(|found| found.contract)
            .collect();
        let contracts: Vec<_> = contracts.into_iter().map(Option::unwrap).collect();
        assert_eq!(contracts[0], "The event lock keeps the chain, and is held.");
        let empty: Vec<_> = contracts.iter().map(|words| is_empty(words)).collect();
        assert_eq!(empty, [false, true, true, true, true, true, false]);
    }

    #[test]
    fn a_use_without_a_contract_is_found() {
        let text = "fn a() {\n    unsafe { b() }\n}\n\n/// Does it.\n///\n/// # Safety\n///\n\
                    /// The lock is held,\n/// and lives.\n///\n/// # Errors\n///\n/// None.\n\
                    #[inline]\npub unsafe fn b() {}\n\npub unsafe fn c() {}\n";
        let contracts: Vec<_> = uses(text).into_iter().map(|found| found.contract).collect();
        let section = Some("The lock is held, and lives.".to_owned());
        assert_eq!(contracts, [None, section, None]);
    }
}
