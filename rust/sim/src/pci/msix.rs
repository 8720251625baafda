//! A function with MSI-X (PCI Local Bus Specification 3.0, sections 6.2.2 and 6.8.2 to 6.8.3).

use crate::dice::Dice;
use irq_core::msi::place::Table;
use irq_hw::msix::{ENTRY_SIZE, MASKED, VECTOR_CTRL};
use irq_hw::pci::{BASE_ADDRESS_0, COMMAND, COMMAND_MEMORY, MsixControl, MsixRegisters};
use std::collections::VecDeque;

/// Where the capability is in configuration space.
pub const CAPABILITY: MsixRegisters = MsixRegisters::new(0x70);

/// Where the function's memory is; it does not move.
const BASE: u32 = 0xfebc_0000;

/// The location of the table: in the memory of the first base address.
const TABLE: u32 = 0x2000;

/// What functions differ in.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// What the table reads as while MSI-X is disabled; `None` where that makes no difference.
    pub hidden: Option<u32>,
    /// An interrupt that is raised while it is masked is sent later.
    pub keeps_pending: bool,
    /// How many entries the table has.
    pub entries: usize,
}

/// An entry of the table, and its pending bit.
#[derive(Clone, Copy, Debug)]
struct Vector {
    control: u32,
    /// Bits 31:1 of it, as they are to stay.
    own: u32,
    pending: bool,
}

impl Vector {
    /// What a reset leaves, with the function's own bits of vector control.
    const fn reset(own: u32) -> Self {
        Self {
            control: own | MASKED,
            own,
            pending: false,
        }
    }
}

/// A function.
#[derive(Debug)]
pub struct Function {
    traits: Traits,
    present: bool,
    command: u16,
    control: MsixControl,
    /// Bits 31:1 of each vector control, which are the function's own and can be written.
    own: u32,
    vectors: Vec<Vector>,
    /// Writes to memory that have not arrived: which entry's vector control, and the value.
    posted: VecDeque<(usize, u32)>,
    /// Another function that has been given the same addresses: it keeps what is written to it.
    neighbour: Option<u32>,
    trampled: u32,
    sent: Vec<usize>,
    lies: Option<Dice>,
}

impl Function {
    /// A function after a reset.
    pub fn new(traits: Traits) -> Self {
        let mut function = Self {
            traits,
            present: true,
            command: 0,
            control: MsixControl::new(0),
            own: 0x5a5a_0000,
            vectors: Vec::new(),
            posted: VecDeque::new(),
            neighbour: None,
            trampled: 0,
            sent: Vec::new(),
            lies: None,
        };
        function.reset();
        function
    }

    /// Loses all that it has been told: by a reset of its own, one that software asked for, or for
    /// want of power.
    pub fn reset(&mut self) {
        self.command = 0;
        self.control = MsixControl::new(self.traits.entries as u16 - 1);
        self.vectors = vec![Vector::reset(self.own); self.traits.entries];
        self.posted.clear();
    }

    /// Is reset, and has other bits of its own in vector control from then on.
    pub fn reset_to_other_bits(&mut self) {
        self.own = self.own.rotate_left(1) & !MASKED;
        self.reset();
    }

    /// Whether an entry has the bits that are the function's own.
    pub fn keeps_own_bits(&self, index: usize) -> bool {
        let vector = self.vectors[index];
        vector.control & !MASKED == vector.own
    }

    /// Whether an entry is masked at the function.
    pub fn is_masked(&self, index: usize) -> bool {
        self.vectors[index].control & MASKED != 0
    }

    /// The function takes what was written to those bits of an entry for its own.
    pub fn accept_bits(&mut self, index: usize) {
        let vector = &mut self.vectors[index];
        vector.own = vector.control & !MASKED;
    }

    /// Is pulled out.
    pub fn remove(&mut self) {
        self.reset();
        self.present = false;
        self.neighbour = None;
    }

    /// Answers whatever it likes from now on.
    pub fn lie(&mut self, lies: Dice) {
        self.lies = Some(lies);
    }

    /// Begins or ceases to decode memory of its own accord.
    pub fn set_decoding(&mut self, decodes: bool) {
        if self.present {
            self.command = self.command & !COMMAND_MEMORY | u16::from(decodes) << 1;
            self.neighbour = self.neighbour.filter(|_| !decodes);
        }
    }

    /// Disables MSI-X of its own accord. The entries stay as they are.
    pub fn disable_itself(&mut self) {
        self.control = self.control.with_enabled(false);
    }

    /// Another function decodes the same addresses from now on, and this one does not.
    pub fn give_addresses_away(&mut self) {
        self.command = 0;
        self.neighbour = Some(0);
    }

