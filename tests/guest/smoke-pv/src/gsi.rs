//! A level-triggered line: mapped, bound, raised, ended.

use kernel::devices::Edu;
use kernel::hypercall::{self, Console, Trigger, TwoWordCommand};
use kernel::pci::{self, Msi};
use kernel::pv::Machine;
use kernel::report::Report;

use crate::arguments::line;

/// The lines that the PCI slots of the machine share.
const LINES: core::ops::Range<i32> = 16..24;

/// Runs the checks.
pub(crate) fn check(report: &mut Report<Console>, machine: &mut Machine) {
    let function = pci::find(Edu::ID).expect("no edu device");
    Msi::of(function)
        .expect("edu has no MSI")
        .set_control(false, 0);
    let edu = Edu::new(machine.map(function.bar(0)));

    // Which line the slot has is the machine's business (ACPI tells): listen on all.
    let ports = [0, 1, 2, 3, 4, 5, 6, 7].map(|index| {
        let gsi = LINES.start + index;
        report.expect(
            format_args!("setup_gsi {gsi}"),
            hypercall::setup_gsi(gsi, Trigger::LevelLow),
            0,
        );
        report.expect(
            format_args!("map_pirq GSI {gsi}"),
            hypercall::map_pirq(&mut line(gsi)),
            0,
        );
        report.expect(
            format_args!("map_pirq GSI {gsi} again"),
            hypercall::map_pirq(&mut line(gsi)),
            0,
        );
        let (result, port) = hypercall::bind_pirq(gsi as u32, true);
        report.expect(format_args!("bind_pirq {gsi}"), result, 0);
        report.expect(format_args!("unmask"), hypercall::unmask(port), 0);
        port
    });

    edu.raise();
    let mut found = LINES.zip(ports).filter(|&(_, port)| machine.comes(port));
    let (gsi, port) = found.next().expect("the line of edu did not arrive");
    report.expect(
        format_args!("lines raised beside it"),
        found.count() as i64,
        0,
    );
    report.say(format_args!("edu: line {gsi}"));
    report.expect(
        format_args!("  flags"),
        hypercall::two_words(TwoWordCommand::IrqStatusQuery, gsi as u32)
            .1
            .into(),
        1,
    );

    // The line stays up, so it fires again after each end of interrupt: ours, and Xen's own when
    // ours is late.
    report.expect(
        format_args!("edu: event without eoi, line up"),
        machine.arrives(port).into(),
        1,
    );
    report.expect(
        format_args!("eoi"),
        hypercall::two_words(TwoWordCommand::Eoi, gsi as u32).0,
        0,
    );
    report.expect(
        format_args!("edu: event after eoi, line up"),
        machine.arrives(port).into(),
        1,
    );
    edu.acknowledge();
    report.expect(
        format_args!("eoi"),
        hypercall::two_words(TwoWordCommand::Eoi, gsi as u32).0,
        0,
    );
    // Xen's own end of interrupt may have come while the line was still up, and with it one more
    // event.
    if machine.comes(port) {
        hypercall::two_words(TwoWordCommand::Eoi, gsi as u32);
    }
    report.expect(
        format_args!("edu: event after eoi, line down"),
        machine.comes(port).into(),
        0,
    );
    hypercall::debug_keys(report, "i", "line in use");

    for (gsi, port) in LINES.zip(ports) {
        report.expect(format_args!("close {gsi}"), hypercall::close(port), 0);
        report.expect(
            format_args!("unmap_pirq {gsi}"),
            hypercall::unmap_pirq(gsi),
            0,
        );
    }
}
