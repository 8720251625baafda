//! The emulated devices that the tests drive, each reduced to "send an interrupt now".

use core::sync::atomic::{AtomicU16, Ordering};

use crate::mmio::Window;
use crate::pci::{CAPABILITY_VENDOR, Function};

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

    /// The lowest of the five causes (two receive queues, two transmit queues, others), one bit
    /// each.
    const FIRST_CAUSE: u32 = 20;

    /// Takes the device whose first memory region is mapped at the window.
    pub const fn new(registers: Window) -> Self {
        Self(registers)
    }

    /// The device behind a function, if it is one. For kernels that [`crate::long_mode`] starts: it
    /// maps the registers one to one.
    pub fn of(function: Function) -> Option<Self> {
        // SAFETY: a memory region of the device, mapped there.
        let registers = || unsafe { Window::new(function.bar(0) as usize) };
        (function.id() == Self::ID).then(|| Self::new(registers()))
    }

    /// Gives each cause the MSI-X vector of its number. Sending a message clears its cause, or the
    /// device would send it again and again, as often as its throttling lets it.
    pub fn route(self) {
        let vectors = (0..5).fold(0, |word, vector| word | (8 | vector) << (vector * 4));
        self.0.write32(Self::VECTORS, vectors);
        self.0.write32(Self::AUTO_CLEAR, 0x1f << Self::FIRST_CAUSE);
    }

    /// Sends the interrupt of a vector, 0 to 4. The emulated device throttles: a message within 128
    /// microseconds of the last one waits for that time to pass, and when it has, one more is sent
    /// even if there was none to wait.
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

/// NEC's USB controller (`nec-usb-xhci`): sixteen interrupters, each with a message of its own. It
/// is never started, so it neither looks at its ports nor writes to memory.
#[derive(Clone, Copy)]
pub struct Xhci {
    registers: Window,
    runtime: Window,
    /// The machine address of the segment table.
    table: u64,
}

/// What an interrupter reads: its segment table, here with one entry, and the ring that this names.
/// Never in two pages.
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

    /// Takes the device whose first page of registers and whose page at [`Self::RUNTIME`] are
    /// mapped at the windows, and makes one ring ready for all interrupters, at a machine address.
    pub fn new(registers: Window, runtime: Window, ring: &mut EventRing, address: u64) -> Self {
        ring.address = address + EventRing::EVENTS;
        Self {
            registers,
            runtime,
            table: address,
        }
    }

    /// Sets its registers, which it loses when it sleeps. Its messages are enabled before: the
    /// emulated device sends none of MSI-X through an interrupter that was there first.
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

    /// Sends the message of an interrupter: a dequeue pointer that is not where the controller will
    /// write next says that events wait, of which the controller then tells (xHCI, 4.17.2).
    pub fn raise(self, number: usize) {
        let second = self.ring() as u32 + 16;
        self.interrupter(number)
            .write32(Self::DEQUEUE, second | Self::BUSY);
    }
}

/// A virtio NIC (`virtio-net-pci`, virtio 1.2 without the interface of old): its transmit queue
/// sends the message of any vector. It has no link to send on, and reads frames all the same.
#[derive(Clone, Copy)]
pub struct VirtioNet {
    common: Window,
    notify: Window,
    ring: &'static TransmitRing,
}

/// How many descriptors the queue has.
const DESCRIPTORS: usize = 4;

/// What the device reads: the queue, and the one frame that is sent again and again. Never in two
/// pages.
#[repr(C, align(512))]
pub struct TransmitRing {
    /// The address, the length, and flags (none) of the frame; the others are not used.
    descriptors: [(u64, u64); DESCRIPTORS],
    /// Flags, how many were made available, and which: always the first descriptor.
    available: [AtomicU16; 3 + DESCRIPTORS],
    gap: u16,
    /// What the device writes: flags, how many it used, and which.
    used: [AtomicU16; 4 + 4 * DESCRIPTORS],
    frame: [u8; Self::FRAME],
}

impl TransmitRing {
    /// The header of virtio, and the shortest frame.
    const FRAME: usize = 12 + 60;

