//! A fault of the emulator: it forgets that a processor has an interrupt, and the processor sleeps
//! on for ever, with interrupts on and one pending that nothing holds back. No processor does that.
//!
//! A machine that has said nothing for a while is asked, by the emulator's monitor, for the
//! registers and the local APIC of each processor, three times in a row.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long a machine says nothing before it is asked.
const QUIET: Duration = Duration::from_secs(20);

/// How long it has for an answer.
const PAUSE: Duration = Duration::from_secs(3);

/// How often the same answer is needed.
const TIMES: u32 = 3;

/// The bit of the flags that lets interrupts come.
const INTERRUPTS: u64 = 1 << 9;

/// Looks whether the emulator has lost an interrupt.
pub(super) struct Watch {
    cpus: u32,
    next: Instant,
    /// How much had been written when the machine was asked.
    asked: Option<u64>,
    seen: Option<String>,
    times: u32,
}

impl Watch {
    pub(super) fn new(cpus: u32, now: Instant) -> Self {
        Self {
            cpus,
            next: now + QUIET,
            asked: None,
            seen: None,
            times: 0,
        }
    }

    /// Goes on; `is_quiet` unless the machine has said something. The emulator's monitor is told by
    /// `tell` and answers in `messages`. Returns what was lost.
    ///
    /// # Errors
    ///
    /// When the answer cannot be read.
    pub(super) fn look(
        &mut self,
        is_quiet: bool,
        now: Instant,
        messages: &Path,
        tell: impl FnOnce(&str),
    ) -> Result<Option<String>> {
        if !is_quiet {
            *self = Self::new(self.cpus, now);
        }
        if now < self.next {
            return Ok(None);
        }
        self.next = now + PAUSE;
        if let Some(from) = self.asked.take() {
            let lost = lost(&answer(messages, from)?, self.cpus);
            let is_same = lost.is_some() && lost == self.seen;
            self.times = if is_same {
                self.times + 1
            } else {
                lost.is_some().into()
            };
            self.seen = lost;
            if self.times >= TIMES {
                return Ok(self.seen.take());
            }
            if self.seen.is_none() {
                self.next = now + QUIET;
                return Ok(None);
            }
        }
        let said = fs::metadata(messages).context("cannot look at what the emulator says")?;
        self.asked = Some(said.len());
        let lapics = (0..self.cpus).map(|cpu| format!("info lapic {cpu}\n"));
        tell(&format!(
            "info registers -a\n{}",
            lapics.collect::<String>()
        ));
        Ok(None)
    }
}

fn answer(messages: &Path, from: u64) -> Result<String> {
    let mut bytes = Vec::new();
    let mut file = File::open(messages).context("cannot read what the emulator says")?;
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.read_to_end(&mut bytes))
        .context("cannot read what the emulator says")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an answer of the monitor's says that was lost.
fn lost(answer: &str, cpus: u32) -> Option<String> {
    (0..cpus).find_map(|cpu| {
        let registers = section(answer, "CPU#", cpu)?;
        let flags = registers.lines().find(|line| line.contains(" RFL="))?;
        let value = u64::from_str_radix(word(flags, " RFL=")?, 16).ok()?;
        if word(flags, " HLT=")? != "1" || word(flags, " II=")? != "0" || value & INTERRUPTS == 0 {
            return None;
        }
        let lapic = section(answer, "dumping local APIC state for CPU ", cpu)?;
        let line = |name: &str| lapic.lines().find(|line| line.starts_with(name));
        let held = u8::from_str_radix(word(line("APR ")?, " PPR 0x")?, 16).ok()?;
        let pending = line("IRR")?.split_whitespace().skip(1);
        let pending = pending.filter_map(|vector| vector.split('(').next()?.parse::<u8>().ok());
        let highest = pending.max().filter(|vector| vector / 16 > held / 16)?;
        let enabled = line("SPIV")?.contains("APIC enabled");
        enabled.then(|| {
            format!("processor {cpu} sleeps, with interrupts on and vector {highest:#x} pending")
        })
    })
}

