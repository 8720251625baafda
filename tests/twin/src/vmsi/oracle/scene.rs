//! Carries out a case on one side, and judges what the guest reads.
//!
//! The emulator's part is carried out here as Xen does it: `accept` sees a request whole; what it
//! accepts goes to `read` or `write` element by element, until one is not handled; the device model
//! gets the first element of that, or all of what was not accepted, and when it is done the
//! completion runs on the vCPU.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;

use xen_sys as sys;

use super::Fault;
use super::guest::{Work, element};
use super::history::History;
use super::op::{Instruction, Op, Spec};
use super::qemu::{self, Bind, CONTROL, dwords};
use crate::answer::Answer;
use crate::side::{Script, Side};
use crate::vmsi::op::{Op as Call, Request};
use crate::vmsi::perform::{Api, fill, perform, set_state};
use crate::vmsi::platform::Platform;
use crate::vmsi::world::{
    DescSpec, DeviceSpec, Exchange, Kind, Spec as WorldSpec, World, hvm_io, set_guest_masked,
};
use crate::xen::{addr, set};

/// RAM of a vCPU for string instructions: the middle of a page, in which any of ours stays.
const RAM: u64 = 0x7000_0800;
const RAM_STRIDE: u64 = 0x1_0000;
/// How far a BAR moves.
const DISTANCE: u64 = 0x800_0000;
/// What a vector control dword has that counts: its other bits are reserved.
const MASK_BIT: u32 = 1;

/// What a side answered that is not right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) reads: u64,
    /// Wrong addresses and data.
    pub(super) messages: u64,
    /// Wrong mask bits.
    pub(super) masks: u64,
    /// Calls that did not return.
    pub(super) traps: u64,
}

impl Count {
    pub(super) fn wrong(&self) -> u64 {
        self.messages + self.masks + self.traps
    }

    pub(super) fn add(&mut self, other: Self) {
        self.reads += other.reads;
        self.messages += other.messages;
        self.masks += other.masks;
        self.traps += other.traps;
    }
}

/// A dword: the numbers of its function, its entry and its place there.
type Key = (usize, usize, usize);

/// How far a request is.
#[derive(Clone, Copy)]
enum Stage {
    /// `accept` has answered.
    Asked { accepted: bool },
    /// The device model has so many elements of it.
    Sent { count: u32 },
    /// It is done with them.
    Answered { count: u32, data: u64 },
}

/// A request that is under way.
struct Access {
    number: u64,
    start: u64,
    request: Request,
    values: Vec<u64>,
    stage: Stage,
}

#[derive(Default)]
struct Vcpu {
    work: Option<Work>,
    access: Option<Access>,
}

/// What the device model does by itself.
enum Chore {
    Unbind(usize, usize),
    Unmap(usize, usize),
    Update(usize),
    Bind(usize, Bind),
    Disable(usize),
    Move(usize),
    Rebind(usize, usize),
}

impl Chore {
    /// The number of the function that it is about.
    fn function(&self) -> usize {
        match *self {
            Self::Unbind(function, _)
            | Self::Unmap(function, _)
            | Self::Update(function)
            | Self::Bind(function, _)
            | Self::Disable(function)
            | Self::Move(function)
            | Self::Rebind(function, _) => function,
        }
    }
}

/// A case on one side.
pub(super) struct Scene<'a> {
    side: &'a mut Side,
    api: &'a Api,
    world: World,
    fault: Fault,
    vcpus: Vec<Vcpu>,
    functions: Vec<qemu::Function>,
    /// When each function's table was last moved.
    moved: Vec<u64>,
    /// Which functions have an interrupt that was unmapped and not unbound: Xen keeps their tables
    /// where they were first, whatever is bound later.
    leaked: Vec<bool>,
    bases: Vec<u64>,
    /// The descriptor of an entry.
    descs: HashMap<(usize, usize), usize>,
    chores: VecDeque<Chore>,
    histories: BTreeMap<Key, History>,
    now: u64,
    accesses: u64,
    pub(super) count: Count,
    /// What happened, if it is to be told.
    pub(super) story: Option<String>,
    /// Whether the story has a wrong answer.
    told: bool,
}

