//! What the driver knows by itself: the words of each table, as far as either side can know them.
//!
//! C keeps the words of the first three entries that it was told to write. Rust keeps those of all
//! entries, and also those that it saw on their way to the device model or back; it forgets those
//! that were written out of its sight, where C goes on to answer what they were before. So reads of
//! words are the one thing in which the sides may differ, and each is held to what this model says.
//! Everything else must be equal.

use std::cell::Cell;
use std::collections::HashMap;

use xen_sys as sys;

use super::op::{Op, Request};
use super::pcidevs::{GAVE_UP, without_looks};
use super::world::{Kind, READ_LOCKED, Spec, World, guest_masked, hvm_io};
use crate::answer::Answer;
use crate::subject::Verdict;
use crate::trace::{Entry, Event};
use crate::xen::{get, set};

const ENTRY: u64 = 16;
/// Entries whose words C keeps.
const KEPT_BY_C: u64 = 3;
const PAGE: u64 = 4096;

/// Decides whether the effects of a step agree: they are equal, but for three things.
///
/// Registration: C allocates before it looks which device a pirq belongs to, and throws the memory
/// away if it need not have. Rust sizes the shadow to the table, so it looks under the descriptor's
/// lock first, and takes the lock again after allocating.
///
/// Completion: C switches the emulator's cache off before it looks whether there is anything to
/// read from the guest; Rust does so only to read.
///
/// Mask bits: C keeps its RCU section until the descriptor is unlocked; Rust needs the table no
/// more when it has found the descriptor, and ends the section before it takes the lock.
fn same_but_for_locks(op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
    match op {
        Op::Register { .. } => {
            let others =
                |entry: &&Entry| !matches!(entry.event, Event::Lock { .. } | Event::Unlock { .. });
            c.iter().filter(others).eq(rust.iter().filter(others))
        }
        Op::Completion { .. } if rust.len() < c.len() => match c {
            [first, second, rest @ ..] => {
                is_call(first, "hvmemul_cache_disable")
                    && is_call(second, "hvmemul_cache_restore")
                    && same(rest, rust)
            }
            _ => false,
        },
        // See `judge`: C was not asked.
        Op::Read { guarded: true, .. } if c.is_empty() => rust
            .iter()
            .all(|entry| matches!(entry.event, Event::MmioRead { .. })),
        _ => same(c, rust),
    }
}

/// Returns whether the same happened in the same circumstances, but for an RCU section around a
/// descriptor's lock.
fn same(c: &[Entry], rust: &[Entry]) -> bool {
    let mut masking = false;
    c.len() == rust.len()
        && c.iter().zip(rust).all(|(c, rust)| {
            let locks = matches!(c.event, Event::Lock { .. });
            let unlocks = matches!(c.event, Event::Unlock { .. });
            masking = (masking || locks) && !unlocks;
            let mut held = c.held;
            if (masking || unlocks) && held.rcu == rust.held.rcu + 1 {
                held.rcu -= 1;
            }
            c.event == rust.event && held == rust.held
        })
}

/// Leaves out where Rust takes the locks of tables' pages, and what it holds more than C when it
/// reaches registers beside a table, or says why it does not. None where it reaches one without.
fn without_page_locks(page_locks: &[u64], has_c_msi: bool, rust: &[Entry]) -> Option<Vec<Entry>> {
    let mut locked = false;
    let mut others = Vec::new();
    for entry in rust {
        let mut entry = entry.clone();
        match entry.event {
            Event::Lock { lock, irq: false } if page_locks.contains(&lock) => {
                locked = true;
                continue;
            }
            Event::Unlock { lock, irq: false } if page_locks.contains(&lock) => {
                locked = false;
                continue;
            }
            Event::MmioRead { .. } | Event::MmioWrite { .. } if !locked => return None,
            Event::MmioRead { .. } | Event::MmioWrite { .. } | Event::Log(_) if has_c_msi => {
                entry.held.spin_locks -= usize::from(locked);
            }
            Event::MmioRead { .. } | Event::MmioWrite { .. } | Event::Log(_)
                if entry.held.rcu == 2 =>
            {
                entry.held.rcu -= 1;
                entry.held.spin_locks -= usize::from(locked);
                // Only those of one domain are watched.
                if entry.held.rwlocks[1] == READ_LOCKED as u32 {
                    entry.held.rwlocks[1] = 0;
                }
            }
            _ => {}
        }
        others.push(entry);
    }
    Some(others)
}

