//! What the driver knows by itself: who has which entries, and in what the sides may differ.
//!
//! 1. *Numbers of entries.* See [`super::indices`]: each side is held to its own rule, and what
//!    names an entry (messages, pins, descriptors, commands, the table) must name entries that
//!    stand for each other. Where only one side has a block left, or C takes one that is in use,
//!    the case ends. The boot option for fewer entries is one of Rust alone.
//! 2. *Entries that would not change.* C writes and invalidates them again, Rust leaves them alone.
//! 3. *Release.* C clears, writes back and invalidates entry by entry; Rust clears and writes back
//!    all, then invalidates all.
//! 4. *Functions whose requests nobody knows.* C lets every device use their entry, Rust refuses
//!    and does nothing; see [`super::undo`].
//! 5. *Reads of IO-APICs.* C reads both halves of a pin, and its entry of the table under the
//!    table's lock. Rust reads the half that it is asked for, if hardware knows that, and takes no
//!    lock. What is read and written to select a half is left out.
//! 6. *Functions behind a bridge from PCI Express to PCI.* C lets every requester use their entry
//!    from the bus that the bridge is on, Rust from the bus below it.
//!
//! 7. *Destinations.* C has entries name them as the local APICs are addressed, Rust as the IOMMU
//!    was told (extended interrupt mode). Where an entry of 8 bits cannot name one, C cuts it down,
//!    and
//!    Rust refuses and does nothing; see [`super::undo`].
//! 8. *Commands.* C writes the status back with the bits of what was done once, Rust without them.
//!    Where messages in compatibility format pass, C says so, and Rust switches that off.
//!
//! 9. *A new table.* Rust limits the entries that may be used under the table's lock, C takes none.
//! 10. *CPUs that cannot be named.* Where remapping is switched on without extended interrupt mode,
//!     Rust sets `iommu_intremap` to restricted, and Xen brings up no CPU whose APIC ID needs more
//!     than 8 bits; C leaves it at full.
//!
//! What is avoided, because C relies on its callers there or goes wrong, stands where steps are
//! carried out: see [`super::perform`] and [`World::has_unwritten`].

use std::collections::HashMap;

use xen_sys as sys;

use super::indices::{C, Indices, Owner, RUST};
use super::op::{Message, Op};
use super::perform::{index_of_pin, is_remappable};
use super::spec::{Spec, bus_below};
use super::world::World;
use crate::answer::Answer;
use crate::machine::table;
use crate::machine::vtd::{COMPATIBILITY, LEVELS, REMAPPING, SPAN, TABLE_POINTER};
use crate::subject::Verdict;
use crate::trace::{Entry, Event};

pub(crate) struct Model {
    spec: Spec,
    /// By unit.
    pub(super) tables: Vec<Indices>,
    /// First entry on each side, and how many there are.
    owners: HashMap<Owner, ([usize; 2], usize)>,
    /// The unit of each table, in the order in which they were made.
    order: Vec<usize>,
}

/// What an index says that is none.
const NONE: u64 = u32::MAX as u64;

fn errno(errno: i32) -> Result<u64, crate::trap::Trap> {
    Ok(u64::from(errno.wrapping_neg() as u32))
}

/// The answer where no entry is left.
fn full(code: i32) -> Answer {
    Answer {
        outcome: errno(code),
        output: Some(NONE),
    }
}

fn equal(c: &Answer, rust: &Answer) -> Result<(), String> {
    if c == rust {
        Ok(())
    } else {
        Err("the answers differ".to_owned())
    }
}

/// Holds an answer to what it must be.
fn held_to(side: &str, answer: &Answer, expected: &Answer) -> Result<(), String> {
    if answer == expected {
        Ok(())
    } else {
        Err(format!("{side} should answer {expected:x?}"))
    }
}

