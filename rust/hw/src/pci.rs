//! Configuration space: what MSI and MSI-X need of it (PCI Local Bus Specification 3.0, sections
//! 6.1, 6.2.5 and 6.8; PCIe
//! 6.0, sections 7.5.1, 7.7.1 and 7.7.2).

/// The command register.
pub const COMMAND: u16 = 0x04;
/// Bit 1 of the command register: the function answers to accesses to its memory.
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// The header type register; bits 6:0 say which layout the header has.
pub const HEADER_TYPE: u16 = 0x0e;
/// The first base address register.
pub const BASE_ADDRESS_0: u16 = 0x10;

/// Returns how many base address registers a header of a type has; `None` for a type that is
/// unknown.
pub const fn base_addresses(header_type: u8) -> Option<u8> {
    match header_type & 0x7f {
        0 => Some(6),
        1 => Some(2),
        2 => Some(1),
        _ => None,
    }
}

/// A base address register, or the lower half of one of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseAddress(u32);

impl BaseAddress {
    /// Takes a register as it stands in configuration space.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// Bit 0: the addresses are I/O ports.
    pub const fn is_io(self) -> bool {
        self.0 & 1 != 0
    }

    /// Bits 2:1 of a memory register: the next register holds the upper half of the address.
    pub const fn is_64_bit(self) -> bool {
        self.0 & 6 == 4
    }

    /// Bits 31:4 of a memory register: the address, or its lower half.
    pub const fn address(self) -> u32 {
        self.0 & !0xf
    }
}

/// Message control of the MSI capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiControl(u16);

impl MsiControl {
    /// Takes the register as it stands in configuration space.
    pub const fn new(raw: u16) -> Self {
        Self(raw)
    }

    /// The register itself.
    pub const fn raw(self) -> u16 {
        self.0
    }

    /// Whether the function did not answer: bits 15:11 are reserved, and 0 where it does.
    pub const fn is_no_answer(self) -> bool {
        self.0 == u16::MAX
    }

    /// Returns the register with another bit 0: MSI is enabled.
    #[must_use]
    pub const fn with_enabled(self, enabled: bool) -> Self {
        Self(self.0 & !1 | enabled as u16)
    }

    /// Returns the register with other bits 6:4: messages that are enabled, a power of two; the
    /// largest one that is not above `messages` is taken, and 1 for none.
    #[must_use]
    pub const fn with_messages(self, messages: u32) -> Self {
        let log = match messages.checked_ilog2() {
            Some(log) if log < 7 => log as u16,
            Some(_) => 7,
            None => 0,
        };
        Self(self.0 & !0x70 | log << 4)
    }

    /// Bit 7: the address has 64 bits.
    pub const fn is_64_bit(self) -> bool {
        self.0 & 1 << 7 != 0
    }

    /// Bit 8: each message has a mask bit and a pending bit.
    pub const fn is_maskable(self) -> bool {
        self.0 & 1 << 8 != 0
    }
}

/// The registers of an MSI capability, by its place in configuration space and the width of its
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiRegisters {
    position: u16,
    is_64_bit: bool,
}

impl MsiRegisters {
    /// The registers of a capability.
    pub const fn new(position: u16, is_64_bit: bool) -> Self {
        Self {
            position,
            is_64_bit,
        }
    }

    /// Where the capability is.
    pub const fn position(self) -> u16 {
        self.position
    }

    /// Message control, 16 bits.
    pub const fn control(self) -> u16 {
        self.position + 2
    }

    /// Address, or its lower half, 32 bits.
    pub const fn address(self) -> u16 {
        self.position + 4
    }

    /// Upper half of the address, 32 bits; where it has one.
    pub const fn upper_address(self) -> Option<u16> {
        if self.is_64_bit {
            Some(self.position + 8)
        } else {
            None
        }
    }

    /// Data, 16 bits.
    pub const fn data(self) -> u16 {
        self.position + if self.is_64_bit { 12 } else { 8 }
    }

    /// Mask bits, 32 bits; where messages are maskable.
    pub const fn mask(self) -> u16 {
        self.position + if self.is_64_bit { 16 } else { 12 }
    }
}

/// Message control of the MSI-X capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixControl(u16);

impl MsixControl {
    /// Takes the register as it stands in configuration space.
    pub const fn new(raw: u16) -> Self {
        Self(raw)
    }

    /// The register itself.
    pub const fn raw(self) -> u16 {
        self.0
    }

    /// Bit 15: MSI-X is enabled.
    pub const fn enabled(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    /// Returns the register with another bit 15.
    #[must_use]
    pub const fn with_enabled(self, enabled: bool) -> Self {
        Self(self.0 & !(1 << 15) | (enabled as u16) << 15)
    }

    /// Bit 14: all messages are masked, whatever their entries say.
    pub const fn masks_all(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    /// Returns the register with another bit 14.
    #[must_use]
    pub const fn with_mask_all(self, mask: bool) -> Self {
        Self(self.0 & !(1 << 14) | (mask as u16) << 14)
    }
}

/// The registers of an MSI-X capability, by its place in configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixRegisters(u16);

impl MsixRegisters {
    /// The registers of a capability.
    pub const fn new(position: u16) -> Self {
        Self(position)
    }

    /// Message control, 16 bits.
    pub const fn control(self) -> u16 {
        self.0 + 2
    }

    /// Where the table is, 32 bits: [`Location`].
    pub const fn table(self) -> u16 {
        self.0 + 4
    }

    /// Where the pending bits are, 32 bits: [`Location`].
    pub const fn pending(self) -> u16 {
        self.0 + 8
    }

    /// Returns whether a register lies in the capability.
    pub const fn holds(self, register: u32) -> bool {
        register.wrapping_sub(self.0 as u32) < 12
    }
}

/// Where an MSI-X table, or its pending bits, are in a function's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location(u32);

impl Location {
    /// Takes the register as it stands in configuration space.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// Whether the function did not answer: all ones name base address 7, which there is not.
    pub const fn is_no_answer(self) -> bool {
        self.0 == u32::MAX
    }

    /// Bits 2:0: number of the base address register.
    pub const fn base_address(self) -> u8 {
        self.0 as u8 & 7
    }

    /// Bits 31:3: distance from the base address, in bytes.
    pub const fn offset(self) -> u32 {
        self.0 & !7
    }
}

/// Registers of the SR-IOV capability, from its place in extended configuration space (PCIe 6.0,
/// section 9.3.3).
pub mod sriov {
    /// Control, 16 bits.
    pub const CONTROL: u16 = 0x08;
    /// Bit 0 of control: virtual functions are enabled.
    pub const CONTROL_ENABLE: u16 = 1 << 0;
    /// Bit 3 of control: virtual functions answer to accesses to their memory.
    pub const CONTROL_MEMORY: u16 = 1 << 3;
    /// How many virtual functions there are, 16 bits.
    pub const NUMBER: u16 = 0x10;
    /// How far the first is from the physical function, 16 bits.
    pub const FIRST_OFFSET: u16 = 0x14;
    /// How far they are apart, 16 bits.
    pub const STRIDE: u16 = 0x16;
    /// The first of their base address registers, 32 bits each.
    pub const BASE_ADDRESS_0: u16 = 0x24;
    /// How many base address registers they have.
    pub const BASE_ADDRESSES: u8 = 6;
}

#[cfg(test)]
mod tests;
