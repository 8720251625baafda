//! The hardware behind the fixmap and Xen's other mappings, as far as a subject has any.

pub(crate) mod function;
pub(crate) mod io_apic;
pub(crate) mod looked;
pub(crate) mod pci;
pub(crate) mod ranges;
pub(crate) mod table;
pub(crate) mod vtd;
pub(crate) mod watched;

use anyhow::Result;

use self::io_apic::IoApics;
use self::looked::Looked;
use self::pci::{Pci, Place};
use self::vtd::Vtd;
use self::watched::Watched;

/// The devices of one side.
pub(crate) struct Machine {
    pub(crate) io_apics: IoApics,
    pub(crate) pci: Pci,
    pub(crate) vtd: Vtd,
    pub(crate) watched: Option<Watched>,
    pub(crate) looked: Vec<Looked>,
}

impl Machine {
    /// No devices, and room for their memory.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            io_apics: IoApics::new(),
            pci: Pci::default(),
            vtd: Vtd::new()?,
            watched: None,
            looked: Vec::new(),
        })
    }

    /// Takes all devices away.
    pub(crate) fn clear(&mut self) {
        self.io_apics = IoApics::new();
        self.pci = Pci::default();
        self.vtd.clear();
        self.watched = None;
        self.looked.clear();
    }

    /// Reads a register. None where no device is; an error for a register that it does not have.
    pub(crate) fn read(&mut self, address: usize, width: usize) -> Option<Result<u64, String>> {
        if let Some(place) = self.vtd.locate(address) {
            return Some(self.vtd.read(place, width));
        }
        if let Some(place) = self.pci.locate(address) {
            return Some(place.and_then(|place| self.pci.read_memory(place, width)));
        }
        let place = self.io_apics.locate(address)?;
        Some(place.and_then(|place| self.io_apics.read(place, width)))
    }

    /// What of a value that is written to a register is the same on both sides.
    pub(crate) fn compared(&self, address: usize, value: u64) -> u64 {
        match self.pci.locate(address) {
            Some(Ok(place)) => Pci::compared(place, value),
            _ => value,
        }
    }

    /// The number of the function whose table is at an address.
    pub(crate) fn function_at(&self, address: usize) -> Option<usize> {
        match self.pci.locate(address)?.ok()? {
            Place::Table { function, .. } => Some(function),
            Place::Nowhere => None,
        }
    }

    /// Writes a register, likewise; whether the device took it.
    pub(crate) fn write(
        &mut self,
        address: usize,
        width: usize,
        value: u64,
    ) -> Option<Result<bool, String>> {
        if let Some(place) = self.vtd.locate(address) {
            return Some(self.vtd.write(place, width, value).map(|()| true));
        }
        if let Some(place) = self.pci.locate(address) {
            return Some(place.and_then(|place| self.pci.write_memory(place, width, value)));
        }
        let place = self.io_apics.locate(address)?;
        let written = place.and_then(|place| self.io_apics.write(place, width, value));
        Some(written.map(|()| true))
    }
}
