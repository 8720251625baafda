//! A PV dom0 that hands the machine over to another kernel while its devices have interrupts: to
//! one that was started with it, as its module. That may be Xen again, which starts this dom0
//! again, and the devices have interrupts again.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::hypercall::{self, Console};
use kernel::kexec::{self, Files, Way};
use kernel::pv::{Machine, StartInfo};
use kernel::report::Report;
use kernel::{abi, pv_entry, source};

pv_entry!(main);

/// The command line of the second time, and what its checks are called.
const AGAIN: &str = "again";

extern "C" fn main(start_info: &StartInfo) -> ! {
    let is_again = start_info.line() == AGAIN.as_bytes();
    let mut report = Report::new(if is_again { AGAIN } else { "leaver" }, Console);
    report.phase(120, format_args!("messages, and off to another kernel"));
    let mut machine = Machine::start(&mut report, start_info);
    let mut sources = source::all(&mut report, &mut machine);
    source::exchange(&mut report, &machine, &mut sources, "in this Xen");
    if is_again {
        report.result();
        report.end();
        hypercall::power_off()
    }

    let way = kexec::way();
    report.say(format_args!(
        "leaves as {}",
        match way {
            Way::Reboot => "for a reboot",
            Way::Crash => "after a crash",
        }
    ));
    let result = kexec::load(way, Files::of(start_info.module()), AGAIN);
    report.expect(format_args!("kexec_load"), result, 0);
    report.result();
    let result = kexec::execute(way);
    report.fail(format_args!("kexec: {result}"));
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("leaver", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
