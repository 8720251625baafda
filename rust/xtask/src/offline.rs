//! Commands without a network, to show that they need none once all is in the cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::fetch;
use crate::patch::repository;

/// An address of this machine at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

/// The path of this program. cargo may have built it anew since it was started, under the same
/// path.
fn this_program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("cannot find this program")?;
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), PathBuf::from))
}

/// Runs commands of this program one after another where nothing can be fetched.
///
/// # Errors
///
/// When one of them fails.
pub(crate) fn run(commands: &[&[&str]]) -> Result<()> {
    let xtask = this_program()?;
    let namespace = namespace();
    if namespace.is_empty() {
        println!("this host gives no network namespace: proxies that do not answer stand for it");
    }
    for words in commands {
        println!("without a network: cargo xtask {}", words.join(" "));
        let words_before = namespace.iter().map(AsRef::as_ref);
        let mut line = words_before.chain([xtask.as_os_str()]);
        let program = line.next().context("an empty command")?;
        let status = Command::new(program)
            .args(line)
            .args(*words)
            .current_dir(repository())
            .env(fetch::MIRROR, NOWHERE)
            .env("CARGO_NET_OFFLINE", "true")
            .envs(
                [
                    "ALL_PROXY",
                    "all_proxy",
                    "http_proxy",
                    "https_proxy",
                    "HTTPS_PROXY",
                    "RUSTUP_DIST_SERVER",
                ]
                .map(|name| (name, NOWHERE)),
            )
            .status()
            .with_context(|| format!("cannot start {}", program.display()))?;
        ensure!(
            status.success(),
            "without a network `cargo xtask {}` failed ({status})",
            words.join(" ")
        );
    }
    Ok(())
}

/// Brings the loopback interface up, over which the machine emulator reaches the program that
/// answers for the network, and becomes the command.
const WITH_LOOPBACK: &str = r#"python3 -c '
import fcntl, socket, struct
SIOCSIFFLAGS, UP = 0x8914, 0x49
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", UP))
' && exec "$@""#;

/// The words before a command that give it a network namespace of its own with nothing but a
/// loopback interface; none where the host forbids that.
fn namespace() -> &'static [&'static str] {
    let all: [&[&str]; 2] = [
        &["unshare", "--net", "sh", "-c", WITH_LOOPBACK, "sh"],
        &[
            "unshare",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            WITH_LOOPBACK,
            "sh",
        ],
    ];
    let works = |words: &[&str]| {
        let tried = Command::new(words[0])
            .args(&words[1..])
            .arg("true")
            .output();
        tried.is_ok_and(|output| output.status.success())
    };
    all.into_iter().find(|words| works(words)).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_all_that_there_is() {
        let words = namespace();
        if words.is_empty() {
            return;
        }
        let script = "import socket\n\
                      here = socket.create_server((\"127.0.0.1\", 0))\n\
                      socket.create_connection(here.getsockname())\n\
                      assert [name for _, name in socket.if_nameindex()] == [\"lo\"]";
        let output = Command::new(words[0])
            .args(&words[1..])
            .args(["python3", "-c", script])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
    }
}
