//! Commands of ours that run side by side.

use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::patch::repository;
use crate::ui;

/// How many run at a time. Each boots a machine, which keeps one processor busy for most of its time.
const LANES: usize = 2;

/// What became of a command.
pub(super) struct Outcome {
    /// Whether it did what it is for.
    pub(super) result: Result<()>,
    /// How long it ran.
    pub(super) took: Duration,
}

/// Runs this program with each of these arguments, two at a time. What one prints is shown in one piece, when it has ended.
pub(super) fn run(commands: &[(&str, Vec<&str>)]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let screen = Mutex::new(());
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((name, arguments)) = commands.get(index) else {
                return done;
            };
            let (start, step) = (Instant::now(), ui::step(*name));
            let (output, result) = capture(arguments);
            step.done();
            let screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            println!("\n== {name}\n{output}");
            drop(screen);
            let took = start.elapsed();
            done.push((index, Outcome { result, took }));
        }
    };
    let mut outcomes: Vec<_> = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(work)).collect();
        let join = |lane: thread::ScopedJoinHandle<'_, _>| lane.join().expect("a lane panicked");
        lanes.into_iter().flat_map(join).collect()
    });
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Runs this program; returns all that it printed.
fn capture(arguments: &[&str]) -> (String, Result<()>) {
    let mut output = Vec::new();
    let result = (|| {
        let (mut reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(repository())
            .stdout(writer.try_clone().context("cannot make a pipe")?)
            .stderr(writer);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        // It holds the pipe's other end, which else would never close.
        drop(command);
        reader
            .read_to_end(&mut output)
            .context("cannot read what a command prints")?;
        let status = child.wait().context("cannot wait for a command")?;
        ensure!(
            status.success(),
            "`{}` failed ({status})",
            arguments.join(" ")
        );
        Ok(())
    })();
    (String::from_utf8_lossy(&output).into_owned(), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_told_from_what_does_not() {
        // This program is the one that runs the tests: it lists them, and refuses what it does not know.
        let outcomes = run(&[
            ("good", vec!["--list", "lanes"]),
            ("bad", vec!["--no-such-option"]),
            ("good", vec!["--list", "lanes"]),
        ]);
        let results: Vec<_> = outcomes.iter().map(|o| o.result.is_ok()).collect();
        assert_eq!(results, [true, false, true]);
    }

    #[test]
    fn all_that_is_printed_is_shown() {
        let (output, result) = capture(&["--list", "lanes::tests::all_that"]);
        assert!(result.is_ok());
        assert!(output.contains("all_that_is_printed_is_shown"), "{output}");
    }
}
