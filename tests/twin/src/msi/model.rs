//! In what the sides may differ.
//!
//! 1. *Reads of configuration space.* Rust knows from an earlier time that a function is enabled and decodes memory, what its
//!    masks are, and where its table begins; C reads all that each time. So reads are left out, but Rust's may not be more; and with the
//!    boot option `msi-recheck` those for an interrupt that is masked, unmasked or moved are the same.
//! 2. *Functions that change behind Xen.* Rust writes an entry first, sees by the read that follows that nobody has taken it, and
//!    then does as C. Writes that nobody takes are left out. Where MSI-X was switched off and the table answers all the
//!    same, Rust does not switch it on for the time of the write; and the debug key shows the mask bit there. Moves that
//!    would write a message then are left out ([`super::registers::are_unclear`]); and of what is switched off it does not
//!    matter whether all its messages are masked ([`super::registers::settle`]).
//! 3. *The mask register of MSI.* Rust makes it from what Xen knows, C from what the device says. Where the device lost it, Rust's
//!    is right, and C's is put right ([`super::registers::settle`]).
//! 4. *Errors while something is set up.* Rust leaves everything as it was; C leaves MSI disabled, or MSI-X disabled and
//!    masked. What C leaves is undone ([`super::undo`]). Pages that cannot be protected are an error of Rust's, and a
//!    warning of C's: from there on Rust goes on alone.
//! 5. *The guest's masks in a write of the mask register of MSI.* C takes any bit of a message or of one after it for that of
//!    the message. C's masks are put right ([`super::registers::guest_masks`]).
//! 6. *Entries in two pages.* C maps the first page and writes into what is mapped behind it, if anything is. Rust refuses the
//!    entry, and goes on alone.
//! 7. *Lines of the log.* C prints that all messages of a function are masked before it masks them, Rust afterwards.
//! 8. *Devices that lie.* The sides read different registers a different number of times. From the first difference on Rust goes
//!    on alone, and may not stop Xen.
//!
//! 9. *Bits 31:1 of vector control.* C clears them, Rust keeps what the device has there: Rust reads them, and
//!    [`super::compare`] sees to it that none is lost.
//!
//! 10. *The last page of a table that shares it.* C maps the page where the last entry begins, Rust the one where it ends. Where
//!    these are two Rust goes on alone.
//!
//! What is avoided, because C goes wrong there or relies on its callers, stands in [`super::registers::are_unclear`] and where
//! steps are carried out.

use super::config::LOST;
use super::functions::MISMAPPED;
use super::op::Op;
use super::registers::{SETTLED, WRONG, is_write};
use super::spec::Spec;
use super::undo::{DIGEST, FAILED, LEFT, UNKNOWN};
use super::world::World;
use crate::answer::Answer;
use crate::subject::Verdict;
use crate::trace::{Entry, Event};

pub(crate) struct Model {
    spec: Spec,
    /// Whether a set-up failed in this step.
    failed: bool,
    /// Whether a mask register was put right.
    settled: bool,
    /// Whether some function changed behind Xen.
    behind: bool,
}

