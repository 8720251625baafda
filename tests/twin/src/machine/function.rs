//! A function of PCI: its configuration space, and the memory that holds its MSI-X table.

use xen_sys as sys;

/// Bytes of configuration space, with the extended part.
const CONFIG: usize = 4096;
/// What a register reads that nobody answers for.
pub(crate) const NOBODY: u32 = !0;
/// Registers and their bits.
pub(crate) const COMMAND: usize = 4;
pub(crate) const MEMORY: u16 = 1 << 1;
pub(crate) const NO_INTX: u16 = 1 << 10;
const CONTROL: usize = sys::PCI_MSIX_FLAGS as usize;
const ENABLE: u16 = sys::PCI_MSIX_FLAGS_ENABLE as u16;
/// The word of an entry that masks it, and how many an entry has.
const VECTOR_CONTROL: usize = 3;
const WORDS: usize = 4;
/// The bit that masks an entry.
const MASKED: u32 = 1;

/// A function.
pub(crate) struct Function {
    /// Segment, bus, device and function in one word.
    pub(crate) sbdf: u32,
    config: Vec<u8>,
    /// The bits of configuration space that software may change.
    writable: Vec<u8>,
    /// Configuration space when the world began.
    initial: Vec<u8>,
    /// Where the capability is; zero when there is none.
    pub(crate) msix: usize,
    /// Where the capability of SR-IOV is; zero when there is none.
    pub(crate) extended: u32,
    /// Where the table is, and what it holds.
    pub(crate) table_at: Option<u64>,
    table: Vec<u32>,
    /// Bits 31:1 of each vector control, which are the device's.
    reserved: u32,
    /// Whether the table answers only while MSI-X is enabled.
    pub(crate) needs_enable: bool,
    /// What it reads as where it does not, although memory is decoded.
    pub(crate) hidden: u32,
    /// Whether what ran before has left entries unmasked, and may do so again while none is in use.
    pub(crate) leaves_unmasked: bool,
    /// Whether the sides were not compared since it changed.
    changed: bool,
    /// Whether it was pulled.
    pub(crate) gone: bool,
    /// The physical function of a virtual one, which decodes memory for it.
    pub(crate) physical: Option<usize>,
}

impl Function {
    /// A function with nothing in its configuration space but what every one may change.
    pub(crate) fn new(sbdf: u32) -> Self {
        let mut function = Self {
            sbdf,
            config: vec![0; CONFIG],
            writable: vec![0; CONFIG],
            initial: Vec::new(),
            msix: 0,
            extended: 0,
            table_at: None,
            table: Vec::new(),
            reserved: 0,
            needs_enable: false,
            hidden: NOBODY,
            leaves_unmasked: false,
            changed: true,
            gone: false,
            physical: None,
        };
        function.allow(COMMAND, 2, 0x0547);
        function
    }

    /// Sets a register as the vendor does.
    pub(crate) fn set(&mut self, register: usize, width: usize, value: u32) {
        let bytes = value.to_le_bytes();
        self.config[register..register + width].copy_from_slice(&bytes[..width]);
    }

    /// Lets software change these bits of a register.
    pub(crate) fn allow(&mut self, register: usize, width: usize, bits: u32) {
        let bytes = bits.to_le_bytes();
        self.writable[register..register + width].copy_from_slice(&bytes[..width]);
    }

    /// Gives the table this many entries, all masked, with bits 31:1 of vector control set so.
    pub(crate) fn make_table(&mut self, entries: usize, reserved: u32) {
        self.table = vec![0; entries * WORDS];
        self.reserved = reserved & !MASKED;
        self.mask_table();
    }

    /// Keeps what reset goes back to.
    pub(crate) fn finish(&mut self) {
        self.initial = self.config.clone();
    }

    fn mask_table(&mut self) {
        self.table.fill(0);
        for entry in self.table.chunks_mut(WORDS) {
            entry[VECTOR_CONTROL] = self.reserved | MASKED;
        }
    }

    /// Reset: everything is as when the world began, but nothing is switched on.
    pub(crate) fn reset(&mut self) {
        self.changed = true;
        self.leaves_unmasked = false;
        self.config = self.initial.clone();
        self.set(COMMAND, 2, 0);
        self.mask_table();
    }

    /// What ran before Xen, or dom0, leaves some entries unmasked, with messages of their own.
    pub(crate) fn leave_unmasked(&mut self) {
        if !self.leaves_unmasked {
            return;
        }
        for (number, entry) in self.table.chunks_mut(WORDS).enumerate().skip(1).step_by(3) {
            entry[0] = 0xfee0_0000;
            entry[2] = number as u32;
            entry[VECTOR_CONTROL] &= !1;
        }
        self.changed = true;
    }

    /// Masks all entries but some. Returns whether any was not masked.
    pub(crate) fn mask_entries(&mut self, but: &[usize]) -> bool {
        let mut any = false;
        for (number, entry) in self.table.chunks_mut(WORDS).enumerate() {
            if entry[VECTOR_CONTROL] & MASKED == 0 && !but.contains(&number) {
                entry[VECTOR_CONTROL] |= MASKED;
                any = true;
            }
        }
        self.changed |= any;
        any
    }