fn is_call(entry: &Entry, name: &str) -> bool {
    matches!(entry.event, Event::Call(called, _) if called == name)
}

/// What Rust knows of a word; nothing, where it was never written or answered.
#[derive(Clone, Copy)]
enum Word {
    /// This value.
    Known(u32),
    /// It was written out of sight: only the guest's next write tells.
    Lost,
}

/// Entry and number of a word.
type Place = (u64, u64);

/// A registered table.
struct Table {
    device: usize,
    start: u64,
    len: u64,
    bindings: i64,
    /// No other table has or had the same.
    id: u64,
    c: HashMap<Place, u32>,
    rust: HashMap<Place, Word>,
}

impl Table {
    /// The words that an aligned access covers, the lower first, and whether it covers vector
    /// control: those of the entry in which it begins. None where the specification leaves the
    /// access undefined.
    fn words(&self, address: u64, len: u32) -> Option<(Vec<Place>, bool)> {
        let (entry, word) = ((address - self.start) / ENTRY, address % ENTRY / 4);
        match (len, word) {
            (4, 3) => Some((vec![], true)),
            (4, _) => Some((vec![(entry, word)], false)),
            (8, 0) => Some((vec![(entry, 0), (entry, 1)], false)),
            (8, _) => Some((vec![(entry, 2)], true)),
            _ => None,
        }
    }

    /// The word that a byte lies in: the aligned dword, of the entry in which that begins. None
    /// where it does not begin in the table.
    fn word_of(&self, byte: u64) -> Option<Place> {
        let dword = byte & !3;
        let offset = dword.checked_sub(self.start)?;
        (offset < self.len).then_some((offset / ENTRY, dword % ENTRY / 4))
    }

    /// What was in a word passes Rust by.
    fn lose(&mut self, byte: u64) {
        if let Some(word) = self.word_of(byte) {
            self.rust.insert(word, Word::Lost);
        }
    }

    /// Joins words to the value of a read, if each is known.
    fn join(words: &[Place], known: impl Fn(&Place) -> Option<u32>) -> Option<u64> {
        words
            .iter()
            .rev()
            .try_fold(0, |value, word| Some(value << 32 | u64::from(known(word)?)))
    }

    fn known_by_rust(&self, words: &[Place]) -> Option<u64> {
        Self::join(words, |word| match self.rust.get(word)? {
            Word::Known(value) => Some(*value),
            Word::Lost => None,
        })
    }

    fn known_by_c(&self, words: &[Place]) -> Option<u64> {
        Self::join(words, |word| self.c.get(word).copied())
    }

    /// Gives words their values, lower half first.
    fn set(&mut self, words: &[Place], mut value: u64, mut set: impl FnMut(&mut Self, Place, u32)) {
        for word in words {
            set(self, *word, value as u32);
            value >>= 32;
        }
    }
}

/// The tables of the two domains, the last registered first, and what was accepted last.
pub(crate) struct Model {
    /// Where the locks are that keep the mappings beside tables.
    page_locks: Vec<u64>,
    /// Whether msi.c is in C on Rust's side.
    has_c_msi: bool,
    tables: [Vec<Table>; 2],
    tables_made: u64,
    /// Which table the read is of that the device model answers for a vCPU, by its domain and
    /// number.
    noted: HashMap<(usize, usize), u64>,
    accepted: (bool, bool),
    /// Of a write beside a table, whether it may be carried out.
    beside: Option<bool>,
    /// A completion wrote beside a table on C's side.
    completed_beside: Cell<bool>,
    /// The vector control dword that Rust notes of the write from memory that was asked for last,
    /// and where its value is.
    written: Option<(u64, u64)>,
}

