//! Child processes that never outlive the command.
//!
//! Every child leads a process group of its own and dies with the thread that started it (`setpriv
//! --pdeathsig`); the groups that are alive are listed here, so that Ctrl-C, a closed terminal or a
//! panic ends them all.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;

/// How many lines of a failed command's output go into the error.
const TAIL: usize = 25;

/// What an interrupt has to end and remove.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static PATHS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static HANDLER: Once = Once::new();

/// Ends everything on SIGINT, SIGTERM and SIGHUP. The first child or scratch directory calls it.
fn install_handler() {
    HANDLER.call_once(|| {
        let handler = || {
            // The guards stay locked until the exit, so that no thread starts another child
            // meanwhile.
            let groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
            for &group in groups.iter() {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            let paths = PATHS.lock().unwrap_or_else(PoisonError::into_inner);
            for path in paths.iter() {
                let _ = std::fs::remove_dir_all(path);
            }
            eprintln!("interrupted");
            std::process::exit(130);
        };
        if let Err(error) = ctrlc::set_handler(handler) {
            eprintln!("warning: Ctrl-C will not clean up: {error}");
        }
    });
}

/// Has `path` removed when the command is interrupted.
pub(crate) fn remove_on_interrupt(path: &Path) {
    install_handler();
    PATHS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(path.to_owned());
}

/// Takes back [`remove_on_interrupt`].
pub(crate) fn keep_on_interrupt(path: &Path) {
    PATHS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(path);
}

/// A command to run; a builder like [`std::process::Command`].
pub(crate) struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    dir: Option<PathBuf>,
    log: Option<PathBuf>,
    limit: Option<Duration>,
}

impl Cmd {
    /// Names the program.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            log: None,
            limit: None,
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the working directory.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    pub(crate) fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), None));
        self
    }

    /// Appends what the command prints to a file.
    pub(crate) fn log(mut self, path: impl AsRef<Path>) -> Self {
        self.log = Some(path.as_ref().to_owned());
        self
    }

    /// Ends the command, with all that it started, after this time; it has failed then.
    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Runs the command quietly.
    ///
    /// # Errors
    ///
    /// When it cannot be started or fails; the error carries the command and the last lines it
    /// printed.
    pub(crate) fn run(&self) -> Result<()> {
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().context("cannot copy a pipe")?)
            .stderr(writer);
        let mut child = self.spawn(&mut command)?;
        // The command holds the writing ends: without this the reader would wait for ever.
        drop(command);
        let tail = self.collect(reader)?;
        self.judge(child.wait()?, &tail)
    }

    /// Runs the command and returns what it wrote to its standard output.
    ///
    /// # Errors
    ///
    /// As [`Cmd::run`]; the error then carries the last lines of its standard error.
    pub(crate) fn output(&self) -> Result<String> {
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(writer);
        let mut child = self.spawn(&mut command)?;
        drop(command);
        let mut stdout = child.child.stdout.take().context("no standard output")?;
        let (text, tail) = std::thread::scope(|scope| {
            let errors = scope.spawn(|| self.collect(reader));
            let mut text = Vec::new();
            let read = stdout.read_to_end(&mut text).map(|_| text);
            (read, errors.join())
        });
        let tail = tail.map_err(|_| anyhow::anyhow!("the reader of {self} panicked"))??;
        self.judge(child.wait()?, &tail)?;
        let text = text.with_context(|| format!("cannot read from {self}"))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Starts the command with its output going to `log` (or nowhere) and returns it running.
    ///
    /// It dies when the calling thread ends, so call this from a thread that outlives it.
    pub(crate) fn start(&self) -> Result<Running> {
        self.start_with(Stdio::null())
    }

    /// As [`Cmd::start`], and lets [`Running::tell`] write to the command.
    pub(crate) fn start_listening(&self) -> Result<Running> {
        self.start_with(Stdio::piped())
    }

    fn start_with(&self, input: Stdio) -> Result<Running> {
        let mut command = self.command();
        command.stdin(input);
        match &self.log {
            Some(path) => {
                let file = open_log(path)?;
                command
                    .stdout(file.try_clone().context("cannot copy a file")?)
                    .stderr(file);
            }
            None => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
        }
        self.spawn(&mut command)
    }

    /// The command for `std`, wrapped so that the kernel kills it when we are gone.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(limit) = self.limit {
            command.args([
                "timeout",
                "--kill-after=5",
                &limit.as_secs_f64().to_string(),
            ]);
            // The command has to die with timeout, too.
            command.args(["setpriv", "--pdeathsig", "KILL", "--"]);
        }
        command.arg(&self.program).args(&self.args).process_group(0);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
    }

    fn spawn(&self, command: &mut Command) -> Result<Running> {
        install_handler();
        // Held across the start: an interrupt sees the child in the list or prevents it.
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {self} through setpriv (package util-linux)"))?;
        let group = i32::try_from(child.id()).context("process id out of range")?;
        groups.insert(group);
        Ok(Running { child, group })
    }

    /// Reads everything, copies it to the log, and returns the last lines.
    fn collect(&self, reader: impl Read) -> Result<Vec<String>> {
        let mut log = self.log.as_deref().map(open_log).transpose()?;
        let mut tail = std::collections::VecDeque::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.with_context(|| format!("cannot read from {self}"))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(log) = &mut log {
                writeln!(log, "{line}").context("cannot write the log")?;
            }
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        Ok(tail.into())
    }

    fn judge(&self, status: ExitStatus, tail: &[String]) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let mut message = match self.limit {
            Some(limit) if [Some(124), Some(137)].contains(&status.code()) => {
                format!("`{self}` took longer than {:.0} s", limit.as_secs_f64())
            }
            _ => format!("`{self}` failed ({status})"),
        };
        if let Some(path) = &self.log {
            message += &format!(", log in {}", path.display());
        }
        for line in tail {
            message += "\n  | ";
            message += line;
        }
        bail!(message)
    }
}