/// The entry that a descriptor is of, by the numbers of its function and its own.
fn place_of(descs: &HashMap<(usize, usize), usize>, desc: usize) -> Option<(usize, usize)> {
    let found = descs.iter().find(|(_, known)| **known == desc);
    found.map(|(place, _)| *place)
}

fn world_spec(spec: &Spec) -> WorldSpec {
    let mut irqs = 2;
    let devices = spec.functions.iter().map(|function| {
        irqs += function.mappable.len();
        DeviceSpec {
            domain: 0,
            entries: function.entries,
            gtable: function.base,
            descs: function
                .mappable
                .iter()
                .map(|entry| DescSpec {
                    entry: *entry,
                    kind: Kind::Msix,
                    guest_masked: true,
                })
                .collect(),
            adjacent: [0; 2],
            pages: [0xfe100, 0xfe107, 0xfe200, 0xfe200],
            offsets: [0; 2],
            warned: (0, 0),
            vpci_entries: 0,
        }
    });
    let devices = devices.collect();
    WorldSpec {
        irqs,
        vcpus: [spec.vcpus, 1],
        devices,
        ..WorldSpec::default()
    }
}

impl<'a> Scene<'a> {
    pub(super) fn new(side: &'a mut Side, api: &'a Api, spec: &Spec, fault: Fault) -> Self {
        side.clear();
        let mut world = World::build(side, &world_spec(spec));
        // The twin looks at that; here are many more accesses.
        world.watches = false;
        let mut descs = HashMap::new();
        for (function, its) in spec.functions.iter().enumerate() {
            for entry in &its.mappable {
                let desc = descs.len();
                world.unlink(side.env(), desc);
                descs.insert((function, usize::from(*entry)), desc);
            }
        }
        let functions = spec
            .functions
            .iter()
            .map(|function| qemu::Function::new(function.base, function.entries));
        let mut scene = Self {
            side,
            api,
            world,
            fault,
            vcpus: (0..spec.vcpus).map(|_| Vcpu::default()).collect(),
            functions: functions.collect(),
            moved: vec![0; spec.functions.len()],
            leaked: vec![false; spec.functions.len()],
            bases: spec
                .functions
                .iter()
                .map(|function| function.base)
                .collect(),
            descs,
            chores: VecDeque::new(),
            histories: BTreeMap::new(),
            now: 1,
            accesses: 0,
            count: Count::default(),
            story: None,
            told: false,
        };
        scene.call(&Call::Init { domain: 0 });
        scene
    }

    /// Carries out all steps, ends what is under way, and reads every dword that was written,
    /// twice.
    pub(super) fn run(&mut self, steps: &[Op]) {
        for step in steps {
            self.say(|_| format!("step: {step:x?}"));
            self.step(step);
        }
        self.say(|_| "step: the end".to_owned());
        for vcpu in 0..self.vcpus.len() {
            self.finish(vcpu);
        }
        while let Some(chore) = self.chores.pop_front() {
            self.chore(chore);
        }
        let written: Vec<_> = self.histories.keys().copied().collect();
        for len in [4, 8, 4, 8] {
            for (function, entry, dword) in &written {
                let offset = (*entry as u64 * 16 + *dword as u64 * 4) & !(u64::from(len) - 1);
                let address = self.functions[*function].base + offset;
                self.begin(0, &Instruction::Load { address, len });
                self.finish(0);
            }
        }
        self.call(&Call::Cleanup { domain: 0 });
        self.call(&Call::GracePeriod);
    }

    fn say(&mut self, words: impl FnOnce(&Self) -> String) {
        // What comes after the first wrong answer tells nothing more.
        if self.story.is_none() || self.told {
            return;
        }
        let words = words(self);
        if let Some(story) = &mut self.story {
            // Writing to a string does not fail.
            let _ = writeln!(story, "  {words}");
        }
    }

