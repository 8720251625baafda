//! In what the sides may differ.
//!
//! 1. *Reads of configuration space.* Rust knows from an earlier time that a function is enabled
//!    and decodes memory, what its masks are, and where its table begins; C reads all that each
//!    time. So reads are left out, but Rust's may not be more; and with the boot option
//!    `msi-recheck` those for an interrupt that is masked, unmasked or moved are the same.
//! 2. *Functions that change behind Xen.* Rust reads an entry before it writes it; where that is
//!    not as expected it does as C. Where MSI-X was switched off and the table answers all the
//!    same,
//!    Rust does not switch it on for the time of the write; and the debug key shows the mask bit
//!    there. Moves that would write a message then are left out
//!    ([`super::registers::are_unclear`]); and of what is switched off it does not matter whether
//!    all its messages are masked ([`super::registers::settle`]). Where the table reads as 0 or 1
//!    meanwhile, Rust may lose a write of a mask bit that had not to change, and a message, which
//!    it notices: until the world changes it does not write that entry again.
//! 3. *The mask register of MSI.* Rust makes it from what Xen knows, C from what the device says.
//!    Where the device lost it, Rust's is right, and C's is put right
//!    ([`super::registers::settle`]).
//! 4. *Errors while something is set up.* Rust leaves everything as it was; C leaves MSI disabled,
//!    or MSI-X disabled and masked. What C leaves is undone ([`super::undo`]). Pages that cannot be
//!    protected are an error of Rust's, and a warning of C's: from there on Rust goes on alone.
//! 5. *The guest's masks in a write of the mask register of MSI.* C takes any bit of a message or
//!    of one after it for that of the message. C's masks are put right
//!    ([`super::registers::guest_masks`]).
//! 6. *Entries in two pages.* C maps the first page and writes into what is mapped behind it, if
//!    anything is. Rust refuses the entry, and goes on alone.
//! 7. *Lines of the log.* C prints that all messages of a function are masked before it masks them,
//!    Rust afterwards.
//! 8. *Devices that lie.* The sides read different registers a different number of times. From the
//!    first difference on Rust goes on alone, and may not stop Xen.
//!
//! 9. *Bits 31:1 of vector control.* C clears them, Rust keeps what the device has there: Rust
//!    reads them, and [`super::compare`] sees to it that none is lost.
//!
//! 10. *The last page of a table that shares it.* C maps the page where the last entry begins, Rust
//!    the one where it ends. Where these are two Rust goes on alone.
//! 11. *Registers that several CPUs write.* Rust writes them with IRQs off, under a lock
//!     ([`super::config`] sees to that); and what dom0 writes there Rust carries out itself, where
//!     C has its caller do that.
//! 12. *What does not change.* Where the IOMMU's driver says so, Rust may leave out a message that
//!     is moved to some CPUs; on 4.20 C always writes it. The registers are the same afterwards.
//! 13. *Entries that are not set up.* Rust masks all where the first is set up, page by page
//!     ([`without_masking`]); C leaves them as they are ([`super::registers::settle_entries`]).
//!     Where no page can be mapped any more, preparing a function is an error of Rust's: from there
//!     on Rust goes on alone.
//! 14. *Messages to nowhere.* Where no CPU of an interrupt is online, or its vector is none, C
//!     writes zeroes; Rust does not bind the interrupt, and goes on alone.
//!
//! 15. *Memory that is not decoded.* C never reads a table of a function that does not decode it.
//!     Rust may where that changed behind Xen or in the same step; else it knows
//!     ([`super::registers::note_blind_reads`]).
//!
//! 16. *All masked while entries are to be reached.* Where another CPU masks all messages
//!     meanwhile, C undoes that ([`super::irqs::overlap`]). Where that makes a difference, or where
//!     it fails, Rust goes on alone.
//!
//! 17. *Functions that do not answer.* Rust sets up neither an MSI nor a first entry (`ENXIO`), and
//!     goes on alone; C takes all ones for what the capability has, and for the table's place.
//!
//! 18. *Mask-all.* Where an entry that is freed cannot be reached and the guest masks all already,
//!     Rust notes that the host wants that, too, and goes on alone; C does not, and the guest
//!     lifts it. Restoring a function, C lifts the guest's mask-all; it is put right
//!     ([`super::registers::check_mask_all`]).
//!
//! 19. *Memory that is not decoded any more when an entry is written.* dom0 may stop that after Xen
//!     has asked. C takes its write for done; Rust sees that nothing answers, asks again, and does
//!     as where it was so before. From there on Rust goes on alone.
//!
//! What is avoided, because C goes wrong there or relies on its callers, stands in
//! [`super::registers::are_unclear`] and where steps are carried out.