impl Model {
    /// Whether the last step was a write beside a table, to a page that is mapped.
    pub(super) fn wrote_beside(&self) -> bool {
        self.beside.is_some() || self.completed_beside.take()
    }

    /// Decides whether the effects of a step agree. Of writes beside a table C drops all to a page
    /// that has pending bits; Rust drops those to the pending bits and to the table itself.
    ///
    /// Registers beside a table: Rust reaches them with the locks that keep the function and the
    /// mapping; C takes neither.
    pub(super) fn same_effects(&self, op: &Op, c: &[Entry], rust: &[Entry]) -> bool {
        let Some(rust) = without_page_locks(&self.page_locks, self.has_c_msi, rust) else {
            return false;
        };
        let looked = self.has_c_msi;
        let sides = looked.then(|| (without_looks(c), without_looks(&rust)));
        let (c, rust) = match &sides {
            Some((c, rust)) => (&c[..], &rust[..]),
            None => (c, &rust[..]),
        };
        let Some(may_be_written) = self.beside else {
            // C applies an unmasking write to whatever lies at its address when the device model is
            // done.
            let is_beside = |entry: &&Entry| match &entry.event {
                Event::MmioWrite { width, value, .. } => (*width, *value) == (4, 0),
                Event::Log(line) => line.contains("adjacent"),
                _ => false,
            };
            let completes = matches!(op, Op::Completion { .. });
            if completes && c.iter().any(|entry| is_beside(&entry)) {
                self.completed_beside.set(true);
                let rest: Vec<_> = c.iter().filter(|e| !is_beside(e)).cloned().collect();
                return same_but_for_locks(op, &rest, rust);
            }
            return same_but_for_locks(op, c, rust);
        };
        let writes = |trace: &[Entry]| -> Vec<Event> {
            let events = trace.iter().map(|entry| entry.event.clone());
            events
                .filter(|event| matches!(event, Event::MmioWrite { .. }))
                .collect()
        };
        let only = |trace: &[Entry]| {
            let mut events = trace.iter().map(|entry| &entry.event);
            events.all(|event| match event {
                Event::MmioWrite { .. } => true,
                Event::Log(line) => line.contains("share a page, discard write"),
                _ => false,
            })
        };
        let (c_wrote, rust_wrote) = (writes(c), writes(rust));
        match (c_wrote.is_empty(), may_be_written) {
            (false, true) => same(c, rust),
            (false, false) => rust_wrote.is_empty() && only(c) && only(rust),
            (true, false) => rust_wrote.is_empty() && same(c, rust),
            (true, true) => {
                let Op::Write {
                    address,
                    len,
                    value,
                    ..
                } = *op
                else {
                    return false;
                };
                let is_it = |event: &Event| {
                    matches!(*event, Event::MmioWrite { address: at, width, value: written }
                        if at as u64 % PAGE == address % PAGE
                            && width == len as usize
                            && written == value & u64::MAX >> (64 - 8 * len))
                };
                only(c) && matches!(&rust_wrote[..], [event] if is_it(event)) && rust.len() == 1
            }
        }
    }

    /// Whether an aligned write beside a table, to a page that is mapped, may be carried out: none
    /// for other writes.
    fn write_beside(
        &mut self,
        world: &World,
        domain: usize,
        address: u64,
        len: u32,
    ) -> Option<bool> {
        if !address.is_multiple_of(len.into()) || !matches!(len, 1 | 2 | 4 | 8) {
            return None;
        }
        let table = self.table_on_page(domain, address)?;
        let (before, behind) = (address < table.start, address >= table.start + table.len);
        let spec = &world.spec.devices[table.device];
        let side = usize::from(behind);
        if !(before || behind) || spec.adjacent[side] == 0 {
            return None;
        }
        let written = spec.pages[side] * PAGE + address % PAGE;
        let [table_at, pending_at] = [(0, 0), (2, 1)]
            .map(|(page, offset)| spec.pages[page] * PAGE + u64::from(spec.offsets[offset]));
        let reaches = |start: u64, bytes: u64| {
            (written..written + u64::from(len)).any(|byte| (start..start + bytes).contains(&byte))
        };
        let entries = u64::from(spec.entries);
        Some(!reaches(table_at, entries * ENTRY) && !reaches(pending_at, entries.div_ceil(64) * 8))
    }