    fn call(&mut self, call: &Call) -> Option<Answer> {
        self.now += 1;
        if let Some(exchange) = &mut self.world.exchange
            && let Some((function, entry)) = place_of(&self.descs, exchange.to)
        {
            let latch = self.functions[function].entries[entry].latch[CONTROL];
            exchange.masked = latch & MASK_BIT != 0;
        }
        let answer = perform(
            self.side,
            self.api,
            &mut self.world,
            call,
            Script::plain(self.now),
        )?;
        self.say(|_| format!("  {call:x?}: {:x?}", answer.outcome));
        if answer.outcome.is_err() {
            self.count.traps += 1;
            self.wrong("the call did not return".to_owned());
        }
        self.exchanged();
        Some(answer)
    }

    fn step(&mut self, step: &Op) {
        let vcpus = self.vcpus.len();
        let functions = self.functions.len();
        match step {
            Op::Run { vcpu, instruction } => {
                let vcpu = vcpu % vcpus;
                if self.begin(vcpu, instruction) {
                    self.finish(vcpu);
                }
            }
            Op::Begin { vcpu, instruction } => {
                self.begin(vcpu % vcpus, instruction);
            }
            Op::Step { vcpu } => {
                self.advance(vcpu % vcpus);
            }
            Op::DeviceModel { vcpu } => self.device_model(*vcpu),
            Op::Resume { vcpu } => {
                let vcpu = vcpu % vcpus;
                if self.vcpus[vcpu].access.is_none() {
                    self.complete(vcpu, None);
                }
            }
            Op::Enable { function } => {
                self.chores.push_back(Chore::Update(function % functions));
            }
            Op::Disable { function } => {
                self.chores.push_back(Chore::Disable(function % functions));
            }
            Op::Move { function } => self.chores.push_back(Chore::Move(function % functions)),
            Op::Rebind { function, entry } => {
                let function = function % functions;
                let entry = entry % self.functions[function].entries.len();
                self.chores.push_back(Chore::Rebind(function, entry));
            }
            Op::Exchange {
                vcpu,
                instruction,
                function,
                entry,
            } => {
                let place = (function % functions, *entry);
                self.exchange(vcpu % vcpus, instruction, place);
            }
            Op::Replace { function } => self.replace(function % functions),
            Op::GracePeriod => {
                self.call(&Call::GracePeriod);
            }
        }
    }

    /// Has things done before whatever else is to be done.
    fn first(&mut self, chores: Vec<Chore>) {
        for chore in chores.into_iter().rev() {
            self.chores.push_front(chore);
        }
    }

    /// Has things done before a guest does anything: what it did meanwhile to a table that moves
    /// would be undefined.
    fn at_once(&mut self, chores: Vec<Chore>) {
        let left = self.chores.len();
        self.first(chores);
        while self.chores.len() > left
            && let Some(chore) = self.chores.pop_front()
        {
            self.chore(chore);
        }
    }

    fn disable(&mut self, function: usize) {
        let its = &mut self.functions[function];
        its.enabled = false;
        let mut chores = Vec::new();
        for entry in 0..its.entries.len() {
            its.settle(entry);
            if its.entries[entry].mapped {
                chores.push(Chore::Unbind(function, entry));
                chores.push(Chore::Unmap(function, entry));
            }
        }
        self.first(chores);
    }

    /// The dwords that requests under way write, or may have written.
    fn under_way(&self) -> Vec<Key> {
        let accesses = self.vcpus.iter().filter_map(|vcpu| vcpu.access.as_ref());
        accesses
            .flat_map(|access| self.written(&access.request))
            .collect()
    }

    /// The dwords that a request writes where the tables are now.
    fn written(&self, request: &Request) -> Vec<Key> {
        let count = if request.write { request.count } else { 0 };
        (0..count)
            .flat_map(|number| self.keys(element(request, number).0, request.size, 0))
            .map(|(key, _)| key)
            .collect()
    }

