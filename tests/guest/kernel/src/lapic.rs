//! The local APIC in its memory-mapped form, at its reset address.

use crate::mmio::Window;

/// Physical address of the registers.
const BASE: usize = 0xfee0_0000;

const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const LOGICAL_DESTINATION: usize = 0xd0;
const DESTINATION_FORMAT: usize = 0xe0;
const SPURIOUS: usize = 0xf0;
const TIMER: usize = 0x320;
const TIMER_COUNT: usize = 0x380;
const TIMER_DIVISOR: usize = 0x3e0;

const TIMER_PERIODIC: u32 = 1 << 17;
const TIMER_BY_ONE: u32 = 0xb;

/// The local APIC of the processor that runs.
#[derive(Clone, Copy)]
pub struct Lapic(Window);

impl Lapic {
    /// The registers, which [`crate::long_mode`] maps one to one.
    pub const fn new() -> Self {
        // SAFETY: the architecture puts the local APIC's registers there, and nothing else.
        Self(unsafe { Window::new(BASE) })
    }

    /// Switches the APIC on, accepting every vector, with logical address `1 << index` in the flat
    /// model.
    pub fn enable(self, index: u32) {
        self.0.write32(TASK_PRIORITY, 0);
        self.0.write32(DESTINATION_FORMAT, !0);
        self.0.write32(LOGICAL_DESTINATION, 1 << (24 + index));
        self.0.write32(SPURIOUS, 0x1ff);
    }

    /// Has the timer send a vector again and again, each time after `count` cycles of the bus.
    pub fn tick(self, vector: u8, count: u32) {
        self.0.write32(TIMER_DIVISOR, TIMER_BY_ONE);
        self.0.write32(TIMER, TIMER_PERIODIC | u32::from(vector));
        self.0.write32(TIMER_COUNT, count);
    }

    /// The identifier that messages in physical mode name.
    pub fn id(self) -> u32 {
        self.0.read32(ID) >> 24
    }

    /// The logical address.
    pub fn logical(self) -> u32 {
        self.0.read32(LOGICAL_DESTINATION) >> 24
    }

    /// Sets the task priority: vectors up to `priority | 0xf` wait.
    pub fn set_task_priority(self, priority: u32) {
        self.0.write32(TASK_PRIORITY, priority);
    }

    /// Ends the interrupt in service.
    pub fn end_of_interrupt(self) {
        self.0.write32(END_OF_INTERRUPT, 0);
    }
}

impl Default for Lapic {
    fn default() -> Self {
        Self::new()
    }
}
