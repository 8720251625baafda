//! A PV dom0 that writes something to the bits of an MSI-X vector control that are the device's,
//! and reads them after each thing that Xen does to the entry.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::{E1000e, Xhci};
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::mmio::Window;
use kernel::msix::{CONTROL, ENTRY, MASKED};
use kernel::pci::{self, Function, Msix};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source::{self, device, message};

/// The entry that is set up.
const NUMBER: usize = 2;

/// What the device has in bits 31:1.
const OWN: u32 = 0x5a5a_0000;

/// How often the interrupt moves to the other processor and back.
const MOVES: u32 = 20;

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("vector-control", Console);
    report.phase(120, format_args!("an entry's vector control"));
    let mut machine = Machine::start(&mut report, start_info);

    let function = device(&mut report, Xhci::ID);
    let xhci = source::xhci(&mut machine, function);
    let mut ready = false;
    let entry = Entry::of("xhci", &mut machine, function);
    entry.check(&mut report, &machine, || {
        if !ready {
            xhci.set_up();
            ready = true;
        }
        xhci.raise(NUMBER);
    });

    let function = device(&mut report, E1000e::ID);
    let e1000e = E1000e::new(machine.map(function.bar(0)));
    let entry = Entry::of("e1000e", &mut machine, function);
    entry.check(&mut report, &machine, || {
        e1000e.route();
        e1000e.raise(NUMBER as u32);
    });

    report.result();
    report.end();
    hypercall::power_off()
}

/// An entry of a device's table.
struct Entry {
    device: &'static str,
    msix: Msix,
    registers: Window,
}

impl Entry {
    fn of(device: &'static str, machine: &mut Machine, function: Function) -> Self {
        let msix = Msix::of(function).expect("no MSI-X");
        let page = machine.map(msix.table);
        let offset = msix.table as usize % 4096 + NUMBER * ENTRY;
        Self {
            device,
            msix,
            registers: page.at(offset),
        }
    }

    /// Says whether vector control is as it must be.
    fn look(&self, report: &mut Report<Console>, after: &str, mask: u32) {
        report.expect_hex(
            format_args!("{}: vector control after {after}", self.device),
            self.registers.read32(CONTROL).into(),
            (OWN | mask).into(),
        );
    }

    fn check(&self, report: &mut Report<Console>, machine: &Machine, mut raise: impl FnMut()) {
        self.registers.write32(CONTROL, OWN | MASKED);
        self.look(report, "the device's write", MASKED);
        // Once more, for what the end of the first leaves.
        for _ in 0..2 {
            self.cycle(report, machine, &mut raise);
        }
        self.msix.set_control(0);
    }

    /// All that happens to an entry from its set-up to its end.
    fn cycle(&self, report: &mut Report<Console>, machine: &Machine, raise: &mut impl FnMut()) {
        let function = self.msix.function;
        let mut map = MapPirq {
            entry_nr: NUMBER as i32,
            table_base: self.msix.region,
            ..message(function)
        };
        report.expect(format_args!("map_pirq"), hypercall::map_pirq(&mut map), 0);
        self.look(report, "map_pirq", MASKED);
        let (result, port) = hypercall::bind_pirq(map.pirq as u32, false);
        report.expect(format_args!("bind_pirq"), result, 0);
        self.look(report, "bind_pirq", 0);
        report.expect(format_args!("unmask"), hypercall::unmask(port), 0);
        function.command(0, pci::COMMAND_INTX_DISABLE);
        self.msix.set_control(pci::MSIX_ENABLE);
        self.look(report, "MSI-X was enabled", 0);

        let mut arrived = 0;
        for round in 0..MOVES {
            report.expect(
                format_args!("bind_vcpu"),
                hypercall::bind_vcpu(port, round % 2),
                0,
            );
            raise();
            // An interrupt moves when it comes: it is masked for that.
            arrived += i64::from(machine.arrives(port));
            hypercall::two_words(TwoWordCommand::Eoi, map.pirq as u32);
            hypercall::every_processor_answers();
            machine.drain(port);
            self.look(report, "a move", 0);
        }
        report.expect(format_args!("events"), arrived, MOVES.into());

        self.msix.set_control(pci::MSIX_ENABLE | pci::MSIX_MASK_ALL);
        self.look(report, "all were masked", 0);
        self.msix.set_control(pci::MSIX_ENABLE);
        let restored = hypercall::restore_msi(0, function.devfn);
        report.expect(format_args!("restore_msi_ext"), restored, 0);
        self.look(report, "restore_msi_ext", 0);
        report.expect(format_args!("close"), hypercall::close(port), 0);
        self.look(report, "close", MASKED);
        report.expect(
            format_args!("unmap_pirq"),
            hypercall::unmap_pirq(map.pirq),
            0,
        );
        self.look(report, "unmap_pirq", MASKED);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("vector-control", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