impl Model {
    pub(super) fn new(spec: &Spec) -> Self {
        Self {
            spec: spec.clone(),
            tables: spec
                .iommus
                .iter()
                .map(|_| Indices::new(spec.limit))
                .collect(),
            owners: HashMap::new(),
            order: Vec::new(),
        }
    }

    /// Follows the step, and decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        self.tables.iter_mut().for_each(Indices::start);
        for unit in 0..world.iommus.len() {
            if world.has_table(unit) && !self.order.contains(&unit) {
                self.order.push(unit);
            }
        }
        match *op {
            Op::Update {
                sender,
                number,
                ref message,
            } => self.update(world, (sender, number), message, [c, rust]),
            Op::SetUpHpet { sender } => self.set_up_hpet(world, sender, [c, rust]),
            Op::WritePin { io_apic, pin, .. } => self.write_pin((io_apic, pin), [c, rust]),
            Op::Release { sender, number } => {
                equal(c, rust)?;
                self.release(world, (sender, number));
                Ok(Verdict::Continue)
            }
            Op::Stray { release, .. } => {
                equal(c, rust)?;
                let outcome = if release { Ok(0) } else { errno(libc::EFAULT) };
                held_to("Rust", rust, &Answer::int(outcome)).map(|()| Verdict::Continue)
            }
            Op::Fill {
                iommu,
                count,
                ref holes,
            } => {
                equal(c, rust)?;
                let unit = iommu % self.tables.len();
                self.tables[unit].fill(count, holes);
                Ok(Verdict::Continue)
            }
            _ => equal(c, rust).map(|()| Verdict::Continue),
        }
    }

    fn update(
        &mut self,
        world: &World,
        place: (usize, usize),
        message: &Message,
        answers: [&Answer; 2],
    ) -> Result<Verdict, String> {
        let [c, rust] = answers;
        let number = place.0 % world.senders.len();
        let sender = &world.senders[number];
        let of_block = place.1 % sender.count;
        let Some(unit) = sender.unit else {
            equal(c, rust)?;
            let expected = Answer {
                outcome: errno(libc::EINVAL),
                output: Some(NONE),
            };
            return held_to("Rust", rust, &expected).map(|()| Verdict::Continue);
        };
        let beyond = message.is_beyond(&self.spec).then_some(libc::ERANGE);
        if let Some(refusal) = sender.refusal.or(beyond) {
            let expected = Answer {
                outcome: errno(refusal),
                output: Some(0),
            };
            held_to("Rust", rust, &expected)?;
            return if [Ok(0), errno(libc::EFAULT)].contains(&c.outcome) {
                Ok(Verdict::Continue)
            } else {
                Err("C should do what Rust refuses".to_owned())
            };
        }
        if of_block != 0 && !self.owners.contains_key(&Owner::Sender(number)) {
            // Only the first message knows how many entries there are to be.
            equal(c, rust)?;
            let expected = Answer {
                outcome: errno(libc::EFAULT),
                output: Some(NONE),
            };
            return held_to("Rust", rust, &expected).map(|()| Verdict::Continue);
        }
        let full = full(libc::EFAULT);
        self.take(
            unit,
            (Owner::Sender(number), sender.count, of_block),
            answers,
            full,
        )
    }

    fn set_up_hpet(
        &mut self,
        world: &World,
        sender: usize,
        answers: [&Answer; 2],
    ) -> Result<Verdict, String> {
        let is_hpet = |number: &usize| {
            matches!(
                world.senders[*number].spec,
                super::spec::SenderSpec::Hpet { .. }
            )
        };
        let hpets: Vec<_> = (0..world.senders.len()).filter(is_hpet).collect();
        let number = hpets[sender % hpets.len()];
        let unit = world.senders[number].unit.unwrap_or_default();
        if !world.has_table(unit) {
            equal(answers[C], answers[RUST])?;
            return Ok(Verdict::Continue);
        }
        let full = full(libc::ENXIO);
        self.take(unit, (Owner::Sender(number), 1, 0), answers, full)
    }

    fn write_pin(
        &mut self,
        (io_apic, pin): (usize, usize),
        answers: [&Answer; 2],
    ) -> Result<Verdict, String> {
        let io_apic = io_apic % self.spec.io_apics.len();
        let spec = &self.spec.io_apics[io_apic];
        let (pin, unit) = (pin % spec.pins.len(), spec.unit.unwrap_or_default());
        // Nothing is written, and the pin stays as it was.
        let full = Answer::void(Ok(0));
        self.take(unit, (Owner::Pin(io_apic, pin), 1, 0), answers, full)
    }

    /// An owner's entries were used, and before that taken into use unless it has some; or the
    /// table was full.
    fn take(
        &mut self,
        unit: usize,
        (owner, count, of_block): (Owner, usize, usize),
        answers: [&Answer; 2],
        full: Answer,
    ) -> Result<Verdict, String> {
        let known = self.owners.get(&owner).map(|(first, _)| first.map(Some));
        let is_new = known.is_none();
        let next = known.unwrap_or_else(|| self.tables[unit].next(count));
        for (side, name) in [(C, "C"), (RUST, "Rust")] {
            let expected = match next[side] {
                Some(first) => Answer {
                    outcome: Ok(0),
                    output: Some((first + of_block) as u64),
                },
                None => full.clone(),
            };
            held_to(name, answers[side], &expected)?;
        }
        match next {
            // C has handed out what is another's; see `super::indices`.
            [Some(c), _] if is_new && self.tables[unit].is_taken(c, count) => Ok(Verdict::End),
            [Some(c), Some(rust)] => {
                if is_new {
                    self.owners.insert(owner, ([c, rust], count));
                    self.tables[unit].take([c, rust], count);
                }
                Ok(Verdict::Continue)
            }
            [None, None] => Ok(Verdict::Continue),
            _ => Ok(Verdict::End),
        }
    }

    fn release(&mut self, world: &World, (sender, number): (usize, usize)) {
        let sender = sender % world.senders.len();
        let spec = &world.senders[sender];
        if !number.is_multiple_of(spec.count) {
            return;
        }
        if let Some(unit) = spec.unit
            && let Some((first, count)) = self.owners.remove(&Owner::Sender(sender))
        {
            self.tables[unit].give_back(first, count);
        }
    }

    /// Decides whether the effects of a step agree.
    pub(super) fn same_effects(&self, op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        if let Op::Update {
            sender,
            ref message,
            ..
        } = *op
        {
            let sender = self.spec.senders[sender % self.spec.senders.len()];
            let unit = self.spec.unit(sender);
            if self.spec.refusal(sender).is_some() && unit.is_some() {
                // Rule 4.
                return rust.is_empty();
            }
            if message.is_beyond(&self.spec) && unit.is_some() {
                // Rule 7.
                return rust.iter().all(|entry| is_lock(entry));
            }
        }
        let c = c.iter().map(|entry| self.as_rust_does(entry));
        let Some(mut c) = c.collect::<Option<Vec<_>>>() else {
            return false;
        };
        match *op {
            // There is no entry to do anything with. Rust looks for the source with the table
            // unlocked.
            Op::Stray { .. } => c.iter().chain(rust).all(is_lock),
            // Rule 2.
            Op::Update { .. } | Op::WritePin { .. } => {
                c == rust || without_repetition(&c).as_deref() == Some(rust)
            }
            Op::Release { .. } => {
                // Rule 3.
                let first = c.iter().position(is_command);
                let last = c.iter().rposition(is_command);
                if let (Some(first), Some(last)) = (first, last) {
                    c[first..=last].sort_by_key(|entry| is_call(entry, INVALIDATE));
                }
                c == rust
            }
            Op::ReadPin { .. } => {
                // Rule 5.
                c.retain(|entry| !is_lock(entry));
                let other = |entry: &&Entry| !is_read_of_pin(entry);
                c.iter().filter(other).eq(rust.iter().filter(other))
            }
            Op::Enable { .. }
            | Op::EnableEim { .. }
            | Op::Disable { .. }
            | Op::DisableEim { .. } => {
                // Rule 8.
                let mut rust = self.without_switching_compatibility_off(&without_lock_of_new(rust));
                let before = rust.len();
                rust.retain(|entry| !says_permitted(entry));
                // An IOMMU that does not switch it off: then Rust says so, as C does beforehand.
                let complies = rust.len() == before;
                self.commands_as_in_rust(&mut c, complies) && c == rust
            }
            _ => c == rust,
        }
    }

    /// What C did, with the entries of Rust in place of its own; none where it names an entry that
    /// is not in use.
    fn as_rust_does(&self, entry: &Entry) -> Option<Entry> {
        let mut entry = entry.clone();
        if let Event::Call(name, told) = &mut entry.event {
            match *name {
                WRITE_BACK | INVALIDATE => {
                    let unit = *self.order.get((told[0] >> 32) as usize)?;
                    let index = self.tables[unit].during(told[0] as u32 as usize)?;
                    told[0] = told[0] >> 32 << 32 | index as u64;
                    [told[2], told[3]] = self.entry_as_in_rust([told[2], told[3]]);
                }
                "__ioapic_write_entry" => {
                    told[3] = self.pin_as_in_rust(told[0] as usize, told[3])?;
                }
                _ => {}
            }
        }
        Some(entry)
    }

    /// Rule 8: what C writes to command registers, as Rust writes it. False where C does not say
    /// that messages in compatibility format pass.
    fn commands_as_in_rust(&self, c: &mut Vec<Entry>, complies: bool) -> bool {
        let mut table_is_new = false;
        let mut permitted = 0;
        for entry in &mut *c {
            let Event::MmioWrite {
                address,
                width,
                value,
            } = &mut entry.event
            else {
                continue;
            };
            if !is_register(*address, sys::DMAR_GCMD_REG) {
                table_is_new = is_register(*address, sys::DMAR_IRTA_REG) && *width == 8;
                continue;
            }
            let once = if table_is_new { TABLE_POINTER } else { 0 };
            *value &= u64::from(LEVELS | once);
            permitted += usize::from(table_is_new && *value as u32 & COMPATIBILITY != 0);
            // By then Rust has switched it off.
            if complies && !self.spec.eim && !table_is_new && *value as u32 & REMAPPING != 0 {
                *value &= !u64::from(COMPATIBILITY);
            }
            table_is_new = false;
        }
        if self.spec.eim {
            return true;
        }
        let before = c.len();
        c.retain(|entry| !says_permitted(entry));
        before - c.len() >= permitted
    }

    /// Rule 8: what Rust does without the command that blocks messages in compatibility format.
    fn without_switching_compatibility_off(&self, rust: &[Entry]) -> Vec<Entry> {
        let mut kept = Vec::new();
        let mut passes_at = None;
        let mut skipping = false;
        for entry in rust {
            match entry.event {
                Event::MmioWrite { address, value, .. }
                    if is_register(address, sys::DMAR_GCMD_REG) =>
                {
                    let passed = passes_at == Some(address);
                    passes_at = (value as u32 & COMPATIBILITY != 0).then_some(address);
                    skipping = !self.spec.eim
                        && passed
                        && value as u32 & (COMPATIBILITY | TABLE_POINTER) == 0;
                }
                Event::MmioRead { .. } => {}
                _ => skipping = false,
            }
            if !skipping {
                kept.push(entry.clone());
            }
        }
        kept
    }

    /// An entry as C has it, with the destination and the requesters that it has in Rust (rules 6
    /// and 7).
    pub(super) fn entry_as_in_rust(&self, [low, high]: table::Entry) -> table::Entry {
        let is_remapped = low & PRESENT != 0 && low & POSTED == 0;
        let (rest, destination) = (low & 0xffff_ffff, low >> 32);
        let destination = match (self.spec.x2apic, self.spec.eim) {
            _ if !is_remapped => destination,
            (true, false) => destination << 8,
            (false, true) => destination >> 8,
            _ => destination,
        };
        [rest | destination << 32, requesters_as_in_rust(high)]
    }

    /// A pin's entry as C has it, with the entry of Rust that it names.
    pub(super) fn pin_as_in_rust(&self, io_apic: usize, pin: u64) -> Option<u64> {
        if !is_remappable(pin) {
            return Some(pin);
        }
        let unit = self.spec.io_apics.get(io_apic)?.unit?;
        let index = self.tables[unit].other(C, index_of_pin(pin) as usize)? as u64;
        Some(pin & !(0xfffe << 48 | 1 << 11) | index << 49 | index >> 15 << 11)
    }
}

