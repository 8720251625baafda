//! Results of tests in a plain file: a line each, `test<TAB>result`, sorted by the tests' names, so
//! that `diff` compares two.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The results of one Xen.
pub(super) struct Kept {
    path: PathBuf,
    results: BTreeMap<String, String>,
}

impl Kept {
    /// Begins a file of results, or goes on with the one that is there. `of` stands for all that
    /// was run; a file beside the results keeps it.
    ///
    /// # Errors
    ///
    /// When the file to go on with has results of something else, or cannot be read or written.
    pub(super) fn open(path: PathBuf, of: &str, resume: bool) -> Result<Self> {
        let beside = path.with_extension("of");
        let mut results = BTreeMap::new();
        if resume && path.exists() {
            let before = fs::read_to_string(&beside).unwrap_or_default();
            ensure!(
                before.trim() == of,
                "{} has results of another Xen or other tests: run without --resume",
                path.display()
            );
            results = parse(&path)?;
        }
        write(&beside, &format!("{of}\n"))?;
        let kept = Self { path, results };
        kept.write()?;
        Ok(kept)
    }

    /// Adds a result; it is in the file when this returns.
    pub(super) fn add(&mut self, test: &str, result: &str) -> Result<()> {
        self.results.insert(test.to_owned(), result.to_owned());
        self.write()
    }

    /// The result of a test, if it has one.
    pub(super) fn get(&self, test: &str) -> Option<&str> {
        self.results.get(test).map(String::as_str)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self) -> Result<()> {
        let lines: String = self
            .results
            .iter()
            .map(|(test, result)| format!("{test}\t{result}\n"))
            .collect();
        // Renamed into place: an interrupt leaves the old lines or the new ones.
        let new = self.path.with_extension("new");
        write(&new, &lines)?;
        fs::rename(&new, &self.path)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn parse(path: &Path) -> Result<BTreeMap<String, String>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .map(|line| {
            let (test, result) = line
                .split_once('\t')
                .with_context(|| format!("{}: \"{line}\" is no test and result", path.display()))?;
            Ok((test.to_owned(), result.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_lines_that_diff_compares() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("xtf-rust.txt");
        let mut kept = Kept::open(path.clone(), "a", false).unwrap();
        kept.add("test-b", "timeout").unwrap();
        kept.add("test-a", "SUCCESS").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "test-a\tSUCCESS\ntest-b\ttimeout\n");
    }

    #[test]
    fn what_is_there_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("xtf-rust.txt");
        // None is there yet.
        let mut kept = Kept::open(path.clone(), "a", true).unwrap();
        kept.add("test-a", "SUCCESS").unwrap();
        let kept = Kept::open(path.clone(), "a", true).unwrap();
        assert_eq!(kept.get("test-a"), Some("SUCCESS"));
        assert!(
            Kept::open(path.clone(), "b", true).is_err(),
            "another Xen's results are not gone on with"
        );
        let kept = Kept::open(path.clone(), "b", false).unwrap();
        assert_eq!(kept.get("test-a"), None);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
