//! A PV dom0 that hands the machine over to another kernel while its devices have interrupts: to one that was started with
//! it, as its module. That may be Xen again, which starts this dom0 again, and the devices have interrupts again.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::kexec::{self, Files, Way};
use kernel::pv::{Machine, StartInfo};
use kernel::report::Report;
use kernel::{abi, pv_entry, source};

pv_entry!(main);

/// The command line of the second time.
const AGAIN: &str = "again";

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("leaver", Console);
    report.phase(120, format_args!("messages, and off to another kernel"));
    report.expect(
        format_args!("set_iopl"),
        hypercall::two_words(TwoWordCommand::SetIopl, 1).0,
        0,
    );
    let mut machine = Machine::new(start_info);
    let mut sources = source::all(&mut report, &mut machine);
    if start_info.line() == AGAIN.as_bytes() {
        source::exchange(&mut report, &machine, &mut sources, AGAIN);
        report.check(AGAIN, true, format_args!("in the second Xen"));
        report.end();
        hypercall::power_off()
    }
    source::exchange(&mut report, &machine, &mut sources, "before");

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