use std::collections::{BTreeMap, BTreeSet};

use xen_sys as sys;

use super::config::{LOST, as_write};
use super::op::{Call, Op};
use super::registers::is_write;
use super::says::{
    ACTED, BLIND, CROSSED, DIGEST, FAILED, GUEST_WRONG, IN_VAIN, KEPT, LEFT, LIFTED, MISMAPPED,
    SETTLED, STOPPED, UNDONE, UNKNOWN, UNMASKED, WRONG,
};
use super::spec::{MsiSpec, Spec};
use super::world::World;
use crate::answer::Answer;
use crate::machine::function::COMMAND;
use crate::subject::Verdict;
use crate::trace::{Entry, Event};

/// The rule of what another CPU does to mask-all.
const ALL_MASKED: &str = "all masked while entries are to be reached";

/// The command word in configuration space.
const COMMAND_WORD: u64 = COMMAND as u64;

pub(crate) struct Model {
    spec: Spec,
    /// Whether a set-up failed in this step.
    failed: bool,
    /// Whether a mask register was put right.
    settled: bool,
    /// Whether C has lifted mask-all of a function that it restored.
    lifted: bool,
    /// Whether some function changed behind Xen.
    behind: bool,
    /// Whether another CPU has masked an interrupt in this step that it could not reach.
    overlaps: bool,
    /// The entries of which Rust has lost a message since their function changed: it has noticed.
    /// And how often each function had changed.
    noticed: BTreeMap<usize, Option<usize>>,
    changes: Vec<u32>,
}