    pub(super) fn new(spec: &Spec) -> Self {
        Self {
            page_locks: Vec::new(),
            has_c_msi: spec.has_c_msi,
            tables: [Vec::new(), Vec::new()],
            tables_made: 0,
            noted: HashMap::new(),
            accepted: (false, false),
            beside: None,
            completed_beside: Cell::new(false),
            written: None,
        }
    }

    /// Compares what both sides note of a write from memory that goes to the device model, and lets
    /// Rust have what C has: C notes only a write of one entry that it does not accept. What Rust
    /// makes of the others the oracle judges.
    pub(super) fn settle_notes(&self, c: &World, rust: &World) -> Result<(), String> {
        let vcpus = |world: &World| -> Vec<_> {
            let domains = world.domains.iter();
            domains.flat_map(|domain| domain.vcpus.clone()).collect()
        };
        for (c, rust) in vcpus(c).into_iter().zip(vcpus(rust)) {
            let noted = |vcpu| {
                let io = hvm_io(vcpu);
                (get!(io, msix_snoop_address), get!(io, msix_snoop_gpa))
            };
            let (of_c, of_rust) = (noted(c), noted(rust));
            // Without an address the other word means nothing.
            if of_c == of_rust || (of_c.0, of_rust.0) == (0, 0) {
                continue;
            }
            if Some(of_rust) != self.written {
                return Err(format!("Rust notes {of_rust:x?} where C has {of_c:x?}"));
            }
            set!(hvm_io(rust), msix_snoop_address, of_c.0);
            set!(hvm_io(rust), msix_snoop_gpa, of_c.1);
        }
        Ok(())
    }

