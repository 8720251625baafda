//! A level-triggered line of the virtual IO-APIC, which Xen joins to the real one.

use kernel::devices::Edu;
use kernel::hypercall;
use kernel::interrupts::{reached, seen};
use kernel::mmio::Window;
use kernel::pci::{self, Msi};

use crate::Transcript;

/// Where a PVH dom0 has its first IO-APIC.
const IO_APIC: usize = 0xfec0_0000;
/// The lines that the PCI slots of the machine share.
const LINES: core::ops::Range<u32> = 16..24;
/// The vector of the first of them.
const VECTOR: u8 = 0x80;

/// Redirection entry: active low.
const ACTIVE_LOW: u32 = 1 << 13;
/// Redirection entry: level triggered.
const LEVEL: u32 = 1 << 15;
/// Redirection entry: masked.
const MASKED: u32 = 1 << 16;

fn redirect(line: u32, entry: u32) {
    // SAFETY: the registers of the virtual IO-APIC.
    let registers = unsafe { Window::new(IO_APIC) };
    registers.write32(0, 0x11 + line * 2);
    registers.write32(0x10, 0);
    registers.write32(0, 0x10 + line * 2);
    registers.write32(0x10, entry);
}

/// Runs the checks.
pub(crate) fn check(report: &mut Transcript) {
    let function = pci::find(Edu::ID).expect("no edu device");
    Msi::of(function)
        .expect("edu has no MSI")
        .set_control(false, 0);
    function.command(pci::COMMAND_INTX_DISABLE, 0);
    // SAFETY: vPCI maps the memory regions of dom0's functions one to one.
    let edu = Edu::new(unsafe { Window::new(function.bar(0) as usize) });
    edu.acknowledge();

    let vector = |line: u32| VECTOR + (line - LINES.start) as u8;
    for line in LINES {
        redirect(line, u32::from(vector(line)) | ACTIVE_LOW | LEVEL);
    }
    // Which line the slot has is the machine's business (ACPI tells): listen on all.
    edu.raise();
    let line = loop {
        if let Some(line) = LINES.clone().find(|&line| seen(vector(line)) != [0; 2]) {
            break line;
        }
    };
    edu.acknowledge();
    report.say(format_args!("edu: line {line}"));
    hypercall::debug_keys(report, "i", "line in use");
    let settled = reached(vector(line), 0, || ());
    report.say(format_args!("edu: line {line} down, processors {settled}"));
    let got = reached(vector(line), 1, || edu.pulse());
    report.expect(
        format_args!("edu: line {line} once more, processors"),
        got.into(),
        1,
    );
    redirect(line, MASKED);
    let got = reached(vector(line), 0, || edu.pulse());
    report.expect(
        format_args!("edu: line {line} masked, processors"),
        got.into(),
        0,
    );
    for line in LINES {
        redirect(line, MASKED);
    }
}
