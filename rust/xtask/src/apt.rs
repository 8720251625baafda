//! Debian packages on the host.

use anyhow::{Context, Result, bail};

use crate::proc::Cmd;
use crate::ui;

/// Installs what is missing of `packages` on the host.
///
/// # Errors
///
/// When packages are missing and apt-get fails, or we are neither root nor have sudo; the error
/// names them.
pub(crate) fn host_install(packages: &[&str]) -> Result<()> {
    let missing = host_missing(packages)?;
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let step = ui::step(format!("installing {list}"));
    let root = nix::unistd::geteuid().is_root();
    // -n: a hidden password prompt would look like a hang.
    if !root && Cmd::new("sudo").args(["-n", "true"]).run().is_err() {
        bail!("packages are missing: run `sudo apt-get install {list}`, then try again");
    }
    let apt = |args: &[&str]| {
        let cmd = if root {
            Cmd::new("env")
        } else {
            Cmd::new("sudo").args(["-n", "env"])
        };
        cmd.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
            .args(args)
            .run()
    };
    let install = || {
        let mut args = vec!["install", "-y", "--no-install-recommends"];
        args.extend(&missing);
        apt(&args)
    };
    if install().is_err() {
        // Most likely the host's lists are old or absent. One broken third-party source must not
        // stop us: the second try decides.
        let _ = apt(&["update"]);
        install().with_context(|| format!("cannot install {list}"))?;
    }
    step.done();
    Ok(())
}

/// Which of `packages` are not installed on the host.
fn host_missing<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    // dpkg-query fails when it knows one of them not at all; what it prints about the others still
    // counts.
    let status = Cmd::new("sh")
        .args([
            "-c",
            "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' \"$@\" 2>/dev/null || true",
            "sh",
        ])
        .args(packages)
        .output()
        .context("cannot ask dpkg: this command needs a Debian system")?;
    let installed: Vec<&str> = status
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(packages
        .iter()
        .copied()
        .filter(|package| !installed.contains(package))
        .collect())
}
