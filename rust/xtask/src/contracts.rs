//! Every SAFETY comment names what keeps it true: the lock, the lifetime, the C function. One that
//! says that the caller says so, or that it is as above, says nothing to who has to check it.

use std::path::{Path, PathBuf};

use crate::patch::repository;

/// Words that stand where a contract should.
const EMPTY: &[&str] = &[
    "caller says so",
    "as the caller says",
    "as above",
    "see above",
];

/// Files that still have such comments.
const YET: &[&str] = &[
    "xen/src/amd/",
    "xen/src/vtd/",
    "exports/amd.rs",
    "exports/vtd.rs",
];

/// The contracts of a file, each with the line where it begins.
fn contracts(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let comment = line.trim_start().strip_prefix("//").map(str::trim);
        match (
            comment,
            comment.and_then(|words| words.strip_prefix("SAFETY:")),
        ) {
            (_, Some(words)) => {
                found.push((number + 1, words.trim().to_owned()));
                open = true;
            }
            (Some(words), None) if open => {
                if let Some((_, contract)) = found.last_mut() {
                    contract.push(' ');
                    contract.push_str(words);
                }
            }
            _ => open = false,
        }
    }
    found
}

/// Returns whether a contract names nothing.
fn is_empty(contract: &str) -> bool {
    let contract = contract.to_lowercase();
    EMPTY.iter().any(|words| contract.contains(words))
}

/// The Rust files below a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).expect("the repository can be read");
    for path in entries.map(|entry| entry.expect("the repository can be read").path()) {
        if path.is_dir() && !path.ends_with("target") {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_contract_names_what_keeps_it() {
    let mut all = Vec::new();
    // Where all the `unsafe` of what Xen links is.
    files(&repository().join("rust"), &mut all);
    let mut seen = 0;
    let mut empty = Vec::new();
    for path in all {
        if YET.iter().any(|file| path.to_string_lossy().contains(file)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        for (line, contract) in contracts(&text) {
            seen += 1;
            if is_empty(&contract) {
                empty.push(format!("{}:{line}: {contract}", path.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} contracts were found");
    assert!(empty.is_empty(), "no contract:\n{}", empty.join("\n"));
}

#[test]
fn an_empty_contract_is_found() {
    let marker = "SAFETY";
    let text = format!(
        "    // {marker}: The event lock keeps the chain, and\n    // is held.\n    unsafe {{}}\n\
         // {marker}: The list is circular, and the rest is\n// as above.\nunsafe {{}}\n\
         // {marker}: The caller says so.\n"
    );
    let found = contracts(&text);
    let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 4, 7]);
    assert_eq!(found[0].1, "The event lock keeps the chain, and is held.");
    let empty: Vec<_> = found
        .iter()
        .map(|(_, contract)| is_empty(contract))
        .collect();
    assert_eq!(empty, [false, true, true]);
}
