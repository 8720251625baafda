//! Runs one machine and follows what it says, until it turns itself off, dies or takes too long.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::hang;
use super::protocol::{Event, Parser};
use crate::proc::Cmd;
use crate::ui;

/// How often the log is read.
const TICK: Duration = Duration::from_millis(100);

/// What may be printed after a crash before the machine is stopped.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// From the start of the emulator to the first phase that dom0 announces.
const START: Duration = Duration::from_secs(240);

/// What Xen prints when it turns the machine off as asked.
const POWER_OFF: &str = "Preparing system for ACPI S5 state";

/// What a kernel says that got the machine from Xen and turns it off by itself.
const OWN_POWER_OFF: &str = "@@ off";

/// What Xen prints before it suspends the machine to memory.
const SUSPENDS: &str = "Entering ACPI S3 state";

/// How long a machine sleeps, and how long it may take to show that it woke before it is told
/// again.
const SLEEP: Duration = Duration::from_secs(1);

/// What a run has shown.
#[derive(Default)]
pub(super) struct Record {
    /// Everything, in order.
    pub(super) events: Vec<Event>,
    /// Why the run is false although its checks may be true.
    pub(super) failure: Option<String>,
    /// Whether that is because its time was up.
    pub(super) late: bool,
    /// Whether that is because the emulator has lost an interrupt.
    pub(super) lost: bool,
    /// How long it took.
    pub(super) took: Duration,
}

/// How a followed log ended.
enum Stop {
    /// The check that was false.
    Check,
    /// Something else that is false.
    Failure(String),
    /// Its time is up.
    Late(String),
    /// The emulator has lost an interrupt.
    Lost(String),
    /// The emulator ended by itself.
    Exit,
}

/// Runs `emulator`, a machine with so many processors, whose serial line goes to `serial` and own
/// messages to `messages`. `prepare` is called once it runs; `watch` sees each event as it comes.
///
/// # Errors
///
/// When the emulator cannot be started, or one of the two fails. Everything that goes wrong later
/// is in the record.
pub(super) fn run(
    (emulator, cpus): (Cmd, u32),
    serial: &Path,
    messages: &Path,
    step: &mut ui::Step,
    (prepare, mut watch): (
        impl FnOnce() -> Result<()>,
        impl FnMut(&Event) -> Result<()>,
    ),
) -> Result<Record> {
    File::create(serial).with_context(|| format!("cannot write {}", serial.display()))?;
    File::create(messages).with_context(|| format!("cannot write {}", messages.display()))?;
    let mut log =
        File::open(serial).with_context(|| format!("cannot read {}", serial.display()))?;
    let mut running = emulator.log(messages).start_listening()?;
    prepare()?;
    let started = Instant::now();
    let mut follow = Follow::new(started);
    let mut monitor = hang::Watch::new(cpus, started);
    let mut watched = 0;
    let stop = loop {
        // Asked before reading: what a dead emulator has written is then read in full.
        let status = running.try_wait()?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", serial.display()))?;
        let stop = follow.feed(&bytes, Instant::now(), step);
        follow.record.events[watched..]
            .iter()
            .try_for_each(&mut watch)?;
        watched = follow.record.events.len();
        if let Some(stop) = stop {
            break stop;
        }
        if follow.wakes(Instant::now()) && status.is_none() {
            running.tell("system_wakeup\n")?;
        }
        if status.is_none() {
            let is_quiet = bytes.is_empty();
            // An emulator that does not listen any more is about to end.
            let tell = |text: &str| drop(running.tell(text));
            let lost = monitor.look(is_quiet, Instant::now(), messages, tell)?;
            if let Some(lost) = lost {
                break Stop::Lost(format!("the emulator has lost an interrupt: {lost}"));
            }
        }
        match status {
            Some(status) if status.success() => break follow.exit(),
            Some(status) => {
                let said = std::fs::read_to_string(messages).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing");
                break Stop::Failure(format!("the emulator died ({status}): {last}"));
            }
            None => std::thread::sleep(TICK),
        }
    };
    drop(running);
    let mut record = follow.record;
    record.took = started.elapsed();
    record.late = matches!(stop, Stop::Late(_));
    record.lost = matches!(stop, Stop::Lost(_));
    record.failure = match stop {
        Stop::Check => None,
        Stop::Failure(failure) | Stop::Late(failure) | Stop::Lost(failure) => Some(failure),
        Stop::Exit => record.bad_end(),
    };
    Ok(record)
}

impl Record {
    /// Why the machine should not have ended here, if it should not.
    fn bad_end(&self) -> Option<String> {
        if !self.events.contains(&Event::End) {
            return Some("the machine stopped before the scenario ended".to_owned());
        }
        let off = |event: &Event| match event {
            Event::Xen(text) => text.contains(POWER_OFF),
            Event::Other(text) => text == OWN_POWER_OFF,
            _ => false,
        };
        if !self.events.iter().any(off) {
            return Some("the machine stopped without being turned off".to_owned());
        }
        None
    }
}