    fn relocate(&mut self, function: usize) {
        let before = self.under_way();
        let other = self.bases[function] + DISTANCE;
        let its = &mut self.functions[function];
        its.base = if its.base == other {
            self.bases[function]
        } else {
            other
        };
        self.moved[function] = self.now;
        for key in before.into_iter().chain(self.under_way()) {
            self.histories.entry(key).or_default().disturb(self.now);
        }
        let its = &mut self.functions[function];
        let mut chores = Vec::new();
        for entry in 0..its.entries.len() {
            if its.entries[entry].mapped {
                chores.push(Chore::Unbind(function, entry));
                its.renew(entry);
            }
        }
        if its.enabled {
            chores.push(Chore::Update(function));
        }
        self.at_once(chores);
    }

    /// Carries out an instruction, if the vCPU is idle; meanwhile the IRQ whose lock it asks for
    /// becomes that of another entry, if that has none.
    fn exchange(&mut self, vcpu: usize, instruction: &Instruction, place: (usize, usize)) {
        let Some(to) = self.descs.get(&place).copied() else {
            return;
        };
        let its = &self.functions[place.0];
        let entry = &its.entries[place.1];
        let is_free = its.enabled && !entry.mapped && !entry.bound;
        if !is_free || !self.begin(vcpu, instruction) {
            return;
        }
        self.world.exchange = Some(Exchange {
            to,
            masked: false,
            from: None,
        });
        self.finish(vcpu);
        self.world.exchange = None;
    }

    /// What another CPU did while a call ran is noted, and the entry bound that has got an IRQ.
    fn exchanged(&mut self) {
        let Some(Exchange {
            to,
            from: Some(from),
            ..
        }) = self.world.exchange
        else {
            return;
        };
        self.world.exchange = None;
        self.say(|_| format!("  meanwhile the IRQ of {from} became that of {to}"));
        let [old, new] = [from, to].map(|desc| place_of(&self.descs, desc));
        let (Some(old), Some((function, entry))) = (old, new) else {
            return;
        };
        // It is mapped and bound anew when the guest programs it next.
        let its = &mut self.functions[old.0].entries[old.1];
        self.leaked[old.0] |= its.bound;
        (its.mapped, its.bound) = (false, false);
        self.functions[function].entries[entry].mapped = true;
        // The mask is what it was mapped with.
        let masked = true;
        self.bind(function, Bind { entry, masked });
    }

    /// Has another function where one is, with its first interrupt bound.
    fn replace(&mut self, function: usize) {
        let first = self.descs.keys().filter(|(its, _)| *its == function).min();
        let Some((_, first)) = first.copied() else {
            return;
        };
        let before = self.under_way();
        self.chores.retain(|chore| chore.function() != function);
        self.world.replace(self.side, function);
        let its = &mut self.functions[function];
        *its = qemu::Function::new(its.base, its.entries.len() as u32);
        its.enabled = true;
        self.moved[function] = self.now;
        self.leaked[function] = false;
        for ((its, ..), history) in &mut self.histories {
            if *its == function {
                history.renew();
            }
        }
        for key in before {
            self.histories.entry(key).or_default().disturb(self.now);
        }
        let bind = Bind {
            entry: first,
            masked: false,
        };
        self.at_once(vec![Chore::Bind(function, bind)]);
    }

    /// Begins an instruction, if the vCPU is idle.
    fn begin(&mut self, vcpu: usize, instruction: &Instruction) -> bool {
        if self.vcpus[vcpu].work.is_some() {
            return false;
        }
        let ram = RAM + vcpu as u64 * RAM_STRIDE;
        if let Instruction::Movs {
            size,
            descending,
            values,
            ..
        } = instruction
        {
            let mut bytes: Vec<u8> = Vec::new();
            let mut put = |value: &u64| {
                bytes.extend_from_slice(&value.to_le_bytes()[..*size as usize]);
            };
            let start = if *descending {
                values.iter().rev().for_each(&mut put);
                ram - (values.len() as u64 - 1) * u64::from(*size)
            } else {
                values.iter().for_each(&mut put);
                ram
            };
            let memory = &mut self.side.env().unit.of_mut::<Platform>().guest_memory;
            memory.retain(|(start, _)| start / RAM_STRIDE != ram / RAM_STRIDE);
            memory.push((start, bytes));
        }
        self.vcpus[vcpu].work = Some(Work::new(instruction, ram));
        self.begin_access(vcpu);
        true
    }