impl Model {
    pub(super) fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            failed: false,
            settled: false,
            lifted: false,
            behind: false,
            overlaps: false,
            noticed: BTreeMap::new(),
            changes: vec![0; spec.devices.len()],
        }
    }

    /// Whether the sides may part, and by which rule.
    pub(super) fn may_part(&self) -> Option<&'static str> {
        if self.spec.lies > 0 {
            Some("devices that lie")
        } else {
            self.overlaps.then_some(ALL_MASKED)
        }
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
        self.overlaps = false;
        let before = std::mem::replace(&mut self.changes, world.changes.clone());
        let is_irq = matches!(op, Op::Irq { .. });
        let stays = |function: usize| before.get(function) == world.changes.get(function);
        self.noticed
            .retain(|_, function| is_irq && function.is_none_or(stays));
        let is_overlap = matches!(op, Op::Overlap { .. });
        if is_overlap && says(rust, UNDONE) {
            return Err("Rust has undone that another CPU masks all messages".to_owned());
        }
        match (&c.outcome, &rust.outcome) {
            (Ok(0), Ok(0)) | (Ok(_), Err(_)) => (),
            (Err(_), Err(_)) if is_overlap => return Ok(Verdict::End),
            // What C leaves of a failure is not undone.
            _ if is_overlap => return Ok(Verdict::Alone(ALL_MASKED)),
            _ => (),
        }
        self.failed = says(rust, FAILED);
        self.settled = says(c, SETTLED);
        self.lifted = says(c, LIFTED);
        if self.failed && says(rust, LEFT) {
            return Err("Rust has left something of what failed".to_owned());
        }
        if self.failed && !says(c, FAILED) && world.not_protected {
            return Ok(Verdict::Alone("pages that cannot be protected"));
        }
        let sets_up = matches!(op, Op::Map(_) | Op::Enable(_)) && rust.outcome == Ok(0);
        if world.unanswered && world.spec.lies == 0 && sets_up {
            return Err(
                "Rust has set up an interrupt of a function that does not answer".to_owned(),
            );
        }
        let absent = Ok(u64::from(-libc::ENXIO as u32));
        if self.failed && !says(c, FAILED) && rust.outcome == absent && world.unanswered {
            return Ok(Verdict::Alone("functions that do not answer"));
        }
        let invalid = Ok(u64::from(-libc::EINVAL as u32));
        if self.failed && !says(c, FAILED) && rust.outcome == invalid && world.crossed {
            return Ok(Verdict::Alone("entries in two pages"));
        }
        if says(rust, CROSSED) {
            return Err("Rust has set up an entry that lies in two pages".to_owned());
        }
        if says(rust, MISMAPPED) {
            return Err("Rust has mapped another page than the table shares".to_owned());
        }
        if says(c, MISMAPPED) && rust.outcome == Ok(0) {
            return Ok(Verdict::Alone("the last page of a table that shares it"));
        }
        if says(rust, UNMASKED) {
            return Err("Rust has left an entry unmasked that is not set up".to_owned());
        }
        let is_full = matches!(op, Op::Prepare { .. } | Op::Crowd { .. }) && world.is_full;
        if self.failed && is_full && rust.outcome == Ok(u64::from(-libc::ENOMEM as u32)) {
            return Ok(Verdict::Alone(
                "entries that are not set up, and no page can be mapped",
            ));
        }
        if says(rust, WRONG) && matches!(op, Op::UnknownWrite) {
            return Err(
                "Rust has not noticed a write to a function that Xen does not know".to_owned(),
            );
        }
        if says(rust, WRONG) && !self.spec.recheck {
            return Err("Rust has written a mask register wrongly".to_owned());
        }
        if says(rust, BLIND) {
            return Err("Rust has read memory that it should know is not decoded".to_owned());
        }
        if says(rust, GUEST_WRONG) {
            return Err("Rust has the masks of a guest wrong".to_owned());
        }
        if says(rust, IN_VAIN) {
            return Err("Rust has noted a mask that the device did not take".to_owned());
        }
        if says(c, STOPPED) && says(rust, STOPPED) {
            return Ok(Verdict::Alone(
                "memory that is not decoded any more when an entry is written",
            ));
        }
        // C writes all zeroes to the device.
        if world.no_target && rust.outcome == Ok(u64::from(-libc::EINVAL as u32)) {
            return Ok(Verdict::Alone("messages to nowhere"));
        }
        if says(rust, KEPT) && !says(c, KEPT) {
            return Ok(Verdict::Alone("mask-all"));
        }
        let ignored = match op {
            op if op.is_config_write() => !0 << 32,
            _ => {
                LEFT | WRONG
                    | DIGEST
                    | UNMASKED
                    | BLIND
                    | ACTED
                    | UNDONE
                    | KEPT
                    | LIFTED
                    | CROSSED
                    | IN_VAIN
                    | STOPPED
            }
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
            return Ok(Verdict::Alone("functions that change behind Xen"));
        }
        self.overlaps = is_overlap && (says(c, ACTED) || says(rust, ACTED));
        Ok(Verdict::Continue)
    }

    /// Decides whether the effects of a step agree.
    pub(super) fn same_effects(&mut self, op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        if op.is_config_write() {
            let writes = |trace: &[Entry]| -> Vec<_> {
                trace
                    .iter()
                    .filter_map(|entry| as_write(&entry.event))
                    .collect()
            };
            return writes(c) == writes(rust) && reads(rust) == 0;
        }
        let is_irq = matches!(op, Op::Irq { .. } | Op::Race { .. } | Op::Beside { .. });
        let rust = &without_asking_again(rust);
        let forced = matches!(
            op,
            Op::Irq {
                call: Call::Retarget { cpus: None },
                ..
            } | Op::Race {
                call: Call::Retarget { cpus: None },
                ..
            }
        );
        let skips = self.spec.tells
            && !forced
            && rust.iter().any(keeps_irte)
            && self.without_messages(rust).len() == rust.len();
        // Nor has Rust to know then whether the function is ready.
        let skips = is_irq && skips;
        let c = &if skips {
            self.without_messages(c)
        } else {
            c.to_vec()
        };
        if is_irq && self.spec.recheck && !skips {
            // Rust reads vector control before it writes it, and what it has written of a message.
            let writes = |trace: &[Entry]| -> Vec<Entry> {
                let is_read = |entry: &&Entry| matches!(entry.event, Event::MmioRead { .. });
                trace
                    .iter()
                    .filter(|entry| !is_read(entry))
                    .cloned()
                    .collect()
            };
            return lines_apart(writes(c)) == lines_apart(writes(rust));
        }
        let rust = &without_masking(rust);
        if reads(rust) > reads(c) {
            return false;
        }
        let rust_writes = rust.iter().any(|entry| is_config_write(&entry.event));
        let direct = self.behind && is_irq && !rust_writes;
        let leave_out = self.failed || direct;
        // What is written to such a table first, and is seen not to be taken.
        let lies_low = self.behind && is_irq && !direct && self.hides_its_table();
        // A message that the table did not take.
        let hidden = direct && self.hides_its_table();
        let lost = |event: &Event| match event {
            Event::MmioLost { address, .. } => Some(*address),
            _ => None,
        };
        // Where C writes it as well the function is as it should be, and the table is not.
        let by_c: BTreeSet<usize> = entries_of(c, lost).collect();
        let by_rust = entries_of(rust, lost).filter(|entry| !by_c.contains(entry));
        let by_rust = by_rust.map(|entry| (entry, function_of(rust, entry)));
        if hidden && !self.notices(by_rust) {
            return false;
        }
        let without_lost = |trace: &[Entry]| match hidden {
            true => without_entries(trace, lost),
            false => trace.to_vec(),
        };
        let (c, rust) = (&without_lost(c), &without_lost(rust));
        let kept = |trace: &[Entry]| -> Vec<Entry> {
            let kept = trace.iter().filter(|entry| match &entry.event {
                Event::MmioRead { .. } => false,
                Event::MmioLost { value, .. } if lies_low && *value <= 1 => false,
                Event::MmioWrite { .. } | Event::MmioLost { .. } => !self.failed,
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
                // The tables are compared.
                Event::MmioLost {
                    address,
                    width,
                    value,
                    ..
                } if direct && *value <= 1 && self.hides_its_table() => Entry {
                    event: Event::MmioWrite {
                        address: *address,
                        width: *width,
                        value: *value,
                    },
                    held: entry.held,
                },
                _ => entry.clone(),
            };
            let shown = kept.map(shown).map(without_irqs);
            shown.collect()
        };
        let c = kept(c).into_iter().map(|entry| self.with_mask_all(entry));
        lines_apart(c.collect()) == lines_apart(kept(rust))
    }

    /// Where C has lifted mask-all: a write of message control of MSI-X as if it had not.
    fn with_mask_all(&self, mut entry: Entry) -> Entry {
        let is_control = |sbdf: u64, register: u64| {
            let mut devices = self.spec.devices.iter();
            devices.any(|device| {
                let msix = device.msix.filter(|_| u64::from(device.sbdf) == sbdf);
                msix.is_some_and(|msix| u64::from(msix.pos) + 2 == register)
            })
        };
        if let Event::Call("pci_conf_write16", words) = &mut entry.event
            && self.lifted
            && is_control(words[0], words[1])
        {
            words[2] |= u64::from(sys::PCI_MSIX_FLAGS_MASKALL);
        }
        entry
    }

    /// Whether some table reads as 0 or 1 while MSI-X is disabled.
    fn hides_its_table(&self) -> bool {
        let mut tables = self.spec.devices.iter().filter_map(|device| device.msix);
        tables.any(|msix| msix.needs_enable && msix.hidden != !0)
    }

    /// Takes note of the entries of which Rust has lost a message; false where it knew before.
    fn notices(&mut self, mut entries: impl Iterator<Item = (usize, Option<usize>)>) -> bool {
        entries.all(|(entry, function)| self.noticed.insert(entry, function).is_none())
    }

    /// A trace without the messages that are written: three words of an entry in a row, or
    /// registers of MSI.
    fn without_messages(&self, trace: &[Entry]) -> Vec<Entry> {
        let kept = without_entries(trace, |event| match event {
            Event::MmioWrite { address, .. } | Event::MmioLost { address, .. } => Some(*address),
            _ => None,
        });
        let kept = kept.into_iter();
        kept.filter(|entry| !self.is_message(&entry.event))
            .collect()
    }

    /// Whether an event is a write of the address or the data of an MSI.
    fn is_message(&self, event: &Event) -> bool {
        as_write(event).is_some_and(|[sbdf, register, ..]| {
            let mut devices = self.spec.devices.iter();
            devices.any(|device| {
                let msi = device.msi.filter(|_| u64::from(device.sbdf) == sbdf);
                let words = |msi: MsiSpec| u64::from(msi.pos) + 4..u64::from(msi.mask_register());
                msi.is_some_and(|msi| words(msi).contains(&register))
            })
        })
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

/// Whether a message that one call wrote, and the device took, is written again by the next one,
/// with the same entry of the remapping table.
pub(super) fn rewrites_message(spec: &Spec, first: &[Entry], next: &[Entry]) -> bool {
    let model = Model::new(spec);
    let writes = |trace: &[Entry]| model.without_messages(trace).len() < trace.len();
    let is_lost = |entry: &Entry| match entry.event {
        Event::MmioLost { .. } => true,
        Event::Call(name, _) => name == LOST,
        _ => false,
    };
    let knows = !spec.pvh && !spec.recheck;
    let is_kept = spec.tells && knows && next.iter().any(keeps_irte);
    is_kept && writes(first) && writes(next) && !first.iter().any(is_lost)
}

/// Whether an event is a message's update in the entry of the remapping table that it has already.
fn keeps_irte(entry: &Entry) -> bool {
    match entry.event {
        Event::Call("update_ire_from_msi", [_, place, ..]) => place as i64 >= 0,
        _ => false,
    }
}

/// A trace without three words of an entry in a row, whose addresses `address` tells.
fn without_entries(trace: &[Entry], address: impl Fn(&Event) -> Option<usize>) -> Vec<Entry> {
    let begins = |at: usize| message_at(trace, at, &address).is_some();
    let in_entry = |at: usize| (at.saturating_sub(2)..=at).any(begins);
    let entries = trace.iter().enumerate();
    let kept = entries.filter(|(at, _)| !in_entry(*at));
    kept.map(|(_, entry)| entry.clone()).collect()
}

/// The addresses of the entries of which a trace has the three words in a row.
fn entries_of(
    trace: &[Entry],
    address: impl Fn(&Event) -> Option<usize>,
) -> impl Iterator<Item = usize> {
    (0..trace.len()).filter_map(move |at| message_at(trace, at, &address))
}

/// The function whose table did not take what was written to an address.
fn function_of(trace: &[Entry], written: usize) -> Option<usize> {
    trace.iter().find_map(|entry| match entry.event {
        Event::MmioLost {
            address, function, ..
        } if address == written => function,
        _ => None,
    })
}

/// The address of the entry whose three words are in a row from here on.
fn message_at(
    trace: &[Entry],
    at: usize,
    address: impl Fn(&Event) -> Option<usize>,
) -> Option<usize> {
    let address = |at: usize| trace.get(at).and_then(|entry| address(&entry.event));
    let first = address(at)?;
    (1..3)
        .all(|word| address(at + word) == Some(first + 4 * word))
        .then_some(first)
}

/// The lines of the log, and all else.
fn lines_apart(trace: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    let trace = trace.into_iter();
    trace.partition(|entry| matches!(entry.event, Event::Log(_)))
}

/// An access to a device, whether interrupts were on or not: Rust has them off while it holds the
/// lock of shared registers.
fn without_irqs(mut entry: Entry) -> Entry {
    let is_access = match &entry.event {
        Event::MmioWrite { .. } | Event::MmioLost { .. } => true,
        event => is_config_write(event),
    };
    entry.held.irqs_on |= is_access;
    entry
}

/// A trace without the reads of a command word by which Rust asks again whether memory is decoded:
/// that of an entry which did not take what was written to it, and was read back.
fn without_asking_again(trace: &[Entry]) -> Vec<Entry> {
    let asks_again = |at: usize| {
        let before = at.checked_sub(2).map(|first| &trace[first..=at]);
        let events = before.map(|entries| [0, 1, 2].map(|entry: usize| &entries[entry].event));
        matches!(
            events,
            Some([
                Event::MmioLost { address, .. },
                Event::MmioRead { address: read, .. },
                Event::Call("pci_conf_read16", [_, COMMAND_WORD, ..]),
            ]) if address == read
        )
    };
    let kept = trace.iter().enumerate().filter(|(at, _)| !asks_again(*at));
    kept.map(|(_, entry)| entry.clone()).collect()
}

/// A trace without the pages that were mapped to mask what lies in them, and unmapped again.
fn without_masking(trace: &[Entry]) -> Vec<Entry> {
    let mut rest = trace;
    let mut kept = Vec::new();
    while let [first, others @ ..] = rest {
        let masking = masked_page(rest);
        if masking == 0 {
            kept.push(first.clone());
            rest = others;
        } else {
            rest = &rest[masking..];
        }
    }
    kept
}

/// How many events at the beginning of a trace are those of masking what lies in a page; 0 where
/// none are.
fn masked_page(trace: &[Entry]) -> usize {
    let event = |at: usize| trace.get(at).map(|entry| &entry.event);
    // A page is mapped or unmapped under the lock of a table, unless it has other users.
    let under_lock = |at: usize, maps: bool| {
        if !matches!(event(at), Some(Event::Lock { .. })) {
            return None;
        }
        let length = match event(at + 1) {
            Some(Event::Call("__set_fixmap", [_, _, flags, ..])) if (*flags != 0) == maps => 3,
            _ => 2,
        };
        let ends = matches!(event(at + length - 1), Some(Event::Unlock { .. }));
        ends.then_some(length)
    };
    let masks = |entry: &&Entry| match entry.event {
        Event::MmioRead { .. } => true,
        Event::MmioWrite { value, .. } | Event::MmioLost { value, .. } => value & 1 != 0,
        _ => false,
    };
    let Some(start) = under_lock(0, true) else {
        return 0;
    };
    let end = start + trace[start..].iter().take_while(masks).count();
    match under_lock(end, false) {
        Some(length) if end > start && length == start => end + length,
        _ => 0,
    }
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