    /// Follows the step, and decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<Verdict, String> {
        self.page_locks.clone_from(&world.page_locks);
        self.beside = match *op {
            Op::Write {
                domain,
                address,
                len,
                ..
            } => self.write_beside(world, domain % 2, address, len),
            _ => None,
        };
        if self.has_c_msi && rust.output == Some(GAVE_UP) {
            return Ok(Verdict::Alone("a vCPU that is to be paused gives up"));
        }
        match *op {
            Op::Read {
                domain,
                vcpu,
                address,
                len,
                guarded,
            } => {
                if !guarded || self.accepted.1 {
                    self.note_read(world, (domain, vcpu), address, len);
                }
                let Some(expected) = self.read(world, domain % 2, address, len) else {
                    // A repeated read that only Rust accepted may run on to the registers behind
                    // the table.
                    if guarded && self.accepted == (false, true) {
                        return Ok(Verdict::Continue);
                    }
                    return equal(c, rust).map(|()| Verdict::Continue);
                };
                held_to("C", c, expected.0.filter(|_| !guarded || self.accepted.0))?;
                held_to(
                    "Rust",
                    rust,
                    expected.1.filter(|_| !guarded || self.accepted.1),
                )?;
                return Ok(Verdict::Continue);
            }
            Op::Accept {
                domain,
                vcpu,
                request,
            } => {
                let known = !request.write && self.message_known(domain % 2, &request);
                if !(c == rust || known && rust.outcome == Ok(1)) {
                    return Err("the answers differ".to_owned());
                }
                self.accepted = (c.outcome == Ok(1), rust.outcome == Ok(1));
                if !request.write && !self.accepted.1 {
                    let table = self.table_on_page(domain % 2, request.address);
                    let id = table.map(|table| table.id);
                    self.note(world, (domain, vcpu), id);
                } else {
                    self.note(world, (domain, vcpu), None);
                }
                self.written = last_control(&request, self.accepted.1);
                if self.written.is_some() {
                    self.noted.remove(&place_of(world, (domain, vcpu)));
                }
                if request.ready && request.write {
                    self.observe(domain % 2, &request);
                }
                return Ok(Verdict::Continue);
            }
            Op::Remove { device } => {
                let device = device % world.devices.len();
                let owner = world.devices[device].domain;
                let is_its = |table: &Table| table.device == device;
                // Rust's msi.c is told when a function goes, and so drops the table that its owner
                // has of it.
                let dropped = !self.has_c_msi && self.tables[owner].iter().any(is_its);
                let expected = Answer {
                    output: Some(dropped.into()),
                    ..Answer::void(Ok(0))
                };
                if *rust != expected {
                    return Err(format!("Rust should answer {expected:?}"));
                }
                let known = self.tables.iter().flatten().any(is_its);
                return Ok(alone_if(known));
            }
            // C takes it for an index.
            Op::Spoil { .. } => return Ok(Verdict::Alone("a bad index")),
            Op::Assign { device } => {
                let device = device % world.devices.len();
                let known = |table: &Table| table.device == device;
                return Ok(alone_if(self.tables.iter().flatten().any(known)));
            }
            _ => equal(c, rust)?,
        }
        match *op {
            Op::Register {
                pirq,
                domain,
                gtable,
            } if c.outcome == Ok(0) => {
                self.register(world, pirq, domain % 2, gtable);
                // C serves one domain with another's function.
                let owner = world
                    .pirq(pirq)
                    .map(|(_, device)| world.devices[device].domain);
                return Ok(alone_if(owner != Some(domain % 2)));
            }
            Op::Unregister { pirq, domain } => self.unregister(world, pirq, domain % 2),
            Op::Cleanup { domain } => self.tables[domain % 2].clear(),
            Op::Write {
                domain,
                address,
                len,
                value,
                guarded,
                ..
            } if !guarded || self.accepted.0 => {
                self.write(domain % 2, address, len, value);
            }
            Op::Completion {
                domain,
                vcpu,
                answered: Some(request),
                ..
            } if !world.completes => {
                self.learn(place_of(world, (domain, vcpu)), &request);
            }
            _ => {}
        }
        Ok(Verdict::Continue)
    }

    fn register(&mut self, world: &World, pirq: usize, domain: usize, gtable: Option<u64>) {
        let Some((_, device)) = world.pirq(pirq) else {
            return;
        };
        let tables = &mut self.tables[domain];
        if let Some(table) = tables.iter_mut().find(|table| table.device == device) {
            table.bindings += 1;
            return;
        }
        self.tables_made += 1;
        let spec = &world.spec.devices[device];
        let table = Table {
            device,
            start: gtable.unwrap_or(spec.gtable),
            len: u64::from(spec.entries) * ENTRY,
            bindings: 1,
            id: self.tables_made,
            c: HashMap::new(),
            rust: HashMap::new(),
        };
        tables.insert(0, table);
    }

    fn unregister(&mut self, world: &World, pirq: usize, domain: usize) {
        let index = pirq % (world.descs.len() + 2);
        let bound =
            |desc: &&super::world::Desc| desc.live && desc.spec.kind != Kind::MsixWithoutIrq;
        let Some(desc) = world.descs.get(index).filter(bound) else {
            return;
        };
        if get!(
            world.domains[domain].domain,
            arch.__bindgen_anon_1.hvm.msixtbl_list.next
        )
        .is_null()
        {
            return;
        }
        let tables = &mut self.tables[domain];
        if let Some(at) = tables.iter().position(|table| table.device == desc.device) {
            tables[at].bindings -= 1;
            if tables[at].bindings == 0 {
                tables.remove(at);
            }
        }
    }

    /// The table that shares a page with an address: of several, the last registered.
    fn table_on_page(&mut self, domain: usize, address: u64) -> Option<&mut Table> {
        let page = |address: u64| address / PAGE;
        let range = |table: &Table| page(table.start)..=page(table.start + table.len - 1);
        self.tables[domain]
            .iter_mut()
            .find(|table| range(table).contains(&page(address)))
    }

    /// The table that an address lies in.
    fn table(&mut self, domain: usize, address: u64) -> Option<&mut Table> {
        let table = self.table_on_page(domain, address)?;
        (address >= table.start && address < table.start + table.len).then_some(table)
    }

    fn write(&mut self, domain: usize, address: u64, len: u32, value: u64) {
        if !address.is_multiple_of(len.into()) {
            return;
        }
        let Some(table) = self.table(domain, address) else {
            // It may reach a part of a table's word, or run on into the first one.
            for byte in address..address.wrapping_add(len.into()) {
                if let Some(table) = self.table_on_page(domain, byte) {
                    table.lose(byte);
                }
            }
            return;
        };
        let Some((words, _)) = table.words(address, len) else {
            // What becomes of the word is the device model's to say.
            table.lose(address);
            return;
        };
        table.set(&words, value, |table, word, value| {
            table.rust.insert(word, Word::Known(value));
            if word.0 < KEPT_BY_C {
                table.c.insert(word, value);
            }
        });
    }

    /// A write that is on its way, to Xen or to the device model.
    fn observe(&mut self, domain: usize, request: &Request) {
        let seen = self.accepted.1;
        if !request.pointer && request.count == 1 {
            if seen {
                return;
            }
            if let Some(table) = self.table(domain, request.address)
                && request.address.is_multiple_of(request.size.into())
                && matches!(request.size, 4 | 8)
            {
                if let Some((words, _)) = table.words(request.address, request.size) {
                    table.set(&words, request.data, |table, word, value| {
                        table.rust.insert(word, Word::Known(value));
                    });
                }
                return;
            }
        }
        // Of a repeated write Xen sees at most the first element, and one that is not aligned it
        // hands on.
        let size = u64::from(request.size);
        for element in u64::from(seen)..u64::from(request.count) {
            let start = if request.backwards {
                request.address.wrapping_sub(element * size)
            } else {
                request.address.wrapping_add(element * size)
            };
            for address in start..start.wrapping_add(size) {
                if let Some(table) = self.table_on_page(domain, address) {
                    table.lose(address);
                }
            }
        }
    }

    /// A vCPU reads words that Rust may have to ask the device model for.
    fn note_read(&mut self, world: &World, vcpu: (usize, usize), address: u64, len: u32) {
        if !address.is_multiple_of(len.into()) {
            return;
        }
        let asked = self.table(vcpu.0 % 2, address).and_then(|table| {
            let (words, _) = table.words(address, len)?;
            (!words.is_empty() && table.known_by_rust(&words).is_none()).then_some(table.id)
        });
        self.note(world, vcpu, asked);
    }

    /// Notes which table a read of a vCPU is of that the device model answers; none where a write
    /// is snooped.
    fn note(&mut self, world: &World, vcpu: (usize, usize), table: Option<u64>) {
        let (domain, vcpu) = place_of(world, vcpu);
        let io = hvm_io(world.domains[domain].vcpus[vcpu]);
        if get!(io, msix_snoop_address) != 0 {
            self.noted.remove(&(domain, vcpu));
        } else if let Some(table) = table {
            self.noted.insert((domain, vcpu), table);
        }
    }

    /// The device model answered a read. A table that is newer than the read learns nothing from
    /// it.
    fn learn(&mut self, (domain, vcpu): (usize, usize), request: &Request) {
        if request.pointer || request.write || !request.ready || request.count != 1 {
            return;
        }
        let noted = self.noted.remove(&(domain, vcpu));
        let Some(table) = self.table(domain, request.address) else {
            return;
        };
        if noted != Some(table.id) {
            return;
        }
        if !request.address.is_multiple_of(request.size.into()) {
            return;
        }
        if let Some((words, _)) = table.words(request.address, request.size) {
            table.set(&words, request.data, |table, word, value| {
                table.rust.entry(word).or_insert(Word::Known(value));
            });
        }
    }

    /// Whether Rust accepts a read because it knows what it is asked for, whoever else may not.
    fn message_known(&mut self, domain: usize, request: &Request) -> bool {
        let Some(table) = self.table(domain, request.address) else {
            return false;
        };
        match table.words(request.address, request.size) {
            Some((words, false)) => table.known_by_rust(&words).is_some(),
            _ => false,
        }
    }

    /// What C and Rust read from a table; none where they must agree without our help.
    fn read(
        &mut self,
        world: &World,
        domain: usize,
        address: u64,
        len: u32,
    ) -> Option<(Option<u64>, Option<u64>)> {
        if !address.is_multiple_of(len.into()) {
            return None;
        }
        let table = self.table(domain, address)?;
        let (words, control) = table.words(address, len)?;
        let (c, rust) = (table.known_by_c(&words), table.known_by_rust(&words));
        if !control {
            return Some((c, rust));
        }
        let (device, entry) = (table.device, (address - table.start) / ENTRY);
        let is_entry = |desc: &&super::world::Desc| {
            desc.live
                && desc.device == device
                && desc.spec.kind != Kind::Msi
                && u64::from(desc.spec.entry) == entry
        };
        let masked = world
            .descs
            .iter()
            .find(is_entry)
            .map(|desc| u64::from(guest_masked(desc.desc)));
        let shift = 32 * words.len();
        let add = |low: Option<u64>| Some(low? | masked? << shift);
        Some((add(c), add(rust)))
    }
}

