//! An HVM guest that reads and writes the MSI-X tables of its devices without end, whatever becomes
//! of the devices: dom0 takes them away meanwhile. It sets the interrupts of the second device up
//! again and again. A device that its device model wants to unplug it lets go.
//!
//! Started by xl as a direct-boot kernel, which QEMU loads as a multiboot image.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::interrupts;
use kernel::msix::{CONTROL, DATA, Device, ENTRY, HIGH, LOW, MASKED};
use kernel::report::{DebugPort, Report};
use kernel::{hypercall, long_mode_entry, multiboot_header, pci, unplug};

multiboot_header!();
// The firmware leaves other processors halted, and they stay halted.
long_mode_entry!(main, stay);

/// How many times it walks through the tables before it says so.
const ROUNDS: usize = 8;

/// Devices of a guest at most.
const DEVICES: usize = 2;

/// Entries of a table that it uses at most: a domain has few pirqs.
const ENTRIES: usize = 16;

extern "C" fn main() -> ! {
    let mut report = Report::new("prodder", DebugPort);
    interrupts::start();
    let mut devices: [Option<Device>; DEVICES] = [const { None }; DEVICES];
    let found = pci::functions().filter_map(Device::open);
    for (place, device) in devices.iter_mut().zip(found) {
        set_up(&device);
        *place = Some(device);
    }
    let count = devices.iter().flatten().count();
    report.expect(format_args!("a device is there"), (count > 0).into(), 1);
    report.result();
    loop {
        for _ in 0..ROUNDS {
            devices.iter().flatten().for_each(prod);
        }
        if let Some(second) = &devices[1] {
            second.close();
            set_up(second);
        }
        if let_go(&mut devices) {
            report.say(format_args!("lets go"));
        }
        report.say(format_args!("walks on"));
    }
}

/// Lets go of the devices that are to be unplugged; returns whether there are any.
fn let_go(devices: &mut [Option<Device>]) -> bool {
    let slots = unplug::leaving();
    for place in devices {
        let leaves = |device: &Device| slots >> (device.msix.function.devfn >> 3) & 1 != 0;
        if place.as_ref().is_some_and(leaves) {
            *place = None;
        }
    }
    if slots != 0 {
        // SAFETY: what is in these slots was just forgotten.
        unsafe { unplug::eject(slots) };
    }
    slots != 0
}

/// How many entries of a table it uses.
fn used(device: &Device) -> usize {
    device.msix.entries.min(ENTRIES)
}

/// Sets all interrupts of a device up that are used, but the last one.
fn set_up(device: &Device) {
    device.enable();
    for number in 0..used(device) - 1 {
        device.program(number);
        device.entry(number).write32(CONTROL, 0);
    }
}

/// Reads and masks and unmasks each entry, writes its message again, and reads a register behind
/// the table.
fn prod(device: &Device) {
    for number in 0..used(device) {
        let entry = device.entry(number);
        for word in [LOW, HIGH, DATA, CONTROL] {
            entry.read32(word);
        }
        entry.write32(CONTROL, MASKED);
        entry.write32(CONTROL, 0);
        device.reprogram(number);
    }
    device.table.read32(device.msix.entries * ENTRY);
}

extern "C" fn stay() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("prodder", DebugPort).panicked(info);
    if hypercall::enable() {
        hypercall::shutdown(kernel::abi::SHUTDOWN_CRASH);
    }
    stay()
}