/// Whether an entry is the line that says that messages in compatibility format pass.
fn says_permitted(entry: &Entry) -> bool {
    matches!(&entry.event, Event::Log(line) if line.contains(PERMITTED))
}

/// P, and IM.
const PRESENT: u64 = 1;
const POSTED: u64 = 1 << 15;

/// The upper half of an entry as C has it, with the requesters that Rust lets use it (rule 6).
fn requesters_as_in_rust(high: u64) -> u64 {
    /// SVT: the identifier is the first and the last bus.
    const BUSES: u64 = 2;
    if high >> 18 & 3 != BUSES {
        return high;
    }
    let first = bus_below((high >> 8) as u8);
    high & !0xff00 | u64::from(first) << 8
}

/// What C says where messages in compatibility format pass.
const PERMITTED: &str = "Compatibility Format Interrupts permitted";

/// Whether an address is that of a register of an IOMMU.
fn is_register(address: usize, register: u32) -> bool {
    address % SPAN == register as usize
}

/// Rule 9: what Rust does without taking a lock and dropping it at once in the events' sight.
fn without_lock_of_new(rust: &[Entry]) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::new();
    for entry in rust {
        let was_taken = match (kept.last().map(|last| &last.event), &entry.event) {
            (Some(Event::Lock { lock: taken, .. }), Event::Unlock { lock, .. }) => taken == lock,
            _ => false,
        };
        if was_taken {
            kept.pop();
        } else {
            kept.push(entry.clone());
        }
    }
    kept
}

