//! What cannot be done is said before anything is fetched or built: in one line, and without
//! starting any program, because the commands here have none in their path.

use std::process::Command;
use std::time::{Duration, Instant};

/// Runs xtask with an empty cache and no programs; returns what it wrote to standard error.
fn refused(line: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(line.split(' '))
        .current_dir(dir.path())
        .env("PATH", dir.path())
        .env("XDG_CACHE_HOME", &cache)
        .env("XEN_IRQ_MIRROR", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let took = start.elapsed();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{line}: {text}");
    assert!(output.stdout.is_empty(), "{line}");
    // A second, on a machine that has something else to do as well.
    assert!(took < Duration::from_secs(5), "{line} took {took:?}");
    assert_eq!(text.lines().count(), 1, "{line}: {text}");
    assert!(text.starts_with("error: "), "{line}: {text}");
    assert!(!cache.exists(), "{line} made a cache");
    text
}

fn check(line: &str, words: &str) {
    let text = refused(line);
    assert!(text.contains(words), "{line}: {text}");
}

#[test]
fn numbers_are_in_their_range() {
    check("twin --cases 0", "invalid value '0' for '--cases <CASES>'");
    check("twin --self-check --faults 0", "'--faults <N>'");
    check("test --minutes 0", "'--minutes <N>'");
    check("test --minutes soon", "'--minutes <N>'");
}

#[test]
fn names_are_known() {
    check("twin --file NOPE", "[possible values: vmsi, ");
    check("xen --part NOPE", "[possible values: RUST_VMSI, ");
    check("boot --part NOPE", "[possible values: RUST_VMSI, ");
    check("boot --scenario NOPE", "no scenario is called NOPE");
    check("test --only NOPE", "no check's name contains `NOPE`");
}

#[test]
fn trees_are_xen_trees_of_a_supported_release() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    for command in ["xen", "boot"] {
        let line = format!("{command} --xen-tree /no/such/tree");
        check(&line, "there is no directory /no/such/tree");
        check(&format!("{command} --xen-tree {path}"), "is no Xen tree");
    }
    std::fs::create_dir(dir.path().join("xen")).unwrap();
    let makefile = "export XEN_VERSION = 4\nexport XEN_SUBVERSION = 1\n";
    std::fs::write(dir.path().join("xen/Makefile"), makefile).unwrap();
    check(
        &format!("xen --xen-tree {path}"),
        "is Xen 4.1, which is not supported",
    );
    check(
        &format!("patch {path}"),
        "is Xen 4.1, which is not supported",
    );
    check("patch /no/such/tree", "there is no directory /no/such/tree");
}

#[test]
fn xtf_trees_hold_tests() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    check("xtf /no/such/tree", "/no/such/tree");
    check(&format!("xtf {path}"), "is no XTF tree");
    std::fs::create_dir(dir.path().join("tests")).unwrap();
    check(&format!("xtf {path}"), "has no built test");
    check(&format!("xtf {path} --xen-tree {path}"), "is no Xen tree");
}

#[test]
fn files_can_be_written_or_read() {
    check(
        "bench --json /no/such/dir/x",
        "there is no directory /no/such/dir",
    );
    check("bench --json /", "it is a directory");
    check("gates /no/such/object", "/no/such/object");
    check(
        "abi --objects /no/such --stock-objects /no/such",
        "/no/such",
    );
}
