//! A PV kernel: how it starts, the shared page, and windows on devices.
//!
//! It runs with event delivery masked and polls the shared page: what is tested is Xen's side, not
//! upcalls.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::hypercall::{self, Console, Frame, TwoWordCommand};
use crate::mmio::Window;
use crate::report::Report;

/// Makes a function that takes a [`StartInfo`] what Xen starts.
#[macro_export]
macro_rules! pv_entry {
    ($main:ident) => {
        $crate::xen_note!($crate::note::ENTRY, "_start");
        $crate::xen_note!($crate::note::HYPERCALL_PAGE, "hypercall_page");
        $crate::xen_note!($crate::note::VIRT_BASE, "0");
        // Bit 11: able to be dom0.
        $crate::xen_note!($crate::note::SUPPORTED_FEATURES, "0x800");
        $crate::xen_note_text!($crate::note::XEN_VERSION, "xen-3.0");
        $crate::xen_note_text!($crate::note::LOADER, "generic");

        // Xen starts a PV kernel in 64-bit mode with the start information in rsi.
        core::arch::global_asm!(
            ".pushsection .text.entry, \"ax\"",
            ".globl _start",
            "_start:",
            "cld",
            "mov rsp, offset boot_stack_end",
            "mov rdi, rsi",
            "call {main}",
            "ud2",
            ".popsection",
            ".pushsection .bss.boot, \"aw\", @nobits",
            ".balign 16",
            "boot_stack: .skip 4 * 4096",
            "boot_stack_end:",
            ".popsection",
            main = sym $main,
        );
    };
}

/// The part of `struct start_info` that is used.
#[repr(C)]
pub struct StartInfo {
    magic: [u8; 32],
    pages: u64,
    /// Machine address of the shared page.
    shared: u64,
    unused: [u64; 7],
    /// Virtual address of the list of the kernel's frames, in the order of its pages.
    frames: u64,
    /// Virtual address of the module.
    module: u64,
    module_size: u64,
    /// Ends with a zero.
    line: [u8; 1024],
}

impl StartInfo {
    /// The kernel's command line.
    pub fn line(&self) -> &[u8] {
        let end = self.line.iter().position(|&byte| byte == 0);
        &self.line[..end.unwrap_or(self.line.len())]
    }

    /// What was started with the kernel, beside it.
    pub fn module(&self) -> &'static [u8] {
        if self.module == 0 {
            return &[];
        }
        // SAFETY: Xen maps it there, and nobody changes it.
        unsafe { core::slice::from_raw_parts(self.module as *const u8, self.module_size as usize) }
    }
}

/// Offset of the pending bits in `struct shared_info`: after 32 vCPUs of 64 bytes.
const PENDING: usize = 32 * 64;
/// Offset of the mask bits: after 4096 pending bits.
const MASKS: usize = PENDING + 512;

/// Offset of the first vCPU's time in `struct shared_info`.
const TIME: usize = 32;

/// `struct vcpu_time_info`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Time {
    version: u32,
    pad: u32,
    /// The time stamp counter when the rest was written.
    stamp: u64,
    nanoseconds: u64,
    /// What 2 to the power of 32 counts take, once shifted.
    multiplier: u32,
    shift: i8,
}

/// Pages given up so that device registers and the shared page can be mapped over them.
const PAGES: usize = 24;

#[repr(C, align(4096))]
struct Pages(UnsafeCell<[[u8; 4096]; PAGES]>);

// SAFETY: used by address only, as places to map foreign frames; there is one processor.
unsafe impl Sync for Pages {}

static WINDOWS: Pages = Pages(UnsafeCell::new([[0; 4096]; PAGES]));

/// The machine.
pub struct Machine {
    shared: usize,
    used: usize,
    frames: u64,
}

impl Machine {
    /// Gets the machine's I/O ports, and maps the shared page.
    pub fn start(report: &mut Report<Console>, start_info: &StartInfo) -> Self {
        let (result, _) = hypercall::two_words(TwoWordCommand::SetIopl, 1);
        report.expect(format_args!("set_iopl"), result, 0);
        let mut machine = Self {
            shared: 0,
            used: 0,
            frames: start_info.frames,
        };
        machine.shared = machine
            .map_frame(start_info.shared, Frame::Memory)
            .address();
        machine
    }

    /// Maps the page of registers at a machine address.
    pub fn map(&mut self, address: u64) -> Window {
        self.map_frame(address, Frame::Registers)
    }

    /// The machine address of something in a page of the kernel's, for devices.
    pub fn machine_address<T>(&self, object: *const T) -> u64 {
        let address = object as usize;
        // SAFETY: Xen puts the list of all pages there, and the kernel begins with page 0.
        let frame = unsafe { (self.frames as *const u64).add(address / 4096).read() };
        frame * 4096 + (address % 4096) as u64
    }

    /// Maps the page at a machine address.
    pub fn map_frame(&mut self, address: u64, what: Frame) -> Window {
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
    pub fn arrives(&self, port: u32) -> bool {
        // Interrupts take microseconds, Xen's timers milliseconds; the emulator may be starved for
        // seconds.
        self.take(port, 50_000_000)
    }

    /// Waits for an event that may come, and takes it: whether it came.
    pub fn comes(&self, port: u32) -> bool {
        self.take(port, 1_000_000)
    }

    /// Takes events until none comes any more.
    pub fn drain(&self, port: u32) {
        while self.comes(port) {}
    }

    /// Whether an event is there now; it stays.
    pub fn is_pending(&self, port: u32) -> bool {
        let (word, bit) = self.bits(PENDING, port);
        word.load(Ordering::SeqCst) & bit != 0
    }

    /// Takes an event, if there is one: whether there was.
    pub fn takes(&self, port: u32) -> bool {
        self.take(port, 1)
    }

    /// Nanoseconds since Xen was started, as it tells the first vCPU (`struct vcpu_time_info`).
    pub fn now(&self) -> u64 {
        // SAFETY: the shared page is mapped for good, and this is where the structure is; Xen
        // changes it while the vCPU does not run.
        let time = unsafe { ((self.shared + TIME) as *const Time).read_volatile() };
        // SAFETY: every processor has the instruction, and Xen lets PV kernels use it.
        let passed = unsafe { core::arch::x86_64::_rdtsc() }.wrapping_sub(time.stamp);
        let passed = match time.shift {
            shift @ 0.. => passed << shift,
            shift => passed >> -shift,
        };
        time.nanoseconds + ((u128::from(passed) * u128::from(time.multiplier)) >> 32) as u64
    }

    /// Masks a channel, as the kernel does while it handles an event.
    pub fn mask(&self, port: u32) {
        let (word, bit) = self.bits(MASKS, port);
        word.fetch_or(bit, Ordering::SeqCst);
    }
}
