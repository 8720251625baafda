//! A little tree and a little series stand for Xen's.

use super::*;

const FIRST: &str = "From: nobody
--- a/xen/file
+++ b/xen/file
@@ -1,3 +1,4 @@
 one
 two
+two and a half
 three
diff --git a/xen/new/file b/xen/new/file
new file mode 100644
--- /dev/null
+++ b/xen/new/file
@@ -0,0 +1 @@
+new
";

const SECOND: &str = "--- a/xen/file
+++ b/xen/file
@@ -1,4 +1,5 @@
 one
 two
 two and a half
+two and three quarters
 three
";

const STOCK: &str = "one\ntwo\nthree\n";
const PATCHED: &str = "one\ntwo\ntwo and a half\ntwo and three quarters\nthree\n";

/// A tree below `tree` and the series beside it.
fn tree() -> (tempfile::TempDir, PathBuf, Series) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("xen")).unwrap();
    fs::write(tree.join("xen/file"), STOCK).unwrap();
    let patches = [("1.patch", FIRST), ("2.patch", SECOND)].map(|(name, text)| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    });
    let series = Series {
        patches: patches.to_vec(),
        files: touched(FIRST).chain(touched(SECOND)).collect(),
    };
    (dir, tree, series)
}

fn file(tree: &Path) -> String {
    fs::read_to_string(tree.join("xen/file")).unwrap()
}

#[test]
fn the_series_goes_in_and_comes_out() {
    let (_dir, tree, series) = tree();
    assert_eq!(series.state(&tree).unwrap(), State::Stock);
    series.write(&tree, State::Patched).unwrap();
    assert_eq!(series.state(&tree).unwrap(), State::Patched);
    assert_eq!(file(&tree), PATCHED);
    series.write(&tree, State::Stock).unwrap();
    assert_eq!(file(&tree), STOCK);
    assert!(
        !tree.join("xen/new").exists(),
        "the new directory is gone as well"
    );
}

#[test]
fn a_series_that_does_not_fit_changes_nothing() {
    let (_dir, tree, series) = tree();
    // The first patch fits, the second cannot.
    fs::write(
        &series.patches[1],
        SECOND.replace(" one", " zero").replace(" two", " ten"),
    )
    .unwrap();
    let error = series.write(&tree, State::Patched).unwrap_err().to_string();
    assert!(error.starts_with("2.patch does not fit"), "{error}");
    assert_eq!(file(&tree), STOCK);
    assert!(!tree.join("xen/new").exists());
}

#[test]
fn half_a_series_is_neither_state() {
    let (_dir, tree, series) = tree();
    let first = Series {
        patches: vec![series.patches[0].clone()],
        files: series.files.clone(),
    };
    first.write(&tree, State::Patched).unwrap();
    assert!(series.state(&tree).is_err());
}

#[test]
fn changes_of_the_user_are_refused_and_ours_are_not() {
    let (_dir, tree, series) = tree();
    let git = |args: &[&str]| {
        Cmd::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example.invalid"])
            .args(args)
            .dir(&tree)
            .run()
            .unwrap();
    };
    fs::write(tree.join("xen/other"), "").unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=x"]);
    refuse_dirty(&tree, &series, State::Patched).unwrap();
    series.write(&tree, State::Patched).unwrap();
    refuse_dirty(&tree, &series, State::Stock).unwrap();
    fs::write(tree.join("xen/other"), "mine").unwrap();
    let error = refuse_dirty(&tree, &series, State::Stock)
        .unwrap_err()
        .to_string();
    assert!(error.contains("uncommitted changes (xen/other)"), "{error}");
}

#[test]
fn other_releases_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("xen")).unwrap();
    let makefile = "export XEN_VERSION       = 4\nexport XEN_SUBVERSION    = 19\n";
    fs::write(dir.path().join("xen/Makefile"), makefile).unwrap();
    let error = Series::of(dir.path()).err().unwrap().to_string();
    assert!(
        error.contains("is Xen 4.19, which is not supported"),
        "{error}"
    );
}

#[test]
fn what_is_no_xen_tree_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Series::of(dir.path()).err().unwrap().to_string();
    assert!(error.contains("is no Xen tree"), "{error}");
}
