//! A kernel that gets the machine from Xen by kexec, with no hypervisor below it any more, and
//! looks at what was left to it: whatever could still send an interrupt would hit a kernel that
//! knows nothing of it.

#![no_std]
#![no_main]

mod iommu;

use core::panic::PanicInfo;

use iommu::Iommu;
use kernel::io_apic::{IoApic, MASKED};
use kernel::pci::{self, Function, MSI_ENABLE, MSIX_ENABLE, Msi, Msix};
use kernel::report::{Report, Serial};
use kernel::{long_mode_entry, port};

// Xen leaves other processors halted, and they stay halted.
long_mode_entry!(main, hold);

extern "C" fn main() -> ! {
    let mut report = Report::new("heir", Serial);
    report.phase(60, format_args!("what Xen left"));
    for function in pci::functions() {
        messages(&mut report, function);
    }
    for (pin, entry) in IoApic::new().pins().enumerate() {
        if entry & MASKED == 0 {
            report.fail(format_args!("pin {pin} is not masked: {entry:#x}"));
        }
    }
    let iommu = Iommu::find();
    report.say(format_args!("{iommu}"));
    let remapping = if iommu.remaps() {
        "remapping-is-on"
    } else {
        "remapping-is-off"
    };
    report.check(remapping, true, format_args!(""));
    report.result();
    report.end();
    power_off(&report)
}

/// No function sends messages any more, but for the IOMMU itself, whose messages are its driver's
/// business.
fn messages(report: &mut Report<Serial>, function: Function) {
    let devfn = function.devfn;
    if function.is_iommu() {
        return;
    }
    if let Some(msi) = Msi::of(function) {
        let enabled = msi.control() & MSI_ENABLE;
        report.expect(format_args!("{devfn:02x}: MSI enabled"), enabled.into(), 0);
    }
    if let Some(msix) = Msix::of(function) {
        let enabled = msix.control() & MSIX_ENABLE;
        report.expect(
            format_args!("{devfn:02x}: MSI-X enabled"),
            enabled.into(),
            0,
        );
    }
}

/// Turns the machine off by the registers of its power management.
fn power_off(report: &Report<Serial>) -> ! {
    /// Where the ISA bridge says where they are.
    const POWER: u8 = 0x40;
    const CONTROL: u16 = 4;
    /// Sleep type 0 is S5 on the emulated machine; bit 13: enter now.
    const OFF: u16 = 1 << 13;
    report.off();
    let registers = pci::ISA_BRIDGE.read16(POWER) & 0xff80;
    // SAFETY: nothing is to be done any more.
    unsafe { port::out16(registers + CONTROL, OFF) };
    hold()
}

extern "C" fn hold() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let mut report = Report::new("heir", Serial);
    report.panicked(info);
    power_off(&report)
}
