//! A PV dom0 whose NIC loses its power while five of its messages are bound: every read of its
//! registers answers all ones or zero. Everything that a driver may still ask Xen for is asked,
//! then the NIC gets its power back and all begins again.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::E1000e;
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::pci::{self, Function, Msix};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source;

pv_entry!(main);

const ROOT_PORT: u32 = 0x3420_8086;

/// Cycles of losing the power and getting it back.
const CYCLES: usize = 4;

/// A message that is bound: its pirq and event channel.
type Bound = (u32, u32);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("unplugger", Console);
    report.phase(
        120,
        format_args!("a device disappears with interrupts bound"),
    );
    let mut machine = Machine::start(&mut report, start_info);
    let port = pci::find(ROOT_PORT).expect("no root port");
    let slot = Slot::of(port);
    let nic = pci::functions_behind(port).find(|function| function.id() == E1000e::ID);
    let nic = nic.expect("no e1000e behind the root port");
    let regions = Regions::of(nic);
    source::add(&mut report, port);
    let registers = E1000e::new(machine.map(nic.bar(0)));
    hypercall::debug_keys(&mut report, "MV", "before");
    for cycle in 0..CYCLES {
        report.say(format_args!("cycle {cycle}"));
        let bound = start(&mut report, &machine, nic, registers);
        slot.power(false);
        report.expect_hex(
            format_args!("the NIC is gone"),
            nic.id().into(),
            0xffff_ffff,
        );
        ask(&mut report, nic, bound);
        if cycle + 1 == CYCLES {
            hypercall::debug_keys(&mut report, "MV", "after");
        }
        slot.power(true);
        regions.restore(nic);
        report.expect_hex(
            format_args!("the NIC is back"),
            nic.id().into(),
            E1000e::ID.into(),
        );
    }
    report.result();
    report.end();
    hypercall::power_off()
}

/// Makes Xen know the NIC, and has five messages bound and delivered.
fn start(
    report: &mut Report<Console>,
    machine: &Machine,
    nic: Function,
    registers: E1000e,
) -> [Bound; 5] {
    source::add(report, nic);
    let msix = Msix::of(nic).expect("e1000e has no MSI-X");
    let mut bound = [(0, 0); 5];
    for (entry, slot) in bound.iter_mut().enumerate() {
        let mut map = MapPirq {
            entry_nr: entry as i32,
            table_base: msix.region,
            ..source::message(nic)
        };
        *slot = source::bound(report, "e1000e", &mut map);
    }
    nic.command(0, pci::COMMAND_INTX_DISABLE);
    msix.set_control(pci::MSIX_ENABLE);
    registers.route();
    for (entry, &(pirq, port)) in bound.iter().enumerate() {
        registers.raise(entry as u32);
        report.expect(
            format_args!("event of entry {entry}"),
            machine.arrives(port).into(),
            1,
        );
        machine.drain(port);
        let (result, _) = hypercall::two_words(TwoWordCommand::Eoi, pirq);
        report.expect(format_args!("eoi"), result, 0);
    }
    registers.quiet();
    bound
}

/// Asks Xen for everything that a driver and dom0 may ask for, in the order of a driver that does
/// not know yet, and of dom0 that does.
fn ask(report: &mut Report<Console>, nic: Function, bound: [Bound; 5]) {
    for (pirq, port) in bound {
        let (result, _) = hypercall::two_words(TwoWordCommand::Eoi, pirq);
        report.expect(format_args!("gone: eoi"), result, 0);
        report.expect(format_args!("gone: unmask"), hypercall::unmask(port), 0);
        for vcpu in [1, 0] {
            // Whether there is a second vCPU does not matter.
            report.say(format_args!(
                "gone: bind_vcpu {vcpu}: {}",
                hypercall::bind_vcpu(port, vcpu)
            ));
        }
    }
    report.say(format_args!(
        "gone: restore_msi_ext: {}",
        hypercall::restore_msi(nic.bus, nic.devfn)
    ));
    for (pirq, port) in bound {
        report.expect(format_args!("gone: close"), hypercall::close(port), 0);
        report.expect(
            format_args!("gone: unmap_pirq"),
            hypercall::unmap_pirq(pirq as i32),
            0,
        );
    }
    report.say(format_args!(
        "gone: release_msix: {}",
        hypercall::prepare_msix(nic.bus, nic.devfn, false)
    ));
    report.expect(
        format_args!("gone: pci_device_remove"),
        hypercall::pci_device_remove(nic),
        0,
    );
}

/// The slot of a root port, whose power a driver controls.
struct Slot {
    port: Function,
    control: u8,
}

impl Slot {
    const CAPABILITY_EXPRESS: u8 = 0x10;
    const CONTROL: u8 = 0x18;
    const POWER_OFF: u16 = 1 << 10;
    /// The indicator stays on: the emulator takes the device away for good where it is off, too.
    const INDICATOR: u16 = 3 << 8;
    const INDICATOR_ON: u16 = 1 << 8;

    fn of(port: Function) -> Self {
        let position = port.capability(Self::CAPABILITY_EXPRESS);
        Self {
            port,
            control: position.expect("no slot") + Self::CONTROL,
        }
    }

    fn power(&self, on: bool) {
        let control = self.port.read16(self.control) & !(Self::POWER_OFF | Self::INDICATOR);
        let power = if on { 0 } else { Self::POWER_OFF };
        self.port
            .write16(self.control, control | Self::INDICATOR_ON | power);
    }
}

/// What a function loses with its power: where its memory regions are.
struct Regions([u32; 6]);

impl Regions {
    fn register(index: usize) -> u8 {
        0x10 + index as u8 * 4
    }

    fn of(function: Function) -> Self {
        Self(core::array::from_fn(|index| {
            function.read32(Self::register(index))
        }))
    }

    fn restore(&self, function: Function) {
        for (index, &region) in self.0.iter().enumerate() {
            function.write32(Self::register(index), region);
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("unplugger", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
