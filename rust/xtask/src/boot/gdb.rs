//! A client of the emulator's debugger port (GDB's remote serial protocol): a breakpoint, and the
//! machine's memory.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long an answer may take; firmware runs up to the breakpoint meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

/// The most bytes that one packet reads or writes.
const PACKET: usize = 0x200;

/// The connection to a machine.
pub(super) struct Machine(UnixStream);

impl Machine {
    /// Connects to the emulator's socket, which it makes when it starts.
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let end = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(socket) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    return Ok(Self(stream));
                }
                Err(error) if Instant::now() > end => {
                    return Err(error).context("the emulator opens no debugger port");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Lets the machine run until it executes the instruction at `address`.
    pub(super) fn run_to(&mut self, address: u32) -> Result<()> {
        self.demand(&format!("Z1,{address:x},1"))?;
        let stopped = self.ask("c")?;
        ensure!(
            stopped.starts_with(['T', 'S']),
            "the machine did not stop at {address:#x}: {stopped}"
        );
        self.demand(&format!("z1,{address:x},1"))
    }

    /// Lets the machine run on without a debugger.
    pub(super) fn detach(mut self) -> Result<()> {
        self.demand("D")
    }

    /// Reads memory.
    pub(super) fn read(&mut self, address: u32, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let count = PACKET.min(len - bytes.len());
            let from = address as usize + bytes.len();
            let answer = self.ask(&format!("m{from:x},{count:x}"))?;
            ensure!(answer.len() == 2 * count, "memory at {from:#x}: {answer}");
            for digits in answer.as_bytes().chunks(2) {
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits)?, 16)?);
            }
        }
        Ok(bytes)
    }

    /// Reads a word of 32 bits.
    pub(super) fn word(&mut self, address: u32) -> Result<u32> {
        let bytes = self.read(address, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    /// Writes memory.
    pub(super) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<()> {
        for (number, part) in bytes.chunks(PACKET).enumerate() {
            let to = address as usize + number * PACKET;
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            self.demand(&format!("M{to:x},{:x}:{digits}", part.len()))?;
        }
        Ok(())
    }

    fn demand(&mut self, packet: &str) -> Result<()> {
        let answer = self.ask(packet)?;
        ensure!(
            answer == "OK",
            "the debugger port answers {packet} with {answer:?}"
        );
        Ok(())
    }

    /// Sends a packet and returns the answer.
    fn ask(&mut self, packet: &str) -> Result<String> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        self.0
            .write_all(format!("${packet}#{sum:02x}").as_bytes())?;
        while self.byte()? != b'$' {}
        let mut answer = String::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => answer.push(byte.into()),
            }
        }
        // The checksum: a local socket damages nothing.
        self.byte()?;
        self.byte()?;
        self.0.write_all(b"+")?;
        Ok(answer)
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        loop {
            match self.0.read(&mut byte) {
                Ok(0) => bail!("the emulator closed its debugger port"),
                Ok(_) => return Ok(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("no answer from the debugger port"),
            }
        }
    }
}
