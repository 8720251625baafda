//! A PV dom0 that checks what a PV domain sees of the interrupt subsystem, and turns the machine off.
//!
//! It runs with event delivery masked and polls the shared page: what is tested is Xen's side, not upcalls.

#![no_std]
#![no_main]

mod arguments;
mod gsi;
mod machine;
mod messages;

use core::arch::global_asm;
use core::panic::PanicInfo;

use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::report::Report;
use kernel::{abi, note, xen_note, xen_note_text};

use machine::{Machine, StartInfo};

xen_note!(note::ENTRY, "_start");
xen_note!(note::HYPERCALL_PAGE, "hypercall_page");
xen_note!(note::VIRT_BASE, "0");
// Bit 11: able to be dom0.
xen_note!(note::SUPPORTED_FEATURES, "0x800");
xen_note_text!(note::XEN_VERSION, "xen-3.0");
xen_note_text!(note::LOADER, "generic");

// Xen starts a PV kernel in 64-bit mode with the start information in rsi.
global_asm!(
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
    main = sym main,
);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("smoke-pv", Console);
    report.phase(300, format_args!("hypercalls and messages"));
    report.expect(
        format_args!("set_iopl"),
        hypercall::two_words(TwoWordCommand::SetIopl, 1).0,
        0,
    );
    let mut machine = Machine::new(start_info);

    arguments::check(&mut report);
    messages::check(&mut report, &mut machine);
    gsi::check(&mut report, &mut machine);

    report.result();
    report.end();
    hypercall::power_off()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("smoke-pv", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
