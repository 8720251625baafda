//! The functions of PCI of a world, and what Xen has mapped of their memory.

use std::collections::BTreeMap;

use xen_sys as sys;

use super::function::Function;
use super::ranges::Ranges;
use crate::rng::mix;

const PAGE: u64 = 0x1000;
const FIXMAP_TOP: usize = sys::XEN_IRQ_FIXADDR_TOP as usize;
/// Slots of the fixmap below which there is nothing of MSI-X, and above which there is no slot.
const SLOTS: std::ops::Range<usize> = 100..2000;

/// Where an access goes.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// A word of the table of the function with this number.
    Table { function: usize, word: usize },
    /// Memory of no function.
    Nowhere,
}

/// The functions, and Xen's mappings.
#[derive(Default)]
pub(crate) struct Pci {
    pub(crate) functions: Vec<Function>,
    /// Pages behind slots of the fixmap; which there must be for an access, if `active`.
    pub(crate) fixmap: BTreeMap<usize, u64>,
    pub(crate) active: bool,
    /// Pages that dom0 may not write.
    pub(crate) read_only: Ranges,
    /// One read in so many is answered with something else; none when zero.
    pub(crate) lies: usize,
    /// How often memory of a function that is there was read while it was not decoded.
    pub(crate) blind_reads: usize,
    /// What decides lies, and how often each register was read in this step.
    salt: u64,
    reads: BTreeMap<u64, u64>,
}

impl Pci {
    /// Starts a step: lies depend on it, on the register, and on how often that was read meanwhile.
    pub(crate) fn start_step(&mut self, salt: u64) {
        self.salt = salt;
        self.reads.clear();
    }

    /// A function by its address.
    pub(crate) fn function(&mut self, sbdf: u32) -> Option<&mut Function> {
        let mut all = self.functions.iter_mut();
        all.find(|function| function.sbdf == sbdf)
    }

    /// Maps a page, or nothing.
    pub(crate) fn map(&mut self, slot: usize, page: Option<u64>) -> Result<(), String> {
        match page {
            Some(page) => {
                let old = self.fixmap.insert(slot, page);
                old.map_or(Ok(()), |_| Err(format!("slot {slot} is mapped already")))
            }
            None => {
                let old = self.fixmap.remove(&slot);
                old.map(drop)
                    .ok_or_else(|| format!("slot {slot} is not mapped"))
            }
        }
    }

    /// Finds what is at an address; none where the fixmap has nothing of MSI-X.
    pub(crate) fn locate(&self, address: usize) -> Option<Result<Place, String>> {
        let slot = FIXMAP_TOP.checked_sub(address & !(PAGE as usize - 1))? / PAGE as usize;
        if !self.active || !SLOTS.contains(&slot) {
            return None;
        }
        let Some(page) = self.fixmap.get(&slot) else {
            return Some(Err(format!(
                "slot {slot} of the fixmap, which maps nothing,"
            )));
        };
        let physical = page * PAGE + address as u64 % PAGE;
        let found = self.functions.iter().position(|function| {
            function.table_at.is_some_and(|start| {
                let end = start + function.table_len();
                (start..end).contains(&physical)
            })
        });
        let place = found.map_or(Place::Nowhere, |number| {
            let start = self.functions[number].table_at.unwrap_or_default();
            Place::Table {
                function: number,
                word: ((physical - start) / 4) as usize,
            }
        });
        Some(Ok(place))
    }

    /// Whether the table of a function answers.
    fn answers(&self, number: usize) -> bool {
        self.decodes(number) && self.functions[number].table_answers()
    }

    /// Whether a function was pulled, or the physical function that answers for it.
    fn is_gone(&self, number: usize) -> bool {
        let function = &self.functions[number];
        let physical = function.physical;
        function.gone || physical.is_some_and(|physical| self.functions[physical].gone)
    }

    /// Whether the memory of a function is there.
    fn decodes(&self, number: usize) -> bool {
        let function = &self.functions[number];
        let decodes = match function.physical {
            Some(physical) => self.functions[physical].decodes(),
            None => function.decodes(),
        };
        decodes && !function.gone
    }

    /// Reads memory.
    pub(crate) fn read_memory(&mut self, place: Place, width: usize) -> Result<u64, String> {
        if width != 4 {
            return Err(format!("a read of a table {width} bytes wide"));
        }
        let Place::Table { function, word } = place else {
            return Ok(u64::from(u32::MAX));
        };
        if !self.decodes(function) && !self.is_gone(function) {
            self.blind_reads += 1;
        }
        let value = if self.answers(function) {
            self.functions[function].table_word(word)
        } else if self.decodes(function) {
            self.functions[function].hidden
        } else {
            u32::MAX
        };
        let key = 1 << 48 | (function as u64) << 32 | word as u64;
        Ok(u64::from(self.perhaps_lie(key, value)))
    }

    /// What the sides write to a place in the same way: of vector control, the mask bit.
    pub(crate) fn compared(place: Place, value: u64) -> u64 {
        match place {
            Place::Table { word, .. } => Function::without_reserved(word, value as u32).into(),
            Place::Nowhere => value,
        }
    }

    /// Writes memory; whether the device took it.
    pub(crate) fn write_memory(
        &mut self,
        place: Place,
        width: usize,
        value: u64,
    ) -> Result<bool, String> {
        if width != 4 {
            return Err(format!("a write of a table {width} bytes wide"));
        }
        let Place::Table { function, word } = place else {
            return Ok(false);
        };
        if !self.answers(function) {
            return Ok(false);
        }
        self.functions[function].set_table_word(word, value as u32);
        Ok(true)
    }

    /// What a device says in the end, given the truth.
    pub(crate) fn perhaps_lie(&mut self, key: u64, truth: u32) -> u32 {
        if self.lies == 0 {
            return truth;
        }
        let number = self.reads.entry(key).or_default();
        *number += 1;
        let hash = mix(self.salt ^ mix(key) ^ *number);
        if !hash.is_multiple_of(self.lies as u64) {
            return truth;
        }
        let hash = mix(hash);
        match hash % 4 {
            0 => 0,
            1 => !0,
            2 => truth ^ 1 << (hash >> 8 & 31),
            _ => (hash >> 8) as u32,
        }
    }
}
