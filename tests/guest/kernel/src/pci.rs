//! PCI configuration space by the ports 0xCF8 and 0xCFC, and the two message-interrupt
//! capabilities.

use crate::port;

/// A function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its bus; 0 is where every machine of ours has most of its devices.
    pub bus: u8,
    /// Device number shifted by three, or function number.
    pub devfn: u8,
}

/// The machine's ISA bridge, which has its power management.
pub const ISA_BRIDGE: Function = Function::new(0xf8);

/// `COMMAND`: memory decoding on.
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// `COMMAND`: may send memory writes, message interrupts included.
pub const COMMAND_MASTER: u16 = 1 << 2;
/// `COMMAND`: keeps the INTx line quiet.
pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;

/// Capability identifiers.
pub const CAPABILITY_POWER: u8 = 0x01;
/// See [`CAPABILITY_POWER`].
pub const CAPABILITY_MSI: u8 = 0x05;
/// See [`CAPABILITY_POWER`].
pub const CAPABILITY_VENDOR: u8 = 0x09;
/// See [`CAPABILITY_POWER`].
pub const CAPABILITY_MSIX: u8 = 0x11;

/// MSI control: enable.
pub const MSI_ENABLE: u16 = 1;
/// MSI-X control: mask the whole function.
pub const MSIX_MASK_ALL: u16 = 1 << 14;
/// MSI-X control: enable.
pub const MSIX_ENABLE: u16 = 1 << 15;

impl Function {
    /// A function of bus 0.
    pub const fn new(devfn: u8) -> Self {
        Self { bus: 0, devfn }
    }

    fn select(self, register: u8) -> u16 {
        let function = u32::from(self.bus) << 8 | u32::from(self.devfn);
        let address = 1 << 31 | function << 8 | u32::from(register & 0xfc);
        // SAFETY: selecting a configuration register changes no device.
        unsafe { port::out32(0xcf8, address) };
        0xcfc
    }

    /// Reads a doubleword.
    pub fn read32(self, register: u8) -> u32 {
        let data = self.select(register);
        // SAFETY: reading configuration space has no side effect.
        unsafe { port::in32(data) }
    }

    /// Reads a word.
    pub fn read16(self, register: u8) -> u16 {
        let data = self.select(register);
        // SAFETY: reading configuration space has no side effect.
        unsafe { port::in16(data + u16::from(register & 2)) }
    }

    /// Writes a doubleword.
    pub fn write32(self, register: u8, value: u32) {
        let data = self.select(register);
        // SAFETY: the test kernels configure devices they own and let none of them write to memory
        // unasked.
        unsafe { port::out32(data, value) };
    }

    /// Writes a word.
    pub fn write16(self, register: u8, value: u16) {
        let data = self.select(register);
        // SAFETY: as in `write32`.
        unsafe { port::out16(data + u16::from(register & 2), value) };
    }

    /// Vendor in the low half, device in the high half.
    pub fn id(self) -> u32 {
        self.read32(0)
    }

    /// Whether this is an IOMMU: base class 08, subclass 06.
    pub fn is_iommu(self) -> bool {
        self.read32(8) >> 16 == 0x0806
    }

    /// Changes the command register: clears `clear`, then sets `set`.
    pub fn command(self, clear: u16, set: u16) {
        self.write16(4, self.read16(4) & !clear | set);
    }

    /// The address that a memory base address register decodes.
    pub fn bar(self, index: u8) -> u64 {
        let register = 0x10 + index * 4;
        let low = self.read32(register);
        let high = if low & 6 == 4 {
            self.read32(register + 4)
        } else {
            0
        };
        u64::from(low & !0xf) | u64::from(high) << 32
    }

    /// Wakes the function: a driver that let it go may have left it in a state in which it decodes
    /// nothing.
    pub fn power_up(self) {
        if let Some(position) = self.capability(CAPABILITY_POWER) {
            let register = position + 4;
            self.write16(register, self.read16(register) & !3);
        }
    }

    /// Moves the memory regions that lie above 4 GiB below, by clearing the upper half of their
    /// address.
    ///
    /// For HVM guests: their firmware assigns the lower half only, and leaves in the upper one what
    /// the host has there.
    pub fn lower_regions(self) {
        let mut register = 0x10;
        while register < 0x28 {
            if self.read32(register) & 7 == 4 {
                self.write32(register + 4, 0);
                register += 4;
            }
            register += 4;
        }
    }

    /// The position of a capability, the first of its kind.
    pub fn capability(self, id: u8) -> Option<u8> {
        self.capabilities(id).next()
    }

