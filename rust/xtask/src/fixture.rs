//! Compiles the C fixtures of tests/gates, with the host's C compiler or the one that `CC` names.

use std::path::Path;

use anyhow::{Context, Result};

use crate::patch::repository;
use crate::proc::Cmd;

/// The fixtures stand for Xen's objects, which are for this machine alone.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Compiles tests/gates/`name`.c to `object`; `define` is a macro to define, if it is not empty.
///
/// # Errors
///
/// When there is no compiler, or it refuses.
pub(crate) fn compile(name: &str, define: &str, flags: &[&str], object: &Path) -> Result<()> {
    let compiler = cc::Build::new()
        .target(TARGET)
        .host(TARGET)
        .opt_level(2)
        .no_default_flags(true)
        .cargo_metadata(false)
        .try_get_compiler()
        .context("there is no C compiler")?;
    let mut command = Cmd::new(compiler.path())
        .args(compiler.args())
        .args(["-O2", "-fno-asynchronous-unwind-tables"])
        .args(flags);
    if !define.is_empty() {
        command = command.arg(format!("-D{define}"));
    }
    command
        .args(["-c", "-o"])
        .arg(object)
        .arg(repository().join(format!("tests/gates/{name}.c")))
        .run()
}
