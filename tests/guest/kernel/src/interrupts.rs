//! An interrupt table whose handlers count: how often did which vector arrive on which processor.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::lapic::Lapic;
use crate::long_mode::CODE_SELECTOR;
use crate::port;

/// Vectors that are counted start here.
pub const FIRST_VECTOR: u8 = 0x40;
/// Vectors that are counted.
pub const VECTORS: usize = 128;
/// Processors that are told apart.
pub const PROCESSORS: usize = 2;

static COUNTS: [[AtomicU32; VECTORS]; PROCESSORS] =
    [const { [const { AtomicU32::new(0) }; VECTORS] }; PROCESSORS];

// One stub of 16 bytes per counted vector: it saves the scratch register that carries the number.
// The exception stubs are alike, but end the kernel: there is no way back from a fault in a test.
global_asm!(
    ".pushsection .text.interrupts, \"ax\"",
    ".balign 16",
    ".globl interrupt_stubs",
    "interrupt_stubs:",
    ".set number, 0",
    ".rept {vectors}",
    ".balign 16",
    "push rdi",
    "mov edi, offset number",
    "jmp interrupt_common",
    ".set number, number + 1",
    ".endr",
    "interrupt_common:",
    "push rax",
    "push rcx",
    "push rdx",
    "push rsi",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "cld",
    "call {count}",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rsi",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "pop rdi",
    "iretq",
    ".balign 16",
    ".globl exception_stubs",
    "exception_stubs:",
    ".set number, 0",
    ".rept 32",
    ".balign 16",
    "mov edi, offset number",
    "mov rsi, rsp",
    "jmp {fault}",
    ".set number, number + 1",
    ".endr",
    ".globl spurious_stub",
    "spurious_stub:",
    "iretq",
    ".popsection",
    vectors = const VECTORS,
    count = sym count,
    fault = sym fault,
);

unsafe extern "C" {
    static interrupt_stubs: u8;
    static exception_stubs: u8;
    static spurious_stub: u8;
}

/// Runs in interrupt context, on the processor that took the vector.
extern "C" fn count(number: u32) {
    let lapic = Lapic::new();
    // Xen numbers the local APICs of a domain's processors in steps of two.
    let processor = (lapic.id() / 2) as usize % PROCESSORS;
    COUNTS[processor][number as usize % VECTORS].fetch_add(1, Ordering::SeqCst);
    lapic.end_of_interrupt();
}

extern "C" fn fault(vector: u32, frame: *const u64) -> ! {
    // SAFETY: the processor pushed at least three words (five in 64-bit mode) there.
    let words = unsafe { [*frame, *frame.add(1), *frame.add(2)] };
    panic!("exception {vector}, frame {words:x?}");
}

#[repr(C, align(16))]
struct Table(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: written by `install` only, on the first processor, before any other runs and before
// interrupts are on.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; 256]));

/// Fills the table.
///
/// # Safety
/// Interrupts are off, and no other processor has loaded the table.
pub unsafe fn install() {
    let gate = |target: u64| {
        let low = target & 0xffff
            | u64::from(CODE_SELECTOR) << 16
            | 0x8e00 << 32
            | (target >> 16 & 0xffff) << 48;
        [low, target >> 32]
    };
    // SAFETY: nobody else looks at the table, by the caller's promise.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, entry) in table.iter_mut().enumerate() {
        let first = usize::from(FIRST_VECTOR);
        if vector < 32 {
            *entry = gate(&raw const exception_stubs as u64 + vector as u64 * 16);
        } else if (first..first + VECTORS).contains(&vector) {
            *entry = gate(&raw const interrupt_stubs as u64 + (vector - first) as u64 * 16);
        } else {
            *entry = gate(&raw const spurious_stub as u64);
        }
    }
}

/// Makes the running processor use the table, and lets interrupts in.
///
/// # Safety
/// [`install`] has run.
pub unsafe fn enable() {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let pointer = Pointer {
        limit: 4095,
        base: TABLE.0.get() as u64,
    };
    // SAFETY: the table is filled and lives forever.
    unsafe { asm!("lidt [{}]", "sti", in(reg) &raw const pointer, options(nostack)) }
}

/// Lets message interrupts in on the only processor that runs, as an HVM guest, and keeps all
/// others out: the firmware leaves the timer running.
pub fn start() {
    for mask_register in [0x21, 0xa1] {
        // SAFETY: those of the two 8259s.
        unsafe { port::out8(mask_register, 0xff) };
    }
    Lapic::new().enable(0);
    // SAFETY: the only processor that runs, and interrupts are off.
    unsafe { install() };
    // SAFETY: installed.
    unsafe { enable() };
}

/// How often a vector has arrived on each processor.
pub fn seen(vector: u8) -> [u32; PROCESSORS] {
    let number = usize::from(vector - FIRST_VECTOR);
    [0, 1].map(|processor: usize| COUNTS[processor][number].load(Ordering::SeqCst))
}

/// Does something and says which processors the vector reached: bit 0 for the first, bit 1 for the
/// second.
///
/// Waits until `want` is reached, and then a little longer, for what should not come.
pub fn reached(vector: u8, want: u32, action: impl FnOnce()) -> u32 {
    // Messages take microseconds; the emulator may be starved for seconds.
    const LONG: u32 = 50_000_000;
    const SHORT: u32 = 1_000_000;
    let before = seen(vector);
    let reached = || {
        seen(vector)
            .iter()
            .zip(&before)
            .rev()
            .fold(0, |mask, (now, then)| mask << 1 | u32::from(now != then))
    };
    action();
    let _ = (0..LONG).any(|_| reached() & want == want);
    (0..SHORT).fold(0, |_, _| reached())
}