impl std::fmt::Display for Cmd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.to_string_lossy())?;
        for arg in &self.args {
            write!(f, " {}", arg.to_string_lossy())?;
        }
        Ok(())
    }
}

fn open_log(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// How many CPUs there are to run something on.
pub(crate) fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The time that this process and the children that it has waited for have had on CPUs, without
/// what the host's other work took.
pub(crate) fn cpu_time() -> std::time::Duration {
    let of = |who| {
        getrusage(who).map_or(0, |usage| {
            usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
        })
    };
    let microseconds = of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN);
    std::time::Duration::from_micros(microseconds.unsigned_abs())
}

/// A child with its whole process group; dropping it kills the group.
pub(crate) struct Running {
    child: Child,
    group: i32,
}

impl Running {
    /// Waits until the child ends.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("cannot wait for a child")
    }

    /// Writes to the child's standard input.
    pub(crate) fn tell(&mut self, text: &str) -> Result<()> {
        let input = self
            .child
            .stdin
            .as_mut()
            .context("the child does not listen")?;
        input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush())
            .context("cannot write to a child")
    }

    /// The status when the child has ended.
    pub(crate) fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot wait for a child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        // Grandchildren may live although the leader is gone; an empty group answers ESRCH, which
        // is fine.
        let _ = killpg(Pid::from_raw(self.group), Signal::SIGKILL);
        let _ = self.child.wait();
        groups.remove(&self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_command_and_its_last_lines() {
        let error = Cmd::new("sh")
            .args(["-c", "echo good; echo bad >&2; exit 3"])
            .run()
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit 3"), "{error}");
        assert!(error.contains("| bad"), "{error}");
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let start = std::time::Instant::now();
        // The second sleep would hold the pipe open.
        let error = Cmd::new("sh")
            .args(["-c", "sleep 100 & sleep 100"])
            .limit(Duration::from_millis(300))
            .run()
            .unwrap_err()
            .to_string();
        assert!(error.contains("took longer than"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_child_that_listens_hears() {
        let mut child = Cmd::new("sh")
            .args(["-c", "read word && [ \"$word\" = hello ]"])
            .start_listening()
            .unwrap();
        child.tell("hello\n").unwrap();
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn output_is_standard_output_only() {
        let text = Cmd::new("sh")
            .args(["-c", "echo out; echo err >&2"])
            .output()
            .unwrap();
        assert_eq!(text, "out\n");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Cmd::new("no-such-program").run().unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn dropping_kills_the_grandchildren() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! >{}; wait", file.display());
        let running = Cmd::new("sh").args(["-c", &script]).start().unwrap();
        let pid = loop {
            match std::fs::read_to_string(&file) {
                Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
                _ => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        };
        drop(running);
        let stat = format!("/proc/{pid}/stat");
        let dead = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..200 {
            if dead() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("process {pid} still lives");
    }
}
