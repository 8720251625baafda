//! A PV dom0 that suspends the machine to memory while its devices have interrupts, and sees that
//! they come back.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::hypercall::{self, Console};
use kernel::pci::{self, Function};
use kernel::pv::{Machine, StartInfo};
use kernel::report::Report;
use kernel::source::{self, Source};
use kernel::{abi, pv_entry};

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("sleeper", Console);
    report.phase(120, format_args!("messages before and after a suspend"));
    let mut machine = Machine::start(&mut report, start_info);
    let mut sources = source::all(&mut report, &mut machine);
    source::exchange(&mut report, &machine, &mut sources, "before");
    hypercall::debug_keys(&mut report, "V", "before");

    let functions = source::FUNCTIONS.map(|id| pci::find(id).expect("a device is missing"));
    let saved = functions.map(|function| Saved::of(function, HEADER));
    let bridge = Saved::of(pci::ISA_BRIDGE, POWER);
    report.expect(format_args!("suspend"), hypercall::suspend(), 0);
    bridge.restore();
    for saved in &saved {
        saved.restore();
        let result = hypercall::restore_msi(0, saved.function.devfn);
        report.expect(format_args!("restore_msi"), result, 0);
    }
    sources.iter().for_each(Source::wake);

    source::exchange(&mut report, &machine, &mut sources, "after");
    hypercall::debug_keys(&mut report, "V", "after");
    report.result();
    report.end();
    hypercall::power_off()
}

/// The registers of a function's header that it loses.
const HEADER: [u8; 9] = [0x04, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x3c];

/// Where the ISA bridge has its power management: the firmware leaves that to the system.
const POWER: [u8; 2] = [0x44, 0x40];

/// Registers of a function's configuration space.
struct Saved<const COUNT: usize> {
    function: Function,
    registers: [u8; COUNT],
    values: [u32; COUNT],
}

impl<const COUNT: usize> Saved<COUNT> {
    fn of(function: Function, registers: [u8; COUNT]) -> Self {
        Self {
            function,
            registers,
            values: registers.map(|register| function.read32(register)),
        }
    }

    /// Writes them back, the last one first: what lets the function answer is at the beginning.
    fn restore(&self) {
        for (&register, &value) in self.registers.iter().zip(&self.values).rev() {
            self.function.write32(register, value);
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("sleeper", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