/// The state of following one log.
struct Follow {
    parser: Parser,
    record: Record,
    phase: String,
    deadline: Instant,
    /// A crash, and until when its last words are awaited.
    crash: Option<(String, Instant)>,
    /// When a machine that sleeps is to be woken.
    alarm: Option<Instant>,
}

impl Follow {
    fn new(now: Instant) -> Self {
        Self {
            parser: Parser::default(),
            record: Record::default(),
            phase: "Xen and dom0's kernel start".to_owned(),
            deadline: now + START,
            crash: None,
            alarm: None,
        }
    }

    /// Whether to wake the machine now.
    fn wakes(&mut self, now: Instant) -> bool {
        let due = self.alarm.is_some_and(|alarm| now >= alarm);
        if due {
            self.alarm = Some(now + SLEEP);
        }
        due
    }

    /// Takes new text; says when and why the machine is to be stopped.
    fn feed(&mut self, bytes: &[u8], now: Instant, step: &mut ui::Step) -> Option<Stop> {
        let mut stop = None;
        for event in self.parser.feed(bytes) {
            // Whatever it says, it does not sleep, unless that is what it says.
            self.alarm = match &event {
                Event::Xen(text) if text.contains(SUSPENDS) => Some(now + SLEEP),
                _ => None,
            };
            match &event {
                Event::Phase { seconds, text } => {
                    step.note(text.clone());
                    self.phase.clone_from(text);
                    self.deadline = now + Duration::from_secs(*seconds);
                }
                Event::Check { ok: false, .. } => stop = Some(Stop::Check),
                Event::Crash(words) => {
                    self.crash
                        .get_or_insert_with(|| (words.clone(), now + LAST_WORDS));
                }
                _ => {}
            }
            self.record.events.push(event);
        }
        if let Some((_, until)) = &self.crash {
            return (now >= *until).then(|| self.exit());
        }
        if stop.is_none() && now >= self.deadline {
            return Some(Stop::Late(format!(
                "time is up in the phase \"{}\"",
                self.phase
            )));
        }
        stop
    }

    /// What it means that the machine is gone.
    fn exit(&self) -> Stop {
        match &self.crash {
            Some((words, _)) => {
                Stop::Failure(format!("crash in the phase \"{}\": {words}", self.phase))
            }
            None => Stop::Exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(text: &str, after: Duration) -> (Follow, Option<Stop>) {
        let now = Instant::now();
        let mut step = ui::step("test");
        let mut follow = Follow::new(now);
        let first = follow.feed(text.as_bytes(), now, &mut step);
        let stop = first.or_else(|| follow.feed(b"", now + after, &mut step));
        step.done();
        (follow, stop)
    }

    #[test]
    fn a_phase_has_its_time() {
        let second = Duration::from_secs(1);
        assert!(followed("@@ phase 5 x\n", 4 * second).1.is_none());
        let (_, stop) = followed("@@ phase 5 x\n", 5 * second);
        assert!(matches!(stop, Some(Stop::Late(why)) if why.contains("\"x\"")));
    }

    #[test]
    fn the_first_false_check_stops() {
        let (_, stop) = followed("@@ check a FAIL\n", Duration::ZERO);
        assert!(matches!(stop, Some(Stop::Check)));
    }

    #[test]
    fn a_crash_stops_after_its_last_words() {
        let (_, stop) = followed("(XEN) Panic on CPU 0:\n", LAST_WORDS);
        assert!(matches!(stop, Some(Stop::Failure(why)) if why.contains("Panic")));
    }

    #[test]
    fn a_machine_that_sleeps_is_woken() {
        let (mut follow, _) = followed("(XEN) Entering ACPI S3 state.\n", Duration::ZERO);
        let now = Instant::now();
        assert!(!follow.wakes(now));
        assert!(follow.wakes(now + SLEEP));
        assert!(!follow.wakes(now + SLEEP) && follow.wakes(now + 2 * SLEEP));
        let mut step = ui::step("test");
        follow.feed(
            b"(XEN) Finishing wakeup from ACPI S3 state.\n",
            now,
            &mut step,
        );
        step.done();
        assert!(!follow.wakes(now + 4 * SLEEP));
    }

    #[test]
    fn the_end_needs_a_power_off() {
        let (follow, _) = followed("@@ end\n", Duration::ZERO);
        assert!(follow.record.bad_end().is_some());
        let (follow, _) = followed(
            "@@ end\n(XEN) Preparing system for ACPI S5 state.\n",
            Duration::ZERO,
        );
        assert!(follow.record.bad_end().is_none());
        let (follow, _) = followed(
            "(XEN) Preparing system for ACPI S5 state.\n",
            Duration::ZERO,
        );
        assert!(follow.record.bad_end().is_some());
    }
}
