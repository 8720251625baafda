//! The Rust object alone, without the rest of Xen.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::Build;
use crate::gates::{FOLDER, RUST_OBJECT, elf};
use crate::host;
use crate::proc::Cmd;

/// Builds the Rust object of a copy of this repository, or of this one, as Xen's make does
/// (c-shim/Makefile) for a build with other features, and leaves it at `output`, with its IR beside
/// it. Cargo works in `target`.
///
/// # Errors
///
/// When it cannot be built.
pub(crate) fn object(
    copy: &Path,
    (build, features): (&Build, &str),
    target: &Path,
    output: &Path,
    kept: &[&str],
) -> Result<()> {
    let folder = build.objects.join(FOLDER);
    if !target.exists() {
        // What does not belong to the copy, as core, is built there already.
        Cmd::new("cp")
            .arg("-a")
            .args([folder.join("cargo"), target.to_owned()])
            .run()?;
    }
    let environment = folder.join("cargo.env");
    let environment = std::fs::read_to_string(&environment)
        .with_context(|| format!("cannot read {}", environment.display()))?;
    let mut cargo = Cmd::new("cargo")
        .args([
            "rustc",
            "--quiet",
            "--offline",
            "--package",
            "xen-irq",
            "--lib",
        ])
        .args(["--profile", "xen", "--target", "x86_64-unknown-none"])
        .args(["-Zbuild-std=core,compiler_builtins", "--features"])
        .arg(features)
        .arg("--")
        .arg(format!(
            "--emit=llvm-ir={}",
            output.with_extension("ll").display()
        ))
        .dir(copy)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "__CARGO_TESTS_ONLY_SRC_ROOT",
            host::rust_src()?.join("library"),
        );
    for (key, value) in environment.lines().filter_map(|line| line.split_once('=')) {
        cargo = cargo.env(key, value);
    }
    cargo = cargo
        .env("CARGO_TARGET_DIR", target)
        .env("XEN_SYS_LAYOUT", target.join("layout.h"));
    cargo.run()?;

    let original = elf::Object::read_image(&build.objects.join(RUST_OBJECT))?;
    let mut symbols: Vec<_> = original.exported().map(|s| s.name.as_str()).collect();
    ensure!(!symbols.is_empty(), "{} exports nothing", original.path);
    symbols.extend(kept);
    let whole = output.with_extension("whole");
    Cmd::new("ld")
        .args(["-m", "elf_x86_64", "-r"])
        .args(symbols.iter().flat_map(|name| ["-u", name]))
        .arg("-o")
        .arg(&whole)
        .arg(target.join("x86_64-unknown-none/xen/libxen_irq.a"))
        .run()?;
    // The name of a file stands before each local symbol, and rustc's has a hash in it.
    let names = Cmd::new("nm").arg("-a").arg(&whole).output()?;
    let files = names.lines().filter_map(|line| {
        let (_, name) = line.split_once(" a ")?;
        Some(format!("--redefine-sym={name}=xen-irq.rs"))
    });
    Cmd::new("objcopy")
        .args(files)
        .args(
            symbols
                .iter()
                .map(|name| format!("--keep-global-symbol={name}")),
        )
        .args([
            "-R",
            ".comment",
            "-R",
            ".eh_frame",
            "-R",
            ".note.gnu.property",
        ])
        .args([&whole, output])
        .run()?;
    std::fs::remove_file(&whole).with_context(|| format!("cannot remove {}", whole.display()))
}