/// What stands behind a heading, up to the next of its kind.
fn section<'a>(answer: &'a str, heading: &str, number: u32) -> Option<&'a str> {
    let mut sections = answer.split(heading).skip(1);
    sections.find(|section| {
        let digits = section.split(|digit: char| !digit.is_ascii_digit()).next();
        digits == Some(&number.to_string())
    })
}

/// The word behind some text.
fn word<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    line.split_once(before)?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the emulator answers, shortened.
    fn said(halted: u8, flags: &str, pending: &str, held: &str) -> String {
        let registers = |cpu, halted, flags: &str| {
            format!(
                "\r\nCPU#{cpu}\r\nRAX=0 RBX=0\r\nRIP=ffff82d040326587 RFL={flags} [-----P-] CPL=0 \
                 II=0 A20=1 SMM=0 HLT={halted}\r\nES =0000 0 ffffffff 00c00000\r\n"
            )
        };
        let lapic = |cpu, pending, held| {
            format!(
                "(qemu) info lapic {cpu}\r\ndumping local APIC state for CPU {cpu} \r\n\
                 SPIV\t 0x000001ff APIC enabled, focus=off, spurious vec 255\r\n\
                 ISR\t (none)\r\nIRR\t {pending} \r\nAPR 0x00 TPR 0x10 DFR 0x0f LDR 0x01 PPR {held}\r\n"
            )
        };
        [
            registers(0, 0, "00000246"),
            registers(1, halted, flags),
            lapic(0, "(none)", "0x10"),
            lapic(1, pending, held),
        ]
        .concat()
    }

    #[test]
    fn a_processor_that_sleeps_on_is_found() {
        let lost = |answer: &str| super::lost(answer, 2);
        let found = lost(&said(1, "00000206", "250 252 253(level)", "0x10"));
        assert!(found.is_some_and(|what| what.contains("processor 1") && what.contains("0xfd")));
        assert_eq!(lost(&said(1, "00000206", "(none)", "0x10")), None);
        assert_eq!(lost(&said(0, "00000206", "250", "0x10")), None);
        assert_eq!(lost(&said(1, "00000006", "250", "0x10")), None);
        assert_eq!(lost(&said(1, "00000206", "250", "0xf1")), None);
        assert_eq!(lost("(qemu) "), None);
    }

    #[test]
    fn the_same_is_needed_three_times_of_a_quiet_machine() {
        let folder = tempfile::tempdir().unwrap();
        let messages = folder.path().join("messages");
        fs::write(&messages, "").unwrap();
        let start = Instant::now();
        let mut watch = Watch::new(2, start);
        let hung = said(1, "00000206", "250", "0x10");
        let ask = |watch: &mut Watch, is_quiet, after, answer: &str| {
            let tell = |_: &str| {
                let all = fs::read_to_string(&messages).unwrap() + answer;
                fs::write(&messages, all).unwrap();
            };
            watch
                .look(
                    is_quiet,
                    start + Duration::from_secs(after),
                    &messages,
                    tell,
                )
                .unwrap()
        };
        let mut seen = |quiet: [bool; 12], answers: [&str; 12]| {
            let mut found = None;
            for (index, (quiet, answer)) in (0..).zip(quiet.into_iter().zip(answers)) {
                found = found.or(ask(&mut watch, quiet, 20 + 3 * index, answer).map(|_| index));
            }
            watch = Watch::new(2, start);
            found
        };
        assert_eq!(seen([true; 12], [&hung; 12]), Some(3));
        let mut loud = [true; 12];
        loud[2] = false;
        // Quiet again for twenty seconds, which are seven looks, and then three answers.
        assert_eq!(seen(loud, [&hung; 12]), None);
        let works = said(0, "00000246", "250", "0x10");
        let mut once = [&*hung; 12];
        once[1] = &works;
        assert_eq!(seen([true; 12], once), None);
    }
}