    /// A ring that is not known to a device yet.
    pub const fn new() -> Self {
        Self {
            descriptors: [(0, 0); DESCRIPTORS],
            available: [const { AtomicU16::new(0) }; 3 + DESCRIPTORS],
            gap: 0,
            used: [const { AtomicU16::new(0) }; 4 + 4 * DESCRIPTORS],
            frame: [0; Self::FRAME],
        }
    }
}

impl Default for TransmitRing {
    fn default() -> Self {
        Self::new()
    }
}

impl VirtioNet {
    /// Vendor (low half) and device.
    pub const ID: u32 = 0x1041_1af4;

    /// The kinds of structures that capabilities tell of (virtio, 4.1.4).
    const COMMON: u8 = 1;
    const NOTIFY: u8 = 2;

    const FEATURE_SELECT: usize = 8;
    const FEATURE: usize = 12;
    const STATUS: usize = 20;
    const QUEUE_SELECT: usize = 22;
    const QUEUE_SIZE: usize = 24;
    const QUEUE_VECTOR: usize = 26;
    const QUEUE_ENABLE: usize = 28;
    const QUEUE_NOTIFY: usize = 30;
    const QUEUE_PARTS: usize = 32;

    /// The second word of features: version 1, and addresses that an IOMMU translates.
    const FEATURES: u32 = 1 << 0 | 1 << 1;
    /// The steps of a driver: it found the device, knows it, has the features set, and drives it.
    const STEPS: [u8; 4] = [1, 3, 0xb, 0xf];
    const TRANSMIT: u16 = 1;

    /// Starts a device with its transmit queue. For kernels that [`crate::long_mode`] starts: it
    /// maps the registers and the ring one to one.
    pub fn start(function: Function, ring: &'static mut TransmitRing) -> Self {
        ring.descriptors[0] = (&raw const ring.frame as u64, TransmitRing::FRAME as u64);
        let ring: &'static TransmitRing = ring;
        let [(common, _), (registers, multiplier)] = [Self::COMMON, Self::NOTIFY].map(|kind| {
            let mut all = function.capabilities(CAPABILITY_VENDOR);
            let at = all
                .find(|at| function.read32(*at) >> 24 == u32::from(kind))
                .expect("a structure is missing");
            let region = function.bar(function.read32(at + 4) as u8);
            let place = region + u64::from(function.read32(at + 8));
            // SAFETY: a memory region of the device, mapped one to one.
            let registers = unsafe { Window::new(place as usize) };
            (registers, function.read32(at + 16) as usize)
        });
        common.write8(Self::STATUS, 0);
        let [found, known, agreed, driven] = Self::STEPS;
        common.write8(Self::STATUS, found);
        common.write8(Self::STATUS, known);
        for (word, features) in [0, Self::FEATURES].into_iter().enumerate() {
            common.write32(Self::FEATURE_SELECT, word as u32);
            common.write32(Self::FEATURE, features);
        }
        common.write8(Self::STATUS, agreed);
        common.write16(Self::QUEUE_SELECT, Self::TRANSMIT);
        common.write16(Self::QUEUE_SIZE, DESCRIPTORS as u16);
        let parts = [
            &raw const ring.descriptors as u64,
            &raw const ring.available as u64,
            &raw const ring.used as u64,
        ];
        for (number, address) in parts.into_iter().enumerate() {
            let part = common.at(Self::QUEUE_PARTS + 8 * number);
            part.write32(0, address as u32);
            part.write32(4, (address >> 32) as u32);
        }
        let queue = usize::from(common.read16(Self::QUEUE_NOTIFY));
        common.write16(Self::QUEUE_ENABLE, 1);
        common.write8(Self::STATUS, driven);
        Self {
            common,
            notify: registers.at(queue * multiplier),
            ring,
        }
    }

    /// Sends the message of a vector: that of the queue, in which the frame is sent once more.
    pub fn raise(self, vector: usize) {
        self.common.write16(Self::QUEUE_VECTOR, vector as u16);
        self.ring.available[1].fetch_add(1, Ordering::Release);
        self.notify.write16(0, Self::TRANSMIT);
    }

    /// Stops the device, which reads the ring no more.
    pub fn stop(self) {
        self.common.write8(Self::STATUS, 0);
    }
}
