//! What the checks share of the machine: the shared page and windows on devices.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel::hypercall::{self, Frame};
use kernel::mmio::Window;

/// The part of `struct start_info` that is used.
#[repr(C)]
pub(crate) struct StartInfo {
    magic: [u8; 32],
    pages: u64,
    /// Machine address of the shared page.
    shared: u64,
}

/// Offset of the pending bits in `struct shared_info`: after 32 vCPUs of 64 bytes.
const PENDING: usize = 32 * 64;
/// Offset of the mask bits: after 4096 pending bits.
const MASKS: usize = PENDING + 512;

/// Pages given up so that device registers and the shared page can be mapped over them.
const PAGES: usize = 8;

#[repr(C, align(4096))]
struct Pages(UnsafeCell<[[u8; 4096]; PAGES]>);

// SAFETY: used by address only, as places to map foreign frames; there is one processor.
unsafe impl Sync for Pages {}

static WINDOWS: Pages = Pages(UnsafeCell::new([[0; 4096]; PAGES]));

/// The machine.
pub(crate) struct Machine {
    shared: usize,
    used: usize,
}

impl Machine {
    /// Maps the shared page.
    pub(crate) fn new(start_info: &StartInfo) -> Self {
        let mut machine = Self { shared: 0, used: 0 };
        machine.shared = machine
            .map_frame(start_info.shared, Frame::Memory)
            .address();
        machine
    }

    /// Maps the page of registers at a machine address.
    pub(crate) fn map(&mut self, address: u64) -> Window {
        self.map_frame(address, Frame::Registers)
    }

    fn map_frame(&mut self, address: u64, what: Frame) -> Window {
        assert!(self.used < PAGES, "no window left");
        let page = WINDOWS.0.get() as usize + self.used * 4096;
        self.used += 1;
        // SAFETY: the page holds nothing, and each is used once.
        let result = unsafe { hypercall::map_frame(page, address >> 12, what) };
        assert!(result == 0, "mapping {address:#x}: {result}");
        // SAFETY: the frame is mapped there now.
        unsafe { Window::new(page) }
    }

    fn bits(&self, offset: usize, port: u32) -> (&AtomicU64, u64) {
        assert!(port < 4096, "event channel {port}");
        // SAFETY: the shared page is mapped for good; Xen changes its bits atomically.
        let word = unsafe {
            AtomicU64::from_ptr((self.shared + offset + port as usize / 64 * 8) as *mut u64)
        };
        (word, 1 << (port % 64))
    }

    fn take(&self, port: u32, polls: u32) -> bool {
        let (word, bit) = self.bits(PENDING, port);
        (0..polls).any(|_| word.fetch_and(!bit, Ordering::SeqCst) & bit != 0)
    }

    /// Waits for an event that must come, and takes it: whether it came.
    pub(crate) fn arrives(&self, port: u32) -> bool {
        // Interrupts take microseconds, Xen's timers milliseconds; the emulator may be starved for seconds.
        self.take(port, 50_000_000)
    }

    /// Waits for an event that may come, and takes it: whether it came.
    pub(crate) fn comes(&self, port: u32) -> bool {
        self.take(port, 1_000_000)
    }

    /// Takes events until none comes any more.
    pub(crate) fn drain(&self, port: u32) {
        while self.comes(port) {}
    }

    /// Whether an event is there now; it stays.
    pub(crate) fn is_pending(&self, port: u32) -> bool {
        let (word, bit) = self.bits(PENDING, port);
        word.load(Ordering::SeqCst) & bit != 0
    }

    /// Masks a channel, as the kernel does while it handles an event.
    pub(crate) fn mask(&self, port: u32) {
        let (word, bit) = self.bits(MASKS, port);
        word.fetch_or(bit, Ordering::SeqCst);
    }
}
