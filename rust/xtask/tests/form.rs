//! The form of the sources that rustfmt does not see to: comments within 100 columns.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer lines that are quoted.
const QUOTED: [&str; 1] = ["contracts.rs"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn comments_are_within_a_hundred_columns() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    sources(&repository.join("rust"), &mut found);
    sources(&repository.join("tests"), &mut found);
    assert!(found.len() > 200, "{} sources", found.len());
    let mut long = Vec::new();
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        let quoted = QUOTED.iter().any(|name| path.ends_with(name));
        for (line, number) in text.lines().zip(1..).filter(|_| !quoted) {
            if line.trim_start().starts_with("//") && line.chars().count() > 100 {
                long.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "longer than 100 columns: {long:#?}");
}