impl Model {
    pub(super) fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            failed: false,
            settled: false,
            behind: false,
        }
    }

    /// Whether the sides may part.
    pub(super) fn may_part(&self) -> bool {
        self.spec.lies > 0
    }

    /// Decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        let says = |answer: &Answer, what| answer.output.is_some_and(|output| output & what != 0);
        self.behind = world.behind.contains(&true);
        self.failed = says(rust, FAILED);
        self.settled = says(c, SETTLED);
        if self.failed && says(rust, LEFT) {
            return Err("Rust has left something of what failed".to_owned());
        }
        if self.failed && !says(c, FAILED) && world.not_protected {
            return Ok(Verdict::Alone);
        }
        let invalid = Ok(u64::from(-libc::EINVAL as u32));
        if self.failed && !says(c, FAILED) && rust.outcome == invalid && world.crossed {
            return Ok(Verdict::Alone);
        }
        if says(rust, MISMAPPED) {
            return Err("Rust has mapped another page than the table shares".to_owned());
        }
        if says(c, MISMAPPED) && rust.outcome == Ok(0) {
            return Ok(Verdict::Alone);
        }
        if says(rust, WRONG) && !self.spec.recheck {
            return Err("Rust has written a mask register wrongly".to_owned());
        }
        let is_write = matches!(op, Op::ConfigWrite { .. });
        if is_write && says(rust, !0 << 32) {
            return Err("Rust has the masks of a guest wrong".to_owned());
        }
        let ignored = match op {
            Op::ConfigWrite { .. } => !0 << 32,
            _ => LEFT | WRONG | DIGEST,
        };
        let kept = |answer: &Answer| {
            let output = answer.output.map(|output| output & !ignored);
            (answer.outcome.clone(), output.filter(|output| *output != 0))
        };
        if kept(c) != kept(rust) {
            return Err("the answers differ".to_owned());
        }
        if rust.outcome.is_err() {
            // Where Xen has stopped, it does not matter how far it had come.
            return Ok(Verdict::End);
        }
        if says(rust, UNKNOWN) {
            return Ok(Verdict::Alone);
        }
        Ok(Verdict::Continue)
    }

    /// Decides whether the effects of a step agree.
    pub(super) fn same_effects(&self, op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        let exact = self.spec.recheck && matches!(op, Op::Irq { .. });
        if exact {
            // Rust reads what the device has in vector control before it writes the mask bit.
            let kept = |trace: &[Entry]| -> Vec<Entry> {
                let is_read = |entry: &&Entry| matches!(entry.event, Event::MmioRead { .. });
                trace
                    .iter()
                    .filter(|entry| !is_read(entry))
                    .cloned()
                    .collect()
            };
            return lines_apart(kept(c)) == lines_apart(kept(rust));
        }
        if reads(rust) > reads(c) {
            return false;
        }
        let rust_writes = rust.iter().any(|entry| is_config_write(&entry.event));
        let leave_out = self.failed || self.behind && matches!(op, Op::Irq { .. }) && !rust_writes;
        let kept = |trace: &[Entry]| -> Vec<Entry> {
            let kept = trace.iter().filter(|entry| match &entry.event {
                Event::MmioRead { .. } | Event::MmioLost { .. } => false,
                Event::MmioWrite { .. } => !self.failed,
                Event::Lock { .. } | Event::Unlock { .. } => !self.failed,
                Event::Call(name, _) if is_config_read(name) => false,
                Event::Call("pci_find_ext_capability", _) => false,
                Event::Call(name, _) if *name == LOST => false,
                event if is_config_write(event) => {
                    !(leave_out || self.settled && self.is_mask_register(event))
                }
                _ => true,
            });
            let shown = |entry: &Entry| match &entry.event {
                Event::Log(line) if self.behind && matches!(op, Op::Key) => {
                    let line = without_mask(line).to_owned();
                    Entry {
                        event: Event::Log(line),
                        held: entry.held,
                    }
                }
                _ => entry.clone(),
            };
            kept.map(shown).collect()
        };
        lines_apart(kept(c)) == lines_apart(kept(rust))
    }

    /// Whether an event is a write of a mask register of MSI.
    fn is_mask_register(&self, event: &Event) -> bool {
        let mut devices = self.spec.devices.iter();
        devices.any(|device| {
            let register = device.msi.map(|msi| msi.mask_register());
            register.is_some_and(|register| is_write(event, device.sbdf, register))
        })
    }
}

/// The lines of the log, and all else.
fn lines_apart(trace: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    let trace = trace.into_iter();
    trace.partition(|entry| matches!(entry.event, Event::Log(_)))
}

/// How often configuration space was read.
fn reads(trace: &[Entry]) -> usize {
    let is_read = |event: &Event| matches!(event, Event::Call(name, _) if is_config_read(name));
    trace.iter().filter(|entry| is_read(&entry.event)).count()
}

fn is_config_read(name: &str) -> bool {
    name.starts_with("pci_conf_read")
}

fn is_config_write(event: &Event) -> bool {
    matches!(event, Event::Call(name, _) if name.starts_with("pci_conf_write"))
}

/// A line of the debug key without the mask bit that was read.
fn without_mask(line: &str) -> &str {
    line.rsplit_once('/').map_or(line, |(before, _)| before)
}
