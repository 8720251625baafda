//! An HVM guest that puts many MSI-X entries of the devices passed through to it into use, shows
//! that their messages arrive, and keeps them in use until it is destroyed: whatever Xen set up for
//! them is then to be taken down.
//!
//! Started by xl as a direct-boot kernel, which QEMU loads as a multiboot image.

#![no_std]
#![no_main]

use core::arch::asm;
use core::panic::PanicInfo;

use kernel::devices::E1000e;
use kernel::interrupts::{self, FIRST_VECTOR, reached};
use kernel::lapic::Lapic;
use kernel::msix::{CONTROL, Device, vector};
use kernel::report::{DebugPort, Report};
use kernel::{hypercall, long_mode_entry, multiboot_header, pci, unplug};

multiboot_header!();
// The firmware leaves other processors halted, and they stay halted.
long_mode_entry!(main, hold);

/// Entries of one device that are put into use. Xen gives a guest 32 message interrupts and no
/// more.
const MOST: usize = 16;

extern "C" fn main() -> ! {
    let mut report = Report::new("holder", DebugPort);
    interrupts::start();
    let mut devices = 0;
    for device in pci::functions().filter_map(Device::open) {
        let entries = device.msix.entries.min(MOST);
        device.enable();
        for number in 0..entries {
            device.program(number);
            device.entry(number).write32(CONTROL, 0);
        }
        let id = device.msix.function.id();
        report.say(format_args!("device {id:08x}: {entries} entries in use"));
        if let Some(sender) = E1000e::of(device.msix.function) {
            send(&mut report, sender, entries);
        }
        devices += 1;
    }
    report.expect(format_args!("devices"), devices, 2);
    report.result();
    Lapic::new().tick(TICK, 20_000_000);
    hold()
}

/// The timer's vector, behind those of the entries. Xen's bus runs at 100 MHz.
const TICK: u8 = FIRST_VECTOR + 100;

/// Has the device send each message, and checks that it arrives.
fn send(report: &mut Report<DebugPort>, sender: E1000e, entries: usize) {
    sender.route();
    for number in 0..entries {
        let got = reached(vector(number), 1, || sender.raise(number as u32));
        report.expect(format_args!("message {number}"), got.into(), 1);
    }
    sender.quiet();
}

/// Lives on, and lets go of a device that is to be unplugged, as the firmware's tables tell an
/// operating system to.
extern "C" fn hold() -> ! {
    loop {
        let slots = unplug::leaving();
        if slots != 0 {
            // SAFETY: their devices are not used any more.
            unsafe { unplug::eject(slots) };
        }
        // SAFETY: waits for the timer's next interrupt.
        unsafe { asm!("hlt", options(nomem, nostack)) };
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("holder", DebugPort).panicked(info);
    if hypercall::enable() {
        hypercall::shutdown(kernel::abi::SHUTDOWN_CRASH);
    }
    hold()
}