    /// Disables MSI-X by itself.
    pub(crate) fn disable_itself(&mut self) {
        self.set_enabled(false);
    }

    /// Enables it again by itself.
    pub(crate) fn enable_itself(&mut self) {
        self.set_enabled(true);
    }

    fn set_enabled(&mut self, enabled: bool) {
        let control = self.control() & !ENABLE | if enabled { ENABLE } else { 0 };
        if self.msix != 0 {
            self.set(self.msix + CONTROL, 2, control.into());
            self.changed = true;
        }
    }

    /// The register as it stands.
    pub(crate) fn peek(&self, register: usize, width: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(&self.config[register..register + width]);
        u32::from_le_bytes(bytes)
    }

    /// What a read answers.
    pub(crate) fn read(&self, register: usize, width: usize) -> u32 {
        if self.gone {
            NOBODY >> (32 - 8 * width)
        } else {
            self.peek(register, width)
        }
    }

    /// Software writes a register.
    pub(crate) fn write(&mut self, register: usize, width: usize, value: u32) {
        if self.gone {
            return;
        }
        self.changed = true;
        for (at, byte) in value.to_le_bytes().into_iter().take(width).enumerate() {
            let allowed = self.writable[register + at];
            let kept = self.config[register + at] & !allowed;
            self.config[register + at] = kept | byte & allowed;
        }
    }

    /// Changes the bits of a register that software may not.
    pub(crate) fn flip_reserved(&mut self, register: usize) {
        self.changed = true;
        for at in register..register + 4 {
            self.config[at] ^= !self.writable[at];
        }
    }

    /// Where it differs from another, if it does.
    pub(crate) fn difference(&mut self, other: &mut Self) -> Option<String> {
        let changed = [&mut *self, &mut *other].map(|side| std::mem::take(&mut side.changed));
        if changed == [false; 2] {
            return None;
        }
        // What each side does to the bits that are the device's is for `lost_bits` to say.
        if self.reserved == 0 && (&self.config, &self.table) == (&other.config, &other.table) {
            return None;
        }
        let mut registers = (0..CONFIG).step_by(4);
        if let Some(at) = registers.find(|at| self.peek(*at, 4) != other.peek(*at, 4)) {
            let (ours, theirs) = (self.peek(at, 4), other.peek(at, 4));
            return Some(format!("register {at:#x}: {ours:#x} and {theirs:#x}"));
        }
        let words = self.table.iter().zip(&other.table).enumerate();
        let mut words = words.map(|(word, (ours, theirs))| {
            let [ours, theirs] = [*ours, *theirs].map(|value| Self::without_reserved(word, value));
            (word, (ours, theirs))
        });
        let (word, (ours, theirs)) = words.find(|(_, (ours, theirs))| ours != theirs)?;
        let (entry, word) = (word / WORDS, word % WORDS);
        Some(format!(
            "word {word} of entry {entry}: {ours:#x} and {theirs:#x}"
        ))
    }

    /// How many bytes its table has.
    pub(crate) fn table_len(&self) -> u64 {
        4 * self.table.len() as u64
    }

    /// A word of the table.
    pub(crate) fn table_word(&self, word: usize) -> u32 {
        self.table[word]
    }

    /// Xen writes a word of the table. A device that keeps something in bits 31:1 of vector control
    /// has them written, too.
    pub(crate) fn set_table_word(&mut self, word: usize, value: u32) {
        self.table[word] = if self.reserved == 0 {
            Self::without_reserved(word, value)
        } else {
            value
        };
        self.changed = true;
    }

    /// A word of the table without what in it is the device's.
    pub(super) fn without_reserved(word: usize, value: u32) -> u32 {
        if word % WORDS == VECTOR_CONTROL {
            value & MASKED
        } else {
            value
        }
    }

    /// The entry whose vector control has not kept the bits that are the device's, if there is one.
    pub(crate) fn lost_bits(&self) -> Option<usize> {
        let mut controls = self.table.iter().skip(VECTOR_CONTROL).step_by(WORDS);
        controls.position(|control| control & !MASKED != self.reserved)
    }

    /// All of configuration space.
    pub(crate) fn config(&self) -> &[u8] {
        &self.config
    }

    /// Sets all of it.
    pub(crate) fn set_config(&mut self, config: &[u8]) {
        self.config.copy_from_slice(config);
        self.changed = true;
    }

    /// Whether memory is switched on.
    pub(crate) fn decodes(&self) -> bool {
        !self.gone && self.peek(COMMAND, 2) as u16 & MEMORY != 0
    }

    /// Whether the table answers, where memory is decoded.
    pub(crate) fn table_answers(&self) -> bool {
        !self.gone && (!self.needs_enable || self.control() & ENABLE != 0)
    }

    fn control(&self) -> u16 {
        self.peek(self.msix + CONTROL, 2) as u16
    }
}
