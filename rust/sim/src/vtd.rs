//! An IOMMU of VT-d, as far as it remaps interrupts (VT-d, revision 4.1, sections 5.1, 6.2, 6.5,
//! 9.9 and 9.10).
//!
//! One table serves all requesters; each entry says whose messages it takes.

pub mod descriptor;

#[cfg(test)]
mod tests;

use crate::iommu::memory::Memory;
use crate::iommu::queue::{Behaviour, Queue};
use crate::iommu::watched::Watched;
use crate::iommu::{Fault, Iommu, Message, Outcome, Tally};
use descriptor::Descriptor;
use irq_core::remap::entry::{Apic, Interrupt};
use irq_core::remap::slots::Block;
use irq_hw::vtd::{Posted, RemappableAddress, Remapped};
use std::collections::BTreeMap;

/// Reserved bits of an entry in remapped format: 14:12, 31:24, 127:84.
const REMAPPED_RESERVED: u128 = 0x7000 | 0xff00_0000 | !0 << 84;

/// The same without extended interrupt mode, where the destination is 8 bits: 39:32 and 63:48 in
/// addition.
const XAPIC_RESERVED: u128 = REMAPPED_RESERVED | 0xffff_00ff << 32;

/// Reserved bits of an entry in posted format: 7:2, 13:12, 37:24, 95:84.
const POSTED_RESERVED: u128 = 0xfc | 0x3000 | 0x3fff << 24 | 0xfff << 84;

/// An IOMMU, and what it reads and writes in memory. In caching mode (section 6.1) it keeps absent
/// entries, too.
#[derive(Clone, Debug)]
pub struct Unit<const CACHING: bool> {
    // Configuration.
    apic: Apic,
    // Volatile state.
    table: Watched<u128>,
    cache: BTreeMap<usize, u128>,
    queue: Queue<Block>,
    descriptors: BTreeMap<u64, Descriptor>,
    tally: Tally,
}