    /// Wants to send a message. Returns whether it can, now or later; a function with MSI-X
    /// disabled has other ways.
    pub fn raise(&mut self, index: usize) -> bool {
        if !self.present || !self.control.enabled() {
            return false;
        }
        self.vectors[index].pending = true;
        self.send();
        self.vectors[index].pending || self.sent.last() == Some(&index)
    }

    /// Sends what is pending and not masked.
    fn send(&mut self) {
        let open = self.control.enabled() && !self.control.masks_all();
        for (index, vector) in self.vectors.iter_mut().enumerate() {
            if vector.pending && open && vector.control & MASKED == 0 {
                vector.pending = false;
                self.sent.push(index);
            }
            vector.pending &= self.traits.keeps_pending;
        }
    }

    /// Takes the messages that have been sent, by their entries.
    pub fn take_sent(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.sent)
    }

    /// Reads a register of configuration space. Like all requests, this overtakes no posted write.
    pub fn read_config(&mut self, register: u16) -> u32 {
        self.arrive();
        if let Some(lies) = &mut self.lies {
            return lie(lies);
        }
        const BAR: u16 = BASE_ADDRESS_0;
        const CONTROL: u16 = CAPABILITY.control();
        const LOCATION: u16 = CAPABILITY.table();
        match register {
            _ if !self.present => u32::MAX,
            COMMAND => self.command.into(),
            BAR => BASE,
            CONTROL => self.control.raw().into(),
            LOCATION => TABLE,
            _ => 0,
        }
    }

    /// Writes the command register.
    pub fn write_command(&mut self, command: u16) {
        self.arrive();
        if self.present {
            self.command = command;
            self.neighbour = self.neighbour.filter(|_| !self.decodes());
        }
    }

    /// Writes message control, of which two bits can be written.
    pub fn write_control(&mut self, control: MsixControl) {
        self.arrive();
        if self.present {
            self.control = self
                .control
                .with_enabled(control.enabled())
                .with_mask_all(control.masks_all());
            self.send();
        }
    }

    /// Where the table is, as configuration space says.
    pub fn table(&self) -> Table {
        Table {
            address: u64::from(BASE + TABLE),
            entries: self.traits.entries as u32,
        }
    }

    /// The entry whose vector control is at an address.
    fn index(&self, address: u64) -> usize {
        let offset = address - self.table().address;
        assert_eq!(offset % ENTRY_SIZE, VECTOR_CTRL, "{address:#x}");
        let index = (offset / ENTRY_SIZE) as usize;
        assert!(index < self.traits.entries, "{address:#x}");
        index
    }

    /// Writes vector control of the entry at an address. The function sees it at its next answer,
    /// or later.
    pub fn write_memory(&mut self, address: u64, value: u32) {
        self.posted.push_back((self.index(address), value));
    }

    /// Reads vector control of the entry at an address; what was written before has arrived then.
    pub fn read_memory(&mut self, address: u64) -> u32 {
        self.arrive();
        let index = self.index(address);
        if let Some(lies) = &mut self.lies {
            return lie(lies);
        }
        match self.traits.hidden {
            _ if !self.decodes() => self.neighbour.unwrap_or(u32::MAX),
            Some(hidden) if !self.control.enabled() => hidden,
            _ => self.vectors[index].control,
        }
    }

    /// All posted writes arrive.
    pub fn arrive(&mut self) {
        while let Some((index, value)) = self.posted.pop_front() {
            if !self.decodes() {
                if let Some(memory) = &mut self.neighbour {
                    *memory = value;
                    self.trampled += 1;
                }
            } else if self.control.enabled() || self.traits.hidden.is_none() {
                self.vectors[index].control = value;
                self.send();
            }
        }
    }

    /// Whether it answers to accesses to its memory, for a look from outside.
    pub fn decodes(&self) -> bool {
        self.present && self.command & COMMAND_MEMORY != 0
    }

    /// Whether it is there, for a look from outside.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// Whether it tells the truth.
    pub fn is_honest(&self) -> bool {
        self.lies.is_none()
    }

    /// Whether MSI-X is enabled, for a look from outside.
    pub fn is_enabled(&self) -> bool {
        self.control.enabled()
    }

    /// Whether all that was written has arrived, for a look from outside.
    pub fn is_up_to_date(&self) -> bool {
        self.posted.is_empty()
    }

    /// How often another function was written to in its stead.
    pub fn trampled(&self) -> u32 {
        self.trampled
    }
}

/// Any value; all ones and zero often, for they mean most.
fn lie(lies: &mut Dice) -> u32 {
    let mut half = || lies.below(1 << 16) as u32;
    let value = half() << 16 | half();
    lies.of(&[0, u32::MAX, value, value])
}
