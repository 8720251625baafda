//! A PV dom0 that checks what a PV domain sees of the interrupt subsystem, and turns the machine
//! off.

#![no_std]
#![no_main]

mod arguments;
mod gsi;
mod messages;

use core::panic::PanicInfo;

use kernel::hypercall::{self, Console};
use kernel::pv::{Machine, StartInfo};
use kernel::report::Report;
use kernel::{abi, pv_entry};

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("smoke-pv", Console);
    report.phase(300, format_args!("hypercalls and messages"));
    let mut machine = Machine::start(&mut report, start_info);

    // Xen remaps interrupts, unless the scenario says otherwise.
    let remapped = !start_info.line().ends_with(b"unremapped");
    arguments::check(&mut report, remapped);
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
