//! The emulated devices that the tests drive, each reduced to "send an interrupt now".

use crate::mmio::Window;
use crate::pci::Function;

/// QEMU's `edu`: one MSI or one INTx line, raised by a register write.
#[derive(Clone, Copy)]
pub struct Edu(Window);

impl Edu {
    /// Vendor (low half) and device.
    pub const ID: u32 = 0x11e8_1234;

    /// Takes the device whose first memory region is mapped at the window.
    pub const fn new(registers: Window) -> Self {
        Self(registers)
    }

    /// The identification register, to see that the mapping is right.
    pub fn identify(self) -> u32 {
        self.0.read32(0)
    }

    /// Raises the interrupt.
    pub fn raise(self) {
        self.0.write32(0x60, 1);
    }

    /// Lowers the interrupt.
    pub fn acknowledge(self) {
        self.0.write32(0x64, 1);
    }

    /// Raises and lowers it, which sends one message.
    pub fn pulse(self) {
        self.raise();
        self.acknowledge();
    }
}

/// Intel 82574 (`e1000e`): five MSI-X vectors, each with a cause that a register write can set.
#[derive(Clone, Copy)]
pub struct E1000e(Window);

impl E1000e {
    /// Vendor (low half) and device.
    pub const ID: u32 = 0x10d3_8086;

    const CAUSE: usize = 0xc0;
    const CAUSE_SET: usize = 0xc8;
    const MASK_SET: usize = 0xd0;
    const MASK_CLEAR: usize = 0xd8;
    const AUTO_CLEAR: usize = 0xdc;
    const VECTORS: usize = 0xe4;

    /// The lowest of the five causes (two receive queues, two transmit queues, others), one bit each.
    const FIRST_CAUSE: u32 = 20;

    /// Takes the device whose first memory region is mapped at the window.
    pub const fn new(registers: Window) -> Self {
        Self(registers)
    }

    /// The device behind a function, if it is one. For kernels that [`crate::long_mode`] starts: it maps the registers one
    /// to one.
    pub fn of(function: Function) -> Option<Self> {
        // SAFETY: a memory region of the device, mapped there.
        let registers = || unsafe { Window::new(function.bar(0) as usize) };
        (function.id() == Self::ID).then(|| Self::new(registers()))
    }

    /// Gives each cause the MSI-X vector of its number. Sending a message clears its cause, or the device would send it
    /// again and again, as often as its throttling lets it.
    pub fn route(self) {
        let vectors = (0..5).fold(0, |word, vector| word | (8 | vector) << (vector * 4));
        self.0.write32(Self::VECTORS, vectors);
        self.0.write32(Self::AUTO_CLEAR, 0x1f << Self::FIRST_CAUSE);
    }

    /// Sends the interrupt of a vector, 0 to 4. The emulated device throttles: a message within 128 microseconds of the
    /// last one waits for that time to pass, and when it has, one more is sent even if there was none to wait.
    pub fn raise(self, vector: u32) {
        let cause = 1 << (Self::FIRST_CAUSE + vector);
        self.quiet();
        self.0.write32(Self::CAUSE_SET, cause);
        self.0.write32(Self::MASK_SET, cause);
    }

    /// Forgets all causes.
    pub fn quiet(self) {
        self.0.write32(Self::MASK_CLEAR, !0);
        self.0.write32(Self::CAUSE, !0);
    }
}

/// NEC's USB controller (`nec-usb-xhci`): sixteen interrupters, each with a message of its own. It is never started, so
/// it neither looks at its ports nor writes to memory.
#[derive(Clone, Copy)]
pub struct Xhci {
    registers: Window,
    runtime: Window,
    /// The machine address of the segment table.
    table: u64,
}

/// What an interrupter reads: its segment table, here with one entry, and the ring that this names. Never in two pages.
#[repr(C, align(512))]
pub struct EventRing {
    /// The machine address of the events.
    address: u64,
    /// How many there are, at least 16.
    length: u64,
    gap: [u64; 6],
    events: [[u64; 2]; 16],
}

impl EventRing {
    /// A ring that is not known to a device yet.
    pub const fn new() -> Self {
        Self {
            address: 0,
            length: 16,
            gap: [0; 6],
            events: [[0; 2]; 16],
        }
    }

    /// How far the events are from the ring's start.
    const EVENTS: u64 = core::mem::offset_of!(Self, events) as u64;
}

impl Default for EventRing {
    fn default() -> Self {
        Self::new()
    }
}

impl Xhci {
    /// Vendor (low half) and device.
    pub const ID: u32 = 0x0194_1033;
    /// How many interrupters it has.
    pub const INTERRUPTERS: usize = 16;

    /// Where the interrupters' registers are in its memory region.
    pub const RUNTIME: u64 = 0x1000;

    const COMMAND: usize = 0x40;
    const COMMAND_INTERRUPTS: u32 = 1 << 2;

    const MANAGEMENT: usize = 0;
    const SEGMENTS: usize = 0x08;
    const TABLE: usize = 0x10;
    const DEQUEUE: usize = 0x18;
    /// In the dequeue pointer: the last interrupt is being handled, until 1 is written.
    const BUSY: u32 = 1 << 3;

    /// Takes the device whose first page of registers and whose page at [`Self::RUNTIME`] are mapped at the windows, and makes
    /// one ring ready for all interrupters, at a machine address.
    pub fn new(registers: Window, runtime: Window, ring: &mut EventRing, address: u64) -> Self {
        ring.address = address + EventRing::EVENTS;
        Self {
            registers,
            runtime,
            table: address,
        }
    }

    /// Sets its registers, which it loses when it sleeps. Its messages are enabled before: the emulated device sends none of
    /// MSI-X through an interrupter that was there first.
    pub fn set_up(self) {
        self.registers
            .write32(Self::COMMAND, Self::COMMAND_INTERRUPTS);
        for number in 0..Self::INTERRUPTERS {
            let interrupter = self.interrupter(number);
            interrupter.write32(Self::SEGMENTS, 1);
            interrupter.write32(Self::TABLE, self.table as u32);
            interrupter.write32(Self::TABLE + 4, (self.table >> 32) as u32);
            interrupter.write32(Self::DEQUEUE + 4, (self.ring() >> 32) as u32);
            interrupter.write32(Self::MANAGEMENT, 1 << 1);
        }
    }

    fn ring(self) -> u64 {
        self.table + EventRing::EVENTS
    }

    fn interrupter(self, number: usize) -> Window {
        self.runtime.at(0x20 + number * 0x20)
    }

    /// Sends the message of an interrupter: a dequeue pointer that is not where the controller will write next says that
    /// events wait, of which the controller then tells (xHCI, 4.17.2).
    pub fn raise(self, number: usize) {
        let second = self.ring() as u32 + 16;
        self.interrupter(number)
            .write32(Self::DEQUEUE, second | Self::BUSY);
    }
}
