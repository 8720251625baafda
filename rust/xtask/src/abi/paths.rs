//! Paths of the host in the Rust object: another host, or another directory, would make another
//! object of the same sources.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::gates::Finding;
use crate::patch::repository;

/// Looks for this repository, and for what lies in the user's home (cargo's crates, rustup's
/// sources).
pub(super) fn check(object: &Path) -> Result<Finding> {
    let bytes =
        std::fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
    let home = std::env::home_dir();
    let mut paths = vec![repository()];
    for variable in ["CARGO_HOME", "RUSTUP_HOME"] {
        paths.extend(std::env::var_os(variable).map(PathBuf::from));
    }
    paths.extend(
        [".cargo", ".rustup", ".cache"]
            .iter()
            .filter_map(|dir| Some(home.as_ref()?.join(dir))),
    );
    Ok(find(&bytes, &paths))
}

fn find(bytes: &[u8], paths: &[PathBuf]) -> Finding {
    let faults = paths.iter().filter_map(|path| {
        let text = path.as_os_str().as_encoded_bytes();
        let holds = !text.is_empty() && bytes.windows(text.len()).any(|part| part == text);
        holds.then(|| format!("the object holds the path {}", path.display()))
    });
    Finding {
        figure: format!("{} bytes", bytes.len()),
        faults: faults.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found() {
        let paths = [PathBuf::from("/home/user/.cargo"), PathBuf::new()];
        let found = find(b"\0/home/user/.cargo/registry\0", &paths);
        assert_eq!(
            found.faults,
            ["the object holds the path /home/user/.cargo"]
        );
        assert!(find(b"\0crates/bitflags\0", &paths).faults.is_empty());
    }
}
