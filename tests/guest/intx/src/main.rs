//! A PV dom0 whose device asserts its line while the line's interrupt is bound, closed, bound
//! again, and moved from processor to processor.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::Edu;
use kernel::hypercall::{self, Console, Trigger, TwoWordCommand};
use kernel::pci::{self, Function, Msi};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source::{device, message};

const SECOND: u64 = 1_000_000_000;
const ROUNDS: u32 = 1000;
const VCPUS: u32 = 2;

/// The lines that the PCI slots of the machine share.
const LINES: core::ops::Range<i32> = 16..24;

/// Bits of a pin's entry in the IO-APIC.
const LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("intx", Console);
    report.phase(120, format_args!("a line that is asserted"));
    let mut machine = Machine::start(&mut report, start_info);
    let function = device(&mut report, Edu::ID);
    if let Some(msi) = Msi::of(function) {
        msi.set_control(false, 0);
    }
    function.command(pci::COMMAND_INTX_DISABLE, 0);
    let edu = Edu::new(machine.map(function.bar(0)));

    let gsi = find_line(&mut report, &machine, edu);
    let line = Line { gsi, edu };
    let port = line.binds_while_asserted(&mut report, &machine);
    line.moves(&mut report, &machine, port);
    hypercall::debug_keys(&mut report, "i", "settled");
    report.expect(format_args!("close"), hypercall::close(port), 0);
    report.expect(format_args!("unmap_pirq"), hypercall::unmap_pirq(gsi), 0);

    report.result();
    report.end();
    hypercall::power_off()
}

/// Which line the slot has is the machine's business (ACPI tells): listens on all.
fn find_line(report: &mut Report<Console>, machine: &Machine, edu: Edu) -> i32 {
    let ports = [0, 1, 2, 3, 4, 5, 6, 7].map(|index| {
        let gsi = LINES.start + index;
        let setup = hypercall::setup_gsi(gsi, Trigger::LevelLow);
        report.expect(format_args!("setup_gsi {gsi}"), setup, 0);
        let mut map = MapPirq {
            kind: abi::MAP_GSI,
            index: gsi,
            pirq: gsi,
            ..message(Function::new(0))
        };
        let mapped = hypercall::map_pirq(&mut map);
        report.expect(format_args!("map_pirq {gsi}"), mapped, 0);
        let (result, port) = hypercall::bind_pirq(gsi as u32, true);
        report.expect(format_args!("bind_pirq {gsi}"), result, 0);
        report.expect(format_args!("unmask"), hypercall::unmask(port), 0);
        port
    });
    edu.raise();
    let mut lines = LINES.zip(ports);
    let found = lines.find(|&(_, port)| machine.comes(port));
    let (gsi, _) = found.expect("the line of edu did not arrive");
    edu.acknowledge();
    hypercall::two_words(TwoWordCommand::Eoi, gsi as u32);
    for (other, port) in LINES.zip(ports) {
        report.expect(format_args!("close {other}"), hypercall::close(port), 0);
        if other != gsi {
            let unmapped = hypercall::unmap_pirq(other);
            report.expect(format_args!("unmap_pirq {other}"), unmapped, 0);
        }
    }
    gsi
}

/// The line, and what asserts it.
struct Line {
    gsi: i32,
    edu: Edu,
}

impl Line {
    fn bind(&self, report: &mut Report<Console>, when: &str) -> u32 {
        let (result, port) = hypercall::bind_pirq(self.gsi as u32, true);
        report.expect(format_args!("bind_pirq {when}"), result, 0);
        report.expect(format_args!("unmask"), hypercall::unmask(port), 0);
        port
    }

    fn end(&self) -> i64 {
        hypercall::two_words(TwoWordCommand::Eoi, self.gsi as u32).0
    }

    /// Says what the pin has of these bits.
    fn pin(&self, report: &mut Report<Console>, when: &str, bits: u32, want: u32) {
        let (result, entry) = hypercall::read_pin(self.gsi as u32);
        report.expect(format_args!("apic_read {when}"), result, 0);
        report.expect_hex(
            format_args!("the pin {when}"),
            (entry & bits).into(),
            want.into(),
        );
    }

    /// Binds while the line is asserted, and once more after it was closed without an end of
    /// interrupt. Returns the channel.
    fn binds_while_asserted(&self, report: &mut Report<Console>, machine: &Machine) -> u32 {
        self.pin(
            report,
            "unbound",
            LOW | LEVEL | MASKED,
            LOW | LEVEL | MASKED,
        );
        self.edu.raise();
        let port = self.bind(report, "while asserted");
        let came = machine.arrives(port).into();
        report.expect(format_args!("event of a line that was up"), came, 1);
        report.expect(format_args!("close, no eoi"), hypercall::close(port), 0);
        self.pin(report, "closed", MASKED, MASKED);
        let end = machine.now() + SECOND;
        while machine.now() < end {}
        self.pin(report, "closed for a second", MASKED, MASKED);

        let port = self.bind(report, "again");
        let came = machine.arrives(port).into();
        report.expect(format_args!("event of a line that is still up"), came, 1);
        self.edu.acknowledge();
        report.expect(format_args!("eoi"), self.end(), 0);
        self.drain(machine, port);
        self.pin(report, "in use", LOW | LEVEL | MASKED, LOW | LEVEL);
        port
    }

    /// Takes what came because Xen ended the interrupt itself, while the line was up.
    fn drain(&self, machine: &Machine, port: u32) {
        while machine.takes(port) {
            self.end();
        }
    }

    /// Raises, acknowledges, ends and moves, again and again.
    fn moves(&self, report: &mut Report<Console>, machine: &Machine, port: u32) {
        let (mut came, mut failed) = (0, 0);
        for round in 0..ROUNDS {
            self.edu.raise();
            came += u32::from(machine.arrives(port));
            self.edu.acknowledge();
            failed += u32::from(self.end() != 0);
            self.drain(machine, port);
            failed += u32::from(hypercall::bind_vcpu(port, round % VCPUS) != 0);
            if round == ROUNDS / 2 {
                let result = hypercall::setup_gsi(self.gsi, Trigger::EdgeHigh);
                report.say(format_args!("setup_gsi, other trigger: {result}"));
                self.pin(report, "set up again", LOW | LEVEL | MASKED, LOW | LEVEL);
            }
            if came <= round {
                break;
            }
        }
        report.expect(format_args!("events"), came.into(), ROUNDS.into());
        report.expect(format_args!("calls that failed"), failed.into(), 0);
        let comes = machine.comes(port).into();
        report.expect(format_args!("event while the line is down"), comes, 0);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("intx", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