impl<const CACHING: bool> Unit<CACHING> {
    /// An IOMMU with an empty table. `coherent` says whether it snoops the processors' caches.
    pub fn new(apic: Apic, coherent: bool, entries: usize, queue: Behaviour) -> Self {
        Self {
            apic,
            table: Watched::new(coherent, entries),
            cache: BTreeMap::new(),
            queue: Queue::new(queue),
            descriptors: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// The posted-interrupt descriptor at a physical address, which is put there if there is none.
    pub fn descriptor(&mut self, address: u64) -> &mut Descriptor {
        self.descriptors.entry(address).or_default()
    }

    /// The table's memory.
    pub fn memory(&mut self) -> &mut Memory<u128> {
        &mut self.table.memory
    }

    fn refuse(&mut self, fault: Fault) -> Outcome {
        self.tally.faults.push(fault);
        Outcome::Blocked(fault)
    }

    /// The interrupt that an entry in remapped format delivers.
    fn interrupt(&self, entry: Remapped) -> Interrupt {
        Interrupt {
            vector: entry.vector(),
            delivery_mode: entry.delivery_mode(),
            logical: entry.logical(),
            level_triggered: entry.level_triggered(),
            destination: match self.apic {
                Apic::X => entry.xapic_destination().into(),
                Apic::X2 => entry.destination(),
            },
        }
    }

    fn reserved(&self, posted: bool) -> u128 {
        match (posted, self.apic) {
            (true, _) => POSTED_RESERVED,
            (false, Apic::X) => XAPIC_RESERVED,
            (false, Apic::X2) => REMAPPED_RESERVED,
        }
    }

    /// What an entry does with a message, in the order of section 5.1.4.
    fn use_entry(&mut self, requester: u16, raw: u128) -> Outcome {
        let remapped = Remapped::new(words(raw));
        let fault = if !remapped.present() {
            Fault::NotPresent
        } else if raw & self.reserved(remapped.posted()) != 0 || remapped.source_validation() == 3 {
            Fault::ReservedInEntry
        } else if !passes(remapped, requester) {
            Fault::WrongSource
        } else if remapped.posted() {
            return self.post(Posted::new(words(raw)));
        } else {
            let interrupt = self.interrupt(remapped);
            self.tally.delivered.push(interrupt);
            return Outcome::Delivered(interrupt);
        };
        if remapped.fault_processing_disabled() {
            return Outcome::Blocked(fault);
        }
        self.refuse(fault)
    }

    fn post(&mut self, entry: Posted) -> Outcome {
        let vector = entry.virtual_vector();
        match self.descriptors.get_mut(&entry.descriptor()) {
            Some(descriptor) => {
                descriptor.post(vector, entry.urgent());
                Outcome::Posted {
                    descriptor: entry.descriptor(),
                    vector,
                }
            }
            None => Outcome::Wild(entry.descriptor()),
        }
    }
}

/// The halves of an entry.
fn words(raw: u128) -> [u64; 2] {
    [raw as u64, (raw >> 64) as u64]
}

/// Whether an entry takes messages of a requester (section 9.9: SVT, SQ, SID).
fn passes(entry: Remapped, requester: u16) -> bool {
    let id = entry.source_id();
    match (entry.source_validation(), entry.source_qualifier()) {
        (0, _) => true,
        (1, 0) => requester == id,
        (1, 1) => requester | 1 << 2 == id | 1 << 2,
        (1, 2) => requester | 3 << 1 == id | 3 << 1,
        (1, 3) => requester | 7 == id | 7,
        (2, _) => {
            let [first, last] = id.to_be_bytes();
            let [bus, _] = requester.to_be_bytes();
            first <= bus && bus <= last
        }
        _ => false,
    }
}

impl<const CACHING: bool> Iommu for Unit<CACHING> {
    type Entry = u128;
    type Table = ();
    /// Index-selective invalidation of the interrupt entry cache: a first entry and a power of two
    /// (section 6.5.2.7).
    type Scope = Block;

    const KEEPS_ABSENT: bool = CACHING;

    fn table(&mut self, (): ()) -> &mut Watched<u128> {
        &mut self.table
    }

    fn queue(&mut self) -> &mut Queue<Block> {
        &mut self.queue
    }

    fn scopes(&self, (): (), block: Block) -> Vec<Block> {
        vec![block]
    }

    fn forget(&mut self, scope: Block) {
        for index in scope.entries() {
            self.cache.remove(&index);
        }
    }

    fn fetch(&mut self, _requester: u16, index: usize) -> Option<u128> {
        if let Some(&kept) = self.cache.get(&index) {
            self.table.watcher.read(index, kept);
            return Some(kept);
        }
        let entry = self.table.fetch(index)?;
        if CACHING || Remapped::new(words(entry)).present() {
            self.cache.insert(index, entry);
        }
        Some(entry)
    }

    fn evict(&mut self, _requester: u16, index: usize) {
        self.cache.remove(&index);
    }

    fn send(&mut self, requester: u16, message: Message) -> Outcome {
        let address = RemappableAddress::new([message.address]);
        if address.prefix() != 0xfee || !address.remappable() {
            return self.refuse(Fault::NotRemappable);
        }
        let mut index = usize::from(address.handle());
        if address.subhandle_valid() {
            // Bits 15:0 are the subhandle, the others are reserved (section 5.1.2.2).
            let Ok(subhandle) = u16::try_from(message.data) else {
                return self.refuse(Fault::ReservedInMessage);
            };
            index += usize::from(subhandle);
        }
        match self.fetch(requester, index) {
            Some(entry) => self.use_entry(requester, entry),
            None => self.refuse(Fault::BeyondTable),
        }
    }

    fn watch(&mut self) {
        self.table.watch();
        for (&index, &kept) in &self.cache {
            self.table.watcher.read(index, kept);
        }
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}
