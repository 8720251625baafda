//! The transcript: one line per step, sent whole.

use core::fmt::{self, Write};

/// Where lines go.
pub trait Channel {
    /// Sends a line, newline included.
    fn send(&self, line: &[u8]);
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

/// The transcript of one kernel, and its count of what was checked.
pub struct Report<C: Channel> {
    name: &'static str,
    channel: C,
    checks: u32,
    failed: u32,
}

impl<C: Channel> Report<C> {
    /// Starts a transcript; every line opens with `name`.
    pub const fn new(name: &'static str, channel: C) -> Self {
        Self {
            name,
            channel,
            checks: 0,
            failed: 0,
        }
    }

    /// Prints a line that is compared with other runs but has no expectation of its own.
    pub fn say(&self, text: fmt::Arguments) {
        let mut line = Line::new();
        // Writing to a `Line` cannot fail.
        let _ = write!(line, "{}: {text}", self.name);
        self.channel.send(line.finish());
    }

    /// Checks a number.
    pub fn expect(&mut self, what: fmt::Arguments, got: i64, want: i64) {
        self.checks += 1;
        if got == want {
            self.say(format_args!("ok {what}: {got}"));
        } else {
            self.failed += 1;
            self.say(format_args!("FAILED {what}: {got}, not {want}"));
        }
    }

    /// Checks a register's value.
    pub fn expect_hex(&mut self, what: fmt::Arguments, got: u64, want: u64) {
        self.checks += 1;
        if got == want {
            self.say(format_args!("ok {what}: {got:#x}"));
        } else {
            self.failed += 1;
            self.say(format_args!("FAILED {what}: {got:#x}, not {want:#x}"));
        }
    }

    /// Ends the transcript: the line without which it is not complete.
    pub fn end(&self) {
        self.say(format_args!(
            "end, {} checks, {} failed",
            self.checks, self.failed
        ));
    }
}
