//! The machine's IO-APIC, of a kernel that runs without a hypervisor.

use crate::mmio::Window;

const BASE: usize = 0xfec0_0000;
const SELECT: usize = 0;
const DATA: usize = 0x10;

const VERSION: u32 = 1;
const FIRST_PIN: u32 = 0x10;

/// A pin's mask bit.
pub const MASKED: u64 = 1 << 16;

/// The IO-APIC.
#[derive(Clone, Copy)]
pub struct IoApic(Window);

impl IoApic {
    /// The registers, which [`crate::long_mode`] maps one to one.
    pub const fn new() -> Self {
        // SAFETY: the machines that we emulate have the IO-APIC's registers there, and nothing
        // else.
        Self(unsafe { Window::new(BASE) })
    }

    fn read(self, register: u32) -> u32 {
        self.0.write32(SELECT, register);
        self.0.read32(DATA)
    }

    /// The entries of all pins.
    pub fn pins(self) -> impl Iterator<Item = u64> {
        let last = self.read(VERSION) >> 16 & 0xff;
        (0..=last).map(move |pin| {
            let register = FIRST_PIN + pin * 2;
            u64::from(self.read(register + 1)) << 32 | u64::from(self.read(register))
        })
    }
}

impl Default for IoApic {
    fn default() -> Self {
        Self::new()
    }
}
