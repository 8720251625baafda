//! Xen's make, run out of tree with a live line that says how far it is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::patch::repository;
use crate::proc::{Cmd, cpus};
use crate::ui;

/// The phases of a build in their order: what a line of make's output starts with, and what it
/// means.
const PHASES: &[(&str, &str)] = &[
    ("  HOSTCC  ", "host tools"),
    ("  CC      common/", "common"),
    ("  CC      drivers/", "drivers"),
    ("  CC      arch/x86/", "arch/x86"),
    ("  CARGO   ", "Rust"),
    ("  LD      prelink.o", "linking xen-syms"),
    ("  CC      .xen.efi.", "linking xen.efi"),
];

/// A make in Xen's source.
pub(crate) struct Make {
    /// The root of the source.
    pub(crate) source: PathBuf,
    /// The object tree.
    pub(crate) objects: PathBuf,
    /// Variables, as `NAME=value`.
    pub(crate) variables: Vec<String>,
}

impl Make {
    /// Makes `target`; `text` tells the user what for.
    ///
    /// # Errors
    ///
    /// When make fails: the error is the line that tells why, and where the whole log is.
    pub(crate) fn run(&self, target: &str, text: &str) -> Result<()> {
        let log = self.objects.join("xtask.log");
        std::fs::create_dir_all(&self.objects)
            .with_context(|| format!("cannot create {}", self.objects.display()))?;
        File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut step = ui::step(text);
        let mut running = self.command(target).log(&log).start()?;
        let mut progress = Progress::default();
        let mut output = File::open(&log)?;
        let status = loop {
            let status = running.try_wait()?;
            output
                .read_to_string(&mut progress.text)
                .or_else(|error| match error.kind() {
                    // Half a character at the end; the next round reads on.
                    std::io::ErrorKind::InvalidData => Ok(0),
                    _ => Err(error),
                })?;
            if let Some(phase) = progress.advance() {
                step.note(phase);
            }
            match status {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        if !status.success() {
            bail!("{} (log in {})", reason(&progress.text), log.display());
        }
        step.done();
        Ok(())
    }

    fn command(&self, target: &str) -> Cmd {
        let jobs = cpus();
        Cmd::new("make")
            .arg("-C")
            .arg(self.source.join("xen"))
            .arg(format!("-j{jobs}"))
            .arg(format!("O={}", self.objects.display()))
            .arg(format!("XEN_IRQ_RS={}", repository().display()))
            .args(&self.variables)
            .arg(target)
            // One date for all builds: what did not change is not built again, and equal sources
            // make equal images.
            .env("SOURCE_DATE_EPOCH", epoch(&self.source))
            // arch/x86/usercopy.c includes itself by the name that the images bear for it, which no
            // directory is part of.
            .env("CPATH", self.source.join("xen"))
            .env("LC_ALL", "C")
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
    }
}

/// The date that a build bears, in seconds: the last that the release notes in the source give. A
/// file's own date would differ from copy to copy.
fn epoch(source: &Path) -> String {
    let notes = std::fs::read_to_string(source.join("CHANGELOG.md")).unwrap_or_default();
    let date = last_release(&notes).unwrap_or("1970-01-01");
    let seconds = Cmd::new("date").args(["-u", "-d", date, "+%s"]).output();
    seconds.map_or_else(|_| "0".to_owned(), |text| text.trim().to_owned())
}

/// The date in the first heading of a release that has one.
fn last_release(notes: &str) -> Option<&str> {
    let mut headings = notes.lines().filter(|line| line.starts_with("## ["));
    headings.find_map(|line| {
        let (_, date) = line.rsplit_once(" - ")?;
        date.starts_with(|first: char| first.is_ascii_digit())
            .then_some(date.trim())
    })
}

/// How far the output is read and how far the build is.
#[derive(Default)]
struct Progress {
    text: String,
    read: usize,
    phase: usize,
}

impl Progress {
    /// The phase, when the new complete lines begin one. Directories are built side by side, so no
    /// phase comes again.
    fn advance(&mut self) -> Option<&'static str> {
        let end = self.text.rfind('\n').map_or(0, |at| at + 1);
        let new = self.text.get(self.read..end)?;
        let reached = |line: &str| PHASES.iter().position(|(start, _)| line.starts_with(start));
        let phase = new
            .lines()
            .filter_map(reached)
            .max()
            .map_or(0, |index| index + 1);
        self.read = end;
        if phase <= self.phase {
            return None;
        }
        self.phase = phase;
        Some(PHASES[phase - 1].1)
    }
}

/// The line that tells why make failed: the first error that names its cause, not what follows from
/// it.
fn reason(log: &str) -> &str {
    let names_cause = |line: &&str| {
        line.contains("xen-irq: ")
            || line.contains("error:")
            || line.starts_with("error[")
            || line.contains("Error: ")
    };
    // make's own errors: `file:line: *** text.  Stop.` and, last, `*** [target] Error 2`.
    let stop = |line: &&str| line.contains("*** ") && line.ends_with("Stop.");
    log.lines()
        .find(names_cause)
        .or_else(|| log.lines().find(stop))
        .or_else(|| log.lines().find(|line| line.contains("***")))
        .unwrap_or("make failed")
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_that_of_the_last_release_that_has_one() {
        let notes = "# Notes\n## [4.21](x) - TBD\n## [4.20.3](x)\n## [4.20.0](x) - 2025-03-05\n## [4.19.0](x) - 2024-07-29\n";
        assert_eq!(last_release(notes), Some("2025-03-05"));
        assert_eq!(last_release("# Notes\n"), None);
    }

    #[test]
    fn phases_only_go_forward() {
        let mut progress = Progress::default();
        progress.text += "  CC      common/a.o\n";
        assert_eq!(progress.advance(), Some("common"));
        progress.text += "  CC      drivers/b.o\n  CC      common/c.o\n";
        assert_eq!(progress.advance(), Some("drivers"));
        progress.text += "  CC      common/d.o\n  CARGO   arch/";
        assert_eq!(progress.advance(), None);
        progress.text += "x86/xen-irq/libxen_irq.a\n";
        assert_eq!(progress.advance(), Some("Rust"));
    }

    #[test]
    fn the_reason_is_the_first_cause() {
        let log = "  CC  a.o\nxen-irq: rustc 1.2 found.\nmake[2]: *** [Makefile:1: x] Error 1\n";
        assert_eq!(reason(log), "xen-irq: rustc 1.2 found.");
        let log = "Makefile:12: *** X is not set.  Stop.\nmake[1]: *** [a] Error 2\n";
        assert_eq!(reason(log), "Makefile:12: *** X is not set.  Stop.");
        assert_eq!(reason("make: *** [a] Error 2\n"), "make: *** [a] Error 2");
    }
}
