//! Tarballs of Xen's source.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::patch::{Series, State};
use crate::proc::Cmd;
use crate::{fetch, ui};

/// Unpacks the only file in `from` to `to`.
pub(crate) fn unpack(from: &Path, to: &Path) -> Result<()> {
    let files = fetch::files(from)?;
    let [tarball] = files.as_slice() else {
        bail!("one tarball should be there, not {}", files.len());
    };
    unpack_one(tarball, to)
}

/// Checks that the series fits a fetched source.
pub(crate) fn check(tree: &Path) -> Result<()> {
    let state = Series::of(tree)?.state(tree)?;
    ensure!(state == State::Stock, "the series is in it already");
    Ok(())
}

/// Unpacks a tarball to a directory.
pub(super) fn unpack_one(tarball: &Path, dir: &Path) -> Result<()> {
    let step = ui::step("unpacking Xen's source");
    Cmd::new("tar")
        .arg("--extract")
        .arg("--file")
        .arg(tarball)
        .args(["--strip-components=1", "--no-same-owner", "--directory"])
        .arg(dir)
        .run()?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_fetched_source_that_the_series_does_not_fit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        fs::create_dir(tree.join("xen")).unwrap();
        let makefile = "export XEN_VERSION = 4\nexport XEN_SUBVERSION = 20\n";
        fs::write(tree.join("xen/Makefile"), makefile).unwrap();
        let error = check(tree).unwrap_err().to_string();
        assert!(error.contains(".patch does not fit "), "{error}");
        fs::write(tree.join("xen/Makefile"), makefile.replace("20", "19")).unwrap();
        let error = check(tree).unwrap_err().to_string();
        assert!(
            error.contains("is Xen 4.19, which is not supported"),
            "{error}"
        );
    }
}