    /// The positions of all capabilities of a kind.
    pub fn capabilities(self, id: u8) -> impl Iterator<Item = u8> {
        let pointer =
            move |register| Some(self.read16(register) as u8 & 0xfc).filter(|&at| at != 0);
        let first = (self.read16(6) & 0x10 != 0)
            .then(|| pointer(0x34))
            .flatten();
        core::iter::successors(first, move |&at| {
            Some((self.read16(at) >> 8) as u8 & 0xfc).filter(|&next| next != 0)
        })
        .filter(move |&at| self.read16(at) as u8 == id)
    }
}

/// Every function on bus 0.
pub fn functions() -> impl Iterator<Item = Function> {
    functions_of(0)
}

/// Every function on the bus behind a bridge.
pub fn functions_behind(bridge: Function) -> impl Iterator<Item = Function> {
    const SECONDARY: u8 = 0x18;
    functions_of((bridge.read32(SECONDARY) >> 8) as u8)
}

fn functions_of(bus: u8) -> impl Iterator<Item = Function> {
    (0..=255)
        .map(move |devfn| Function { bus, devfn })
        .filter(|function| {
            // A device with one function may answer for all eight: ask those only where function 0
            // says there are more.
            let first = Function {
                devfn: function.devfn & !7,
                ..*function
            };
            let multi = first.id() != !0 && first.read32(0x0c) & 1 << 23 != 0;
            (function.devfn & 7 == 0 || multi) && function.id() != !0
        })
}

/// The first function with this vendor (low half) and device (high half).
pub fn find(id: u32) -> Option<Function> {
    functions().find(|function| function.id() == id)
}

/// Where a function's MSI-X structures are.
#[derive(Clone, Copy)]
pub struct Msix {
    /// The function.
    pub function: Function,
    /// Position of the capability.
    pub position: u8,
    /// Entries of the table.
    pub entries: usize,
    /// Start of the memory region that holds the table.
    pub region: u64,
    /// Address of the table.
    pub table: u64,
    /// Address of the pending-bit array.
    pub pending: u64,
}

impl Msix {
    /// Reads the capability.
    pub fn of(function: Function) -> Option<Self> {
        let position = function.capability(CAPABILITY_MSIX)?;
        let place = |register| {
            let value = function.read32(register);
            function.bar(value as u8 & 7) + u64::from(value & !7)
        };
        Some(Self {
            function,
            position,
            entries: usize::from(function.read16(position + 2) & 0x7ff) + 1,
            region: function.bar(function.read32(position + 4) as u8 & 7),
            table: place(position + 4),
            pending: place(position + 8),
        })
    }

    /// The control word.
    pub fn control(self) -> u16 {
        self.function.read16(self.position + 2)
    }

    /// Sets the enable and mask-all bits as given, the rest is read-only.
    pub fn set_control(self, bits: u16) {
        self.function.write16(self.position + 2, bits);
    }
}

/// A function's MSI capability.
#[derive(Clone, Copy)]
pub struct Msi {
    /// The function.
    pub function: Function,
    /// Position of the capability.
    pub position: u8,
    /// The control word as found.
    control: u16,
}

impl Msi {
    /// Reads the capability.
    pub fn of(function: Function) -> Option<Self> {
        let position = function.capability(CAPABILITY_MSI)?;
        Some(Self {
            function,
            position,
            control: function.read16(position + 2),
        })
    }

    /// Whether the address has 64 bits.
    pub fn is_64bit(self) -> bool {
        self.control & 1 << 7 != 0
    }

    /// Whether each vector has a mask bit.
    pub fn is_maskable(self) -> bool {
        self.control & 1 << 8 != 0
    }

    /// Vectors that the function can send.
    pub fn vectors(self) -> u32 {
        1 << (self.control >> 1 & 7)
    }

    /// The control word.
    pub fn control(self) -> u16 {
        self.function.read16(self.position + 2)
    }

    /// Switches the capability on or off, with `1 << log_vectors` vectors.
    pub fn set_control(self, enable: bool, log_vectors: u16) {
        self.function
            .write16(self.position + 2, log_vectors << 4 | u16::from(enable));
    }

    /// Writes the message address, the high half first if there is one.
    pub fn set_address(self, address: u64) {
        if self.is_64bit() {
            self.function
                .write32(self.position + 8, (address >> 32) as u32);
        }
        self.function.write32(self.position + 4, address as u32);
    }

    /// The low half of the message address.
    pub fn address(self) -> u32 {
        self.function.read32(self.position + 4)
    }

    fn data_register(self) -> u8 {
        self.position + if self.is_64bit() { 12 } else { 8 }
    }

    /// Writes the message data.
    pub fn set_data(self, data: u16) {
        self.function.write16(self.data_register(), data);
    }

    /// The message data.
    pub fn data(self) -> u16 {
        self.function.read16(self.data_register())
    }

    /// Writes the mask bits.
    pub fn set_mask(self, mask: u32) {
        self.function.write32(self.data_register() + 4, mask);
    }

    /// The mask bits.
    pub fn mask(self) -> u32 {
        self.function.read32(self.data_register() + 4)
    }
}
