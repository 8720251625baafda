//! A device with MSI-X that an HVM guest drives: its table, and what a driver does with an entry.

use crate::interrupts::FIRST_VECTOR;
use crate::mmio::Window;
use crate::pci::{self, Function, MSIX_ENABLE, Msix};

/// Bytes of an entry.
pub const ENTRY: usize = 16;
/// Place of the message address, low half.
pub const LOW: usize = 0;
/// Place of the message address, high half.
pub const HIGH: usize = 4;
/// Place of the message data.
pub const DATA: usize = 8;
/// Place of the vector control.
pub const CONTROL: usize = 12;

/// Vector control: masked.
pub const MASKED: u32 = 1;

/// The device.
pub struct Device {
    /// Its capability.
    pub msix: Msix,
    /// Its table.
    pub table: Window,
    /// Its pending bits.
    pub pending: Window,
}

impl Device {
    /// Wakes the device, and lets it decode its memory regions and send messages. MSI-X stays off.
    pub fn open(function: Function) -> Option<Self> {
        Msix::of(function)?;
        let on = pci::COMMAND_MEMORY | pci::COMMAND_MASTER | pci::COMMAND_INTX_DISABLE;
        function.power_up();
        function.command(pci::COMMAND_MEMORY, 0);
        function.lower_regions();
        function.command(0, on);
        let msix = Msix::of(function)?;
        // SAFETY: memory regions of a device, which `long_mode` maps one to one.
        let (table, pending) = unsafe {
            (
                Window::new(msix.table as usize),
                Window::new(msix.pending as usize),
            )
        };
        Some(Self {
            msix,
            table,
            pending,
        })
    }

    /// Switches MSI-X on, no function mask.
    pub fn enable(&self) {
        self.msix.set_control(MSIX_ENABLE);
    }

    /// Masks all entries and switches MSI-X off.
    pub fn close(&self) {
        for number in 0..self.msix.entries {
            self.entry(number).write32(CONTROL, MASKED);
        }
        self.msix.set_control(0);
    }

    /// The registers of an entry.
    pub fn entry(&self, number: usize) -> Window {
        self.table.at(number * ENTRY)
    }

    /// The message of an entry, to the first processor: its address, by turns physical and logical,
    /// and its data.
    pub fn message(number: usize) -> (u64, u32) {
        // The processor's physical address is 0. The logical one is 1, and bit 2 says that it is
        // logical.
        let target = if number.is_multiple_of(2) {
            0
        } else {
            1 << 12 | 1 << 2
        };
        (0xfee0_0000 | target, u32::from(vector(number)))
    }

    /// Writes an entry's message as a driver does, by doublewords. The mask is left alone.
    pub fn program(&self, number: usize) {
        let (address, data) = Self::message(number);
        let entry = self.entry(number);
        entry.write32(LOW, address as u32);
        entry.write32(HIGH, (address >> 32) as u32);
        entry.write32(DATA, data);
    }

    /// Masks an entry, writes its message and unmasks it, as a driver does to move an interrupt.
    pub fn reprogram(&self, number: usize) {
        self.entry(number).write32(CONTROL, MASKED);
        self.program(number);
        self.entry(number).write32(CONTROL, 0);
    }
}

/// The vector that an entry's message names.
pub fn vector(number: usize) -> u8 {
    FIRST_VECTOR + (number % 64) as u8
}