    /// Goes on until the vCPU is idle.
    fn finish(&mut self, vcpu: usize) {
        while self.vcpus[vcpu].work.is_some() {
            if !self.advance(vcpu) {
                self.device_model(vcpu);
            }
        }
    }

    /// Goes on by one stage; returns whether the vCPU need not wait for the device model.
    fn advance(&mut self, vcpu: usize) -> bool {
        if self.vcpus[vcpu].work.is_none() {
            return true;
        }
        let Some(access) = self.vcpus[vcpu].access.take() else {
            self.begin_access(vcpu);
            return true;
        };
        match access.stage {
            Stage::Asked { accepted: true } => self.intercept(vcpu, access),
            Stage::Asked { accepted: false } => {
                let count = access.request.count;
                self.send(vcpu, access, count);
            }
            Stage::Sent { .. } => {
                self.vcpus[vcpu].access = Some(access);
                return false;
            }
            Stage::Answered { count, data } => {
                let answered = Request {
                    data,
                    count,
                    ..access.request
                };
                // Only such requests come back to the emulator.
                let comes_back = !access.request.pointer;
                self.complete(vcpu, comes_back.then_some(answered));
                self.end_access(vcpu, access, count);
            }
        }
        true
    }

    fn begin_access(&mut self, vcpu: usize) {
        let next = self.vcpus[vcpu].work.as_ref().and_then(Work::request);
        let Some((request, values)) = next else {
            self.vcpus[vcpu].work = None;
            return;
        };
        self.now += 1;
        self.accesses += 1;
        let (number, start) = (self.accesses, self.now);
        if request.write {
            for (at, value) in (0..).zip(&values) {
                let (address, _) = element(&request, at);
                for (key, value) in self.keys(address, request.size, *value) {
                    let history = self.histories.entry(key).or_default();
                    history.begin(number, value, start);
                }
            }
        }
        fill(self.request(vcpu), &request, sys::STATE_IOREQ_READY);
        let accepted = if self.fault == Fault::Unseen && request.write && number.is_multiple_of(8) {
            false
        } else {
            let accept = Call::Accept {
                domain: 0,
                vcpu,
                request,
            };
            self.call(&accept)
                .is_some_and(|answer| answer.outcome == Ok(1))
        };
        self.vcpus[vcpu].access = Some(Access {
            number,
            start,
            request,
            values,
            stage: Stage::Asked { accepted },
        });
    }

    fn request(&self, vcpu: usize) -> *mut sys::ioreq {
        addr!(self.world.domains[0].vcpus[vcpu], io.req)
    }

    /// The dwords of the tables that an access covers, with their parts of a value.
    fn keys(&self, address: u64, len: u32, value: u64) -> Vec<(Key, u32)> {
        let found = self
            .functions
            .iter()
            .enumerate()
            .find_map(|(number, function)| Some((number, function, function.offset(address)?)));
        let Some((number, function, offset)) = found else {
            return Vec::new();
        };
        dwords(offset, len)
            .filter_map(|(offset, shift)| {
                let (entry, dword) = function.place(offset)?;
                Some(((number, entry, dword), (value >> shift) as u32))
            })
            .collect()
    }