fn is_lock(entry: &Entry) -> bool {
    matches!(entry.event, Event::Lock { .. } | Event::Unlock { .. })
}

const WRITE_BACK: &str = "cache_writeback";
const INVALIDATE: &str = "iommu_flush_iec_index";

fn is_call(entry: &Entry, name: &str) -> bool {
    matches!(entry.event, Event::Call(called, _) if called == name)
}

fn is_command(entry: &Entry) -> bool {
    is_call(entry, WRITE_BACK) || is_call(entry, INVALIDATE)
}

fn is_read_of_pin(entry: &Entry) -> bool {
    // Only IO-APICs are accessed in these steps, and `machine::io_apic` lets nothing else be
    // written than the register to read.
    is_call(entry, "__ioapic_read_entry")
        || matches!(
            entry.event,
            Event::MmioRead { .. } | Event::MmioWrite { .. }
        )
}

/// Leaves out commands for an entry that the IOMMU has seen as it is (rule 2); none where there are
/// others, too.
fn without_repetition(entries: &[Entry]) -> Option<Vec<Entry>> {
    let seen = |entry: &Entry| matches!(entry.event, Event::Call(_, told) if told[4] == 1);
    let (commands, others): (Vec<Entry>, Vec<Entry>) =
        entries.iter().cloned().partition(is_command);
    (commands.iter().all(seen)).then_some(others)
}
