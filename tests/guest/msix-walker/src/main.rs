//! An HVM guest that walks the MSI-X tables of the devices passed through to it.
//!
//! Started by xl as a direct-boot kernel, which QEMU loads as a multiboot image. The transcript
//! goes to port 0xE9, which Xen itself serves: its log has the lines, each opened by the domain.
//! The transcript holds nothing that depends on time, so those of two hypervisors can be compared
//! as text; what differs by design is who serves a read, and that is counted outside: [`phase`]
//! marks in the device model's trace which part of the walk it sees.

#![no_std]
#![no_main]

mod counted;
mod deliver;
mod edges;
mod widths;

use core::arch::asm;
use core::panic::PanicInfo;

use kernel::msix::Device;
use kernel::report::{DebugPort, Report};
use kernel::{hypercall, interrupts, long_mode_entry, multiboot_header, pci, port};

multiboot_header!();
// The firmware leaves other processors halted, and they stay halted.
long_mode_entry!(main, halt);

/// The transcript of this kernel.
type Transcript = Report<DebugPort>;

/// Opens a phase: a line in the transcript, and a mark in the device model's trace, which is a
/// write to the selector of its configuration port that selects nothing.
fn phase(report: &Transcript, number: u8, what: &str) {
    report.phase(600, format_args!("{number:#x} {what}"));
    // SAFETY: nobody reads the configuration port any more.
    unsafe { port::out16(0x510, 0x7f00 | u16::from(number)) };
}

extern "C" fn main() -> ! {
    let mut report = Report::new("walker", DebugPort);
    let on_xen = hypercall::enable();
    if on_xen {
        interrupts::start();
    }

    let mut devices = 0;
    for device in pci::functions().filter_map(Device::open) {
        let msix = device.msix;
        report.say(format_args!(
            "device {:04x}:{:04x}, {} entries, table at {:#x} of its page",
            msix.function.id() & 0xffff,
            msix.function.id() >> 16,
            msix.entries,
            msix.table & 0xfff,
        ));
        counted::walk(&report, &device);
        deliver::check(&mut report, &device, "after the counted reads");
        widths::walk(&report, &device);
        edges::walk(&report, &device);
        deliver::check(&mut report, &device, "after the walk");
        device.close();
        devices += 1;
    }
    phase(&report, 0xff, "done");
    report.expect(
        format_args!("a device was there"),
        i64::from(devices > 0),
        1,
    );
    report.result();
    if on_xen {
        hypercall::shutdown(kernel::abi::SHUTDOWN_POWEROFF);
    }
    halt()
}

/// Waits for interrupts for ever.
extern "C" fn halt() -> ! {
    loop {
        // SAFETY: waits for the next interrupt.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("walker", DebugPort).panicked(info);
    if hypercall::enable() {
        hypercall::shutdown(kernel::abi::SHUTDOWN_CRASH);
    }
    halt()
}