    /// Carries out what was accepted, element by element.
    fn intercept(&mut self, vcpu: usize, access: Access) {
        let request = access.request;
        let okay = Ok(u64::from(sys::X86EMUL_OKAY));
        let mut done = 0;
        while done < request.count {
            let (address, _) = element(&request, done);
            let call = match request.write {
                true => Call::Write {
                    domain: 0,
                    vcpu,
                    address,
                    len: request.size,
                    value: access.values[done as usize],
                    guarded: false,
                },
                false => Call::Read {
                    domain: 0,
                    vcpu,
                    address,
                    len: request.size,
                    guarded: false,
                },
            };
            let Some(answer) = self.call(&call).filter(|answer| answer.outcome == okay) else {
                break;
            };
            if let Some(value) = answer.output {
                self.judge(&access, address, value);
            }
            done += 1;
        }
        set!(self.request(vcpu), count, done.max(1));
        if done == 0 {
            self.send(vcpu, access, 1);
        } else {
            set_state(self.request(vcpu), sys::STATE_IOREQ_NONE);
            self.end_access(vcpu, access, done);
        }
    }

    fn send(&mut self, vcpu: usize, mut access: Access, count: u32) {
        access.stage = Stage::Sent { count };
        self.vcpus[vcpu].access = Some(access);
        self.block(vcpu, true);
    }

    fn block(&mut self, vcpu: usize, blocked: bool) {
        self.call(&Call::Block {
            domain: 0,
            vcpu,
            blocked,
        });
    }

    fn complete(&mut self, vcpu: usize, answered: Option<Request>) {
        if self.fault == Fault::NoCompletion && self.accesses.is_multiple_of(4) {
            let io = hvm_io(self.world.domains[0].vcpus[vcpu]);
            set!(io, msix_snoop_address, 0);
            set!(io, msix_unmask_address, 0);
            return;
        }
        self.call(&Call::Completion {
            domain: 0,
            vcpu,
            answered,
        });
    }

    fn end_access(&mut self, vcpu: usize, access: Access, done: u32) {
        self.now += 1;
        if access.request.write {
            for history in self.histories.values_mut() {
                history.finish(access.number, self.now);
            }
        }
        // A table that moved may be back where it was when this ends.
        for key in self.written(&access.request) {
            if self.moved[key.0] >= access.start {
                self.histories.entry(key).or_default().disturb(self.now);
            }
        }
        if let Some(work) = &mut self.vcpus[vcpu].work {
            work.advance(done);
            if work.request().is_none() {
                self.vcpus[vcpu].work = None;
            }
        }
    }

    /// Judges what Xen answered to a read.
    fn judge(&mut self, access: &Access, address: u64, value: u64) {
        let len = access.request.size;
        let keys = self.keys(address, len, value);
        // What is no dword of a table is not ours to judge, nor what moves while it is read.
        let Some(((function, ..), _)) = keys.first() else {
            return;
        };
        if self.moved[*function] >= access.start {
            return;
        }
        self.count.reads += 1;
        let its = &self.functions[*function];
        if !matches!(len, 4 | 8) || !address.is_multiple_of(len.into()) {
            // Only the device model can tell.
            let right = its.offset(address).map(|offset| its.read(offset, len));
            if right != Some(value) {
                self.count.messages += 1;
                self.wrong(format!("{value:#x} instead of {right:x?}"));
            }
            return;
        }
        for ((function, entry, dword), value) in keys {
            let mask = if dword == CONTROL { MASK_BIT } else { u32::MAX };
            let right = match self.histories.get(&(function, entry, dword)) {
                Some(history) => history.allows(value, mask, access.start),
                None => value & mask == 0,
            };
            if right {
                continue;
            }
            match dword {
                CONTROL => self.count.masks += 1,
                _ => self.count.messages += 1,
            }
            let latch = self.functions[function].entries[entry].latch[dword];
            self.wrong(format!(
                "dword {dword} of entry {entry} of function {function} is read as {value:#x}; the \
                 device model holds {latch:#x}"
            ));
        }
    }

    fn wrong(&mut self, words: String) {
        self.say(|_| format!("  wrong: {words}"));
        self.told = true;
    }

