//! Who finds a slip: the tests of the host's crates, the twin, the oracle, the gates, the
//! benchmark.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::proc::Cmd;

/// How a judge's run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It found nothing.
    Passed,
    /// It found something, and this is where.
    Failed(String),
    /// It did not end in its time, which an unchanged program does.
    Hung,
}

/// Runs a judge for as long as it may take.
///
/// # Errors
///
/// It cannot be started.
pub(super) fn run(command: Cmd, log: &Path, patience: Duration) -> Result<Ending> {
    std::fs::write(log, "").with_context(|| format!("cannot write {}", log.display()))?;
    let mut running = command.log(log).start()?;
    let start = Instant::now();
    loop {
        match running.try_wait()? {
            Some(status) if status.success() => return Ok(Ending::Passed),
            Some(_) => {
                let text =
                    std::fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
                return Ok(Ending::Failed(place(&String::from_utf8_lossy(&text))));
            }
            None if start.elapsed() > patience => return Ok(Ending::Hung),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The line of a report that says most: the test that failed, or the seed.
fn place(report: &str) -> String {
    let test = report
        .lines()
        .find_map(|line| line.strip_prefix("---- ")?.strip_suffix(" stdout ----"));
    let seed = crate::twin::place(report).map(|seed| format!("seed {seed}"));
    let last = report.lines().rev().find(|line| !line.trim().is_empty());
    test.map(str::to_owned)
        .or(seed)
        .unwrap_or_else(|| last.unwrap_or("no word").to_owned())
}

/// A program of tests, by the crate that it is of.
pub(super) fn crate_of(program: &Path) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let (name, _) = name.rsplit_once('-').unwrap_or((&name, ""));
    name.replace('_', "-")
}

/// What the names of the tests in a file begin with.
pub(super) fn beside(file: &str) -> String {
    let module = file.split_once("/src/").map_or(file, |(_, module)| module);
    module.trim_end_matches(".rs").replace('/', "::") + "::"
}

/// The programs in the order in which they are asked: that of the slip's own crate first.
pub(super) fn in_order(programs: &[PathBuf], file: &str) -> Vec<PathBuf> {
    let own = if file.starts_with("hw/") {
        "irq-hw"
    } else {
        "irq-core"
    };
    let mut programs = programs.to_vec();
    programs.sort_by_key(|program| crate_of(program) != own);
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_by_its_place() {
        let test = "running 2 tests\n\n---- a::b stdout ----\nthread panicked\n";
        assert_eq!(place(test), "a::b");
        let twin = "words\nreplay with: cargo xtask twin --file msi --seed 7 --cases 1\n";
        assert_eq!(place(twin), "seed 7");
        assert_eq!(place("one\ntwo\n\n"), "two");
        assert_eq!(place(""), "no word");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let shell = |script: &str| Cmd::new("sh").args(["-c", script]);
        let soon = Duration::from_millis(300);
        assert_eq!(run(shell("sleep 100"), &log, soon).unwrap(), Ending::Hung);
        let late = Duration::from_secs(60);
        assert_eq!(run(shell("true"), &log, late).unwrap(), Ending::Passed);
        assert_eq!(
            run(shell("echo why; exit 1"), &log, late).unwrap(),
            Ending::Failed("why".into())
        );
    }

    #[test]
    fn the_tests_of_the_crate_itself_come_first() {
        let programs = ["a/irq_core-1f", "a/irq_hw-2e", "a/irq_sim-3d"].map(PathBuf::from);
        assert_eq!(crate_of(&programs[1]), "irq-hw");
        assert_eq!(beside("core/src/vmsi/shadow.rs"), "vmsi::shadow::");
        assert_eq!(in_order(&programs, "hw/src/pci.rs")[0], programs[1]);
        assert_eq!(
            in_order(&programs, "core/src/vmsi/deliver.rs")[0],
            programs[0]
        );
    }
}
