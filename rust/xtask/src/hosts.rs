//! The hosts that README names: each Debian in a root of its own, in which this repository is set
//! up and Xen is built with nothing but the toolchain taken from here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cache::Cache;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::{apt, fetch, ui};

/// Debian 12, 13, and the one to come.
const SUITES: [&str; 3] = ["bookworm", "trixie", "sid"];

/// What README wants before the first command, besides rustup's toolchain.
const WANTED: &str = "ca-certificates,gcc,libc6-dev";

/// How long one host may take.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// The words before a command that mounts something: the kernel takes the mounts away with the last
/// process of the namespaces, however it ends.
const APART: [&str; 4] = ["--mount", "--pid", "--fork", "--kill-child"];

/// Enters the root `$1` with the toolchains of `$2`, which keep their place because they hold links
/// to each other.
const ENTER: &str = r#"set -e
root=$1 rustup=$2
mkdir -p "$root$rustup"
mount --bind "$rustup" "$root$rustup"
mount -o remount,bind,ro "$root$rustup"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" /usr/bin/env -i HOME=/root RUSTUP_HOME="$rustup" CARGO_HOME=/cargo \
    XDG_CACHE_HOME=/cache PATH=/cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    sh -ec 'cd /repository; cargo xtask setup; cargo xtask xen'
"#;

/// Sets each host up and builds Xen on it.
///
/// # Errors
///
/// When one of them fails; the error names its log.
pub(crate) fn check() -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "making a root of another Debian takes root: run it with sudo"
    );
    apt::host_install(&["debootstrap"])?;
    let failed: Vec<String> = SUITES
        .iter()
        .filter_map(|suite| on(suite).err().map(|error| format!("{suite}: {error:#}")))
        .collect();
    ensure!(failed.is_empty(), "{}", failed.join("\nerror: "));
    Ok(())
}

fn on(suite: &str) -> Result<()> {
    let log = repository().join(format!("target/hosts/{suite}.log"));
    let _ = fs::remove_file(&log);
    let cache = Cache::open()?;
    let name = format!("host-{suite}");
    let _lock = cache.lock(&name)?;
    let root = cache.scratch(&name)?;
    let root = root.path();

    let step = ui::step(format!("making a root of {suite}"));
    Cmd::new("unshare")
        .args(APART)
        .args(["--mount-proc", "debootstrap"])
        .args(["--variant=minbase", &format!("--include={WANTED}"), suite])
        .arg(root)
        .arg(fetch::mirror()?)
        .log(&log)
        .limit(LIMIT)
        .run()?;
    fs::copy("/etc/resolv.conf", root.join("etc/resolv.conf"))
        .context("cannot copy the addresses of the name servers")?;
    copy_repository(&root.join("repository"))?;
    copy_cargo(&root.join("cargo"))?;
    step.done();

    let step = ui::step(format!("setting up and building on {suite}"));
    Cmd::new("unshare")
        .args(APART)
        .args(["sh", "-c", ENTER, "sh"])
        .arg(root)
        .arg(home("RUSTUP_HOME", ".rustup")?.canonicalize()?)
        .log(&log)
        .limit(LIMIT)
        .run()?;
    step.done();
    let built = root.join("repository/target/xen/rust/xen.gz");
    ensure!(built.is_file(), "{} was not built", built.display());
    Ok(())
}

/// Copies what git tracks, as it is now.
fn copy_repository(to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    Cmd::new("sh")
        .args([
            "-c",
            "git ls-files -z | tar -c --null --files-from=- | tar -x -C \"$1\"",
            "sh",
        ])
        .arg(to)
        .dir(repository())
        .run()
}

/// Copies cargo's programs and the crates that it has already, so that the host's stay as they are.
fn copy_cargo(to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    let from = home("CARGO_HOME", ".cargo")?;
    for name in ["bin", "registry"] {
        let path = from.join(name);
        if path.exists() {
            Cmd::new("cp").arg("-a").arg(path).arg(to).run()?;
        }
    }
    Ok(())
}

/// The directory that a variable names, or that has its usual place below the user's home.
fn home(variable: &str, usual: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let path = std::env::home_dir().context("HOME is not set")?.join(usual);
    if !path.is_dir() {
        bail!(
            "there is no {}: this test takes rustup's toolchain from there",
            path.display()
        );
    }
    Ok(path)
}