/// A vCPU by its domain and its number in that.
fn place_of(world: &World, (domain, vcpu): (usize, usize)) -> (usize, usize) {
    let domain = domain % 2;
    (domain, vcpu % world.domains[domain].vcpus.len())
}

/// C follows pointers to a function that is gone, and serves a domain with a function that is
/// another's: from there on Rust goes on alone, if a table makes the difference.
fn alone_if(table: bool) -> Verdict {
    if table {
        Verdict::AloneAfter("a table of a function that is gone, or another domain's")
    } else {
        Verdict::Continue
    }
}

/// The last vector control dword of what the device model gets of a write from memory, and where
/// its value is: the first element of what was accepted, if that is aligned.
fn last_control(request: &Request, accepted: bool) -> Option<(u64, u64)> {
    let size = u64::from(request.size);
    if !(request.ready && request.write && request.pointer) {
        return None;
    }
    let count = match accepted {
        true if !request.address.is_multiple_of(size) => 0,
        true => request.count.min(1),
        false => request.count,
    };
    let elements: Vec<_> = (0..u64::from(count))
        .map(|element| match request.backwards {
            true => (
                request.address - element * size,
                request.data - element * size,
            ),
            false => (
                request.address + element * size,
                request.data + element * size,
            ),
        })
        .collect();
    let end = elements.iter().map(|(start, _)| start + size).max()?;
    let control = (end & !(ENTRY - 1)) - 4;
    let (start, memory) = elements.iter().find(|(start, _)| {
        (*start..=start + size).contains(&control) && control + 4 <= start + size
    })?;
    Some((control, memory + (control - start)))
}

fn equal(c: &Answer, rust: &Answer) -> Result<(), String> {
    if c == rust {
        Ok(())
    } else {
        Err("the answers differ".to_owned())
    }
}

/// Holds the answer of a read to the value it must have; without one, the device model has to
/// answer.
fn held_to(side: &str, answer: &Answer, value: Option<u64>) -> Result<(), String> {
    let outcome = if value.is_some() {
        sys::X86EMUL_OKAY
    } else {
        sys::X86EMUL_UNHANDLEABLE
    };
    if answer.outcome == Ok(u64::from(outcome)) && answer.output == value {
        return Ok(());
    }
    Err(format!("{side} should answer {value:x?}"))
}