    /// The device model does one thing: what it has to do by itself, or a request.
    fn device_model(&mut self, first: usize) {
        if let Some(chore) = self.chores.pop_front() {
            return self.chore(chore);
        }
        let vcpus = self.vcpus.len();
        for vcpu in (0..vcpus).map(|number| (first + number) % vcpus) {
            let sent = self.vcpus[vcpu]
                .access
                .take_if(|access| matches!(access.stage, Stage::Sent { .. }));
            if let Some(access) = sent {
                self.serve(vcpu, access);
                return;
            }
        }
    }

    fn serve(&mut self, vcpu: usize, mut access: Access) {
        let Stage::Sent { count } = access.stage else {
            return;
        };
        let request = access.request;
        let mut data = request.data;
        for number in 0..count {
            let (address, _) = element(&request, number);
            if request.write {
                let value = access.values[number as usize];
                for (key, value) in self.keys(address, request.size, value) {
                    self.take((access.number, access.start), key, value);
                }
            } else if !request.pointer {
                data = self
                    .functions
                    .iter()
                    .find_map(|function| {
                        Some(function.read(function.offset(address)?, request.size))
                    })
                    .unwrap_or(0);
                if self.fault == Fault::WrongAnswer && access.number.is_multiple_of(8) {
                    data ^= 2;
                }
            }
        }
        self.say(|_| format!("  the device model serves vCPU {vcpu}: {data:#x}"));
        access.stage = Stage::Answered { count, data };
        self.vcpus[vcpu].access = Some(access);
        self.block(vcpu, false);
    }

    fn take(&mut self, access: (u64, u64), key: Key, value: u32) {
        let (function, entry, dword) = key;
        self.now += 1;
        if let Some(bind) = self.functions[function].write(entry, dword, value) {
            self.bind(function, bind);
        }
        let history = self.histories.entry(key).or_default();
        history.take(access.0, value, access.1, self.now);
    }

    fn chore(&mut self, chore: Chore) {
        match chore {
            Chore::Update(function) => {
                let its = &mut self.functions[function];
                its.enabled = true;
                let binds = its.updates().map(|bind| Chore::Bind(function, bind));
                let binds = binds.collect();
                self.first(binds);
            }
            Chore::Disable(function) => self.disable(function),
            Chore::Move(function) if self.leaked[function] => {}
            Chore::Move(function) => self.relocate(function),
            Chore::Rebind(function, entry) => {
                let its = &mut self.functions[function];
                if its.enabled && its.entries[entry].bound {
                    its.renew(entry);
                    self.at_once(vec![
                        Chore::Unbind(function, entry),
                        Chore::Update(function),
                    ]);
                }
            }
            Chore::Bind(function, bind) => self.bind(function, bind),
            Chore::Unbind(function, entry) => self.unbind(function, entry),
            Chore::Unmap(function, entry) => {
                let Some(desc) = self.descs.get(&(function, entry)) else {
                    return;
                };
                let its = &mut self.functions[function].entries[entry];
                if std::mem::take(&mut its.mapped) {
                    self.world.unlink(self.side.env(), *desc);
                }
            }
        }
    }

    /// Maps and binds an entry, if the host has an interrupt for it.
    fn bind(&mut self, function: usize, bind: Bind) {
        let Some(desc) = self.descs.get(&(function, bind.entry)).copied() else {
            return;
        };
        let its = &mut self.functions[function].entries[bind.entry];
        if !std::mem::replace(&mut its.mapped, true) {
            self.world.link(self.side.env(), desc);
        }
        if !std::mem::replace(&mut its.bound, true) {
            let register = Call::Register {
                pirq: desc,
                domain: 0,
                gtable: Some(self.functions[function].base),
            };
            self.call(&register);
        }
        if !bind.masked {
            set_guest_masked(self.world.descs[desc].desc, false);
        }
        self.functions[function].settle(bind.entry);
    }

    fn unbind(&mut self, function: usize, entry: usize) {
        let its = &mut self.functions[function].entries[entry];
        if !std::mem::take(&mut its.bound) {
            return;
        }
        if let Some(desc) = self.descs.get(&(function, entry)) {
            self.call(&Call::Unregister {
                pirq: *desc,
                domain: 0,
            });
        }
    }
}
