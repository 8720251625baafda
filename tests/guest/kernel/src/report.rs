//! The transcript: one line per step, sent whole.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use crate::port;

/// Where lines go.
pub trait Channel {
    /// Sends a line, newline included.
    fn send(&self, line: &[u8]);
}

/// Port 0xE9 of an HVM guest: Xen itself serves it and writes each line to its log, opened by the
/// domain.
pub struct DebugPort;

impl Channel for DebugPort {
    fn send(&self, line: &[u8]) {
        // SAFETY: the port takes characters.
        unsafe { port::out_all(0xe9, line) };
    }
}

/// The machine's first serial port, of a kernel that runs without a hypervisor.
pub struct Serial;

impl Serial {
    const DATA: u16 = 0x3f8;
    const STATUS: u16 = Self::DATA + 5;
    const READY: u8 = 1 << 5;
}

impl Channel for Serial {
    fn send(&self, line: &[u8]) {
        for &byte in line {
            // SAFETY: reading the port's status changes nothing that anybody waits for.
            while unsafe { port::in8(Self::STATUS) } & Self::READY == 0 {}
            // SAFETY: the port takes characters.
            unsafe { port::out8(Self::DATA, byte) };
        }
    }
}

/// A line under construction. What does not fit is cut, and the line then ends in `~`.
pub struct Line {
    bytes: [u8; 240],
    length: usize,
}

impl Line {
    /// An empty line.
    pub const fn new() -> Self {
        Self {
            bytes: [0; 240],
            length: 0,
        }
    }

    /// The text with its newline.
    fn finish(&mut self) -> &[u8] {
        let end = self.bytes.len() - 2;
        if self.length > end {
            self.bytes[end] = b'~';
            self.length = end + 1;
        }
        self.bytes[self.length] = b'\n';
        &self.bytes[..=self.length]
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.length < self.bytes.len() - 1 {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
        Ok(())
    }
}

/// The transcript of one kernel, in the words that `cargo xtask boot` reads
/// (rust/xtask/src/boot/protocol.rs).
///
/// An answer that is as expected is a line to compare with other runs; only one that is not is a
/// check of its own, and at the end all of them together are.
pub struct Report<C: Channel> {
    name: &'static str,
    channel: C,
    checks: u32,
    failed: u32,
}

impl<C: Channel> Report<C> {
    /// Starts a transcript; every line names its kernel.
    pub const fn new(name: &'static str, channel: C) -> Self {
        Self {
            name,
            channel,
            checks: 0,
            failed: 0,
        }
    }

    fn line(&self, text: fmt::Arguments) {
        let mut line = Line::new();
        // Writing to a `Line` cannot fail.
        let _ = write!(line, "@@ {text}");
        self.channel.send(line.finish());
    }

    /// Says what comes now and how many seconds it may take.
    pub fn phase(&self, seconds: u32, text: fmt::Arguments) {
        self.line(format_args!("phase {seconds} {}: {text}", self.name));
    }

    /// Prints a line that is compared with other runs but has no expectation of its own.
    pub fn say(&self, text: fmt::Arguments) {
        self.line(format_args!("say {}: {text}", self.name));
    }

    /// Checks a number.
    pub fn expect(&mut self, what: fmt::Arguments, got: i64, want: i64) {
        self.checks += 1;
        if got == want {
            self.say(format_args!("{what}: {got}"));
        } else {
            self.fail(format_args!("{what}: {got}, not {want}"));
        }
    }

    /// Checks a register's value.
    pub fn expect_hex(&mut self, what: fmt::Arguments, got: u64, want: u64) {
        self.checks += 1;
        if got == want {
            self.say(format_args!("{what}: {got:#x}"));
        } else {
            self.fail(format_args!("{what}: {got:#x}, not {want:#x}"));
        }
    }

    /// Reports a check of its own, whose words are not compared with other runs.
    pub fn check(&mut self, name: &str, ok: bool, text: fmt::Arguments) {
        self.checks += 1;
        if ok {
            self.line(format_args!("check {name} ok {text}"));
        } else {
            self.failed += 1;
            self.line(format_args!("check {name} FAIL {text}"));
        }
    }

    /// Reports a false check.
    pub fn fail(&mut self, text: fmt::Arguments) {
        self.failed += 1;
        self.line(format_args!("check {} FAIL {text}", self.name));
    }

    /// Gives a number in which stock Xen and ours may differ.
    pub fn count(&self, name: &str, number: u64) {
        self.line(format_args!("count {name} {number}"));
    }

    /// Runs `action`, which makes the hypervisor print what belongs to a debug key, between two
    /// marks.
    pub fn key(&mut self, letter: char, label: &str, action: impl FnOnce() -> i64) {
        self.line(format_args!("key {letter} {}: {label}", self.name));
        let result = action();
        self.line(format_args!("endkey"));
        if result != 0 {
            self.fail(format_args!("debug key {letter}: {result}"));
        }
    }

    /// Reports that the kernel itself gave up.
    pub fn panicked(&mut self, info: &PanicInfo) {
        let line = info.location().map_or(0, |location| location.line());
        let file = info.location().map_or("", |location| location.file());
        self.fail(format_args!("{file}:{line}: {}", info.message()));
    }

    /// Gives the result of all checks.
    pub fn result(&self) {
        if self.failed == 0 {
            self.line(format_args!(
                "check {} ok {} answers",
                self.name, self.checks
            ));
        }
    }

    /// Ends the transcript: the line without which it is not complete.
    pub fn end(&self) {
        self.line(format_args!("end"));
    }

    /// Says that the kernel turns the machine off by itself, without a hypervisor that would say
    /// so.
    pub fn off(&self) {
        self.line(format_args!("off"));
    }
}
