//! A PV dom0 whose devices are behind bridges. Their messages arrive under the bridge's name, and
//! the IOMMU lets them through only if the remapping entry names the right source.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::{E1000e, Edu};
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::pci::{self, Function, Msi, Msix};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source;

pv_entry!(main);

/// A root port, a bridge from PCI Express to PCI, and one of old from PCI to PCI.
const ROOT_PORT: u32 = 0x3420_8086;
const EXPRESS_TO_PCI: u32 = 0x000e_1b36;
const PCI_TO_PCI: u32 = 0x244e_8086;

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("bridges", Console);
    report.phase(60, format_args!("messages from behind bridges"));
    let mut machine = Machine::start(&mut report, start_info);
    if start_info.line().ends_with(b"renumber") {
        renumbered(&mut report, &mut machine);
        report.result();
        report.end();
        hypercall::power_off()
    }
    let bound = [
        express(&mut report, &mut machine, ROOT_PORT),
        conventional(&mut report, &mut machine, EXPRESS_TO_PCI),
        conventional(&mut report, &mut machine, PCI_TO_PCI),
    ];
    hypercall::debug_keys(&mut report, "MV", "all bound");
    for (pirq, port) in bound {
        report.expect(format_args!("close"), hypercall::close(port), 0);
        report.expect(
            format_args!("unmap_pirq"),
            hypercall::unmap_pirq(pirq as i32),
            0,
        );
    }
    report.result();
    report.end();
    hypercall::power_off()
}

/// A bridge is registered before its buses are numbered, and a device behind another one has its
/// interrupt moved, and set up again.
fn renumbered(report: &mut Report<Console>, machine: &mut Machine) {
    /// Primary, secondary and subordinate bus.
    const BUSES: u8 = 0x18;
    const ENXIO: i64 = 6;

    let (pirq, port) = conventional(report, machine, EXPRESS_TO_PCI);
    let above = pci::find(EXPRESS_TO_PCI).expect("no such bridge");
    let mut behind = pci::functions_behind(above).filter(|function| function.id() == Edu::ID);
    let function = behind.next().expect("no such device behind the bridge");
    let edu = Edu::new(machine.map(function.bar(0)));
    hypercall::debug_keys(report, "V", "before");

    let port_above = pci::find(ROOT_PORT).expect("no such bridge");
    let liar = pci::functions_behind(port_above).find(|other| other.id() == EXPRESS_TO_PCI);
    let liar = liar.expect("no such bridge behind the root port");
    source::add(report, liar);
    report.expect(
        format_args!("pci_device_remove"),
        hypercall::pci_device_remove(liar),
        0,
    );
    let buses = liar.read32(BUSES);
    liar.write32(BUSES, 0);
    source::add(report, liar);

    for vcpu in [1, 0, 1] {
        report.expect(
            format_args!("bind_vcpu {vcpu}"),
            hypercall::bind_vcpu(port, vcpu),
            0,
        );
        // An interrupt moves when it comes.
        for _ in 0..2 {
            edu.pulse();
            arrives(report, machine, (pirq, port));
        }
    }
    hypercall::debug_keys(report, "V", "after the moves");

    report.expect(format_args!("close"), hypercall::close(port), 0);
    let unmapped = hypercall::unmap_pirq(pirq as i32);
    report.expect(format_args!("unmap_pirq"), unmapped, 0);
    let again = hypercall::map_pirq(&mut source::message(function));
    report.expect(
        format_args!("map_pirq with the source unknown"),
        again,
        -ENXIO,
    );
    liar.write32(BUSES, buses);
}

/// A device of PCI Express, with MSI-X.
fn express(report: &mut Report<Console>, machine: &mut Machine, bridge: u32) -> (u32, u32) {
    let function = behind(report, bridge, E1000e::ID);
    let e1000e = E1000e::new(machine.map(function.bar(0)));
    let msix = Msix::of(function).expect("e1000e has no MSI-X");
    let mut map = MapPirq {
        table_base: msix.region,
        ..source::message(function)
    };
    let bound = source::bound(report, "e1000e", &mut map);
    msix.set_control(pci::MSIX_ENABLE);
    e1000e.route();
    e1000e.raise(0);
    arrives(report, machine, bound);
    e1000e.quiet();
    bound
}

/// A device of conventional PCI, with MSI.
fn conventional(report: &mut Report<Console>, machine: &mut Machine, bridge: u32) -> (u32, u32) {
    let function = behind(report, bridge, Edu::ID);
    let edu = Edu::new(machine.map(function.bar(0)));
    let bound = source::bound(report, "edu", &mut source::message(function));
    Msi::of(function)
        .expect("edu has no MSI")
        .set_control(true, 0);
    edu.pulse();
    arrives(report, machine, bound);
    bound
}

/// Finds a device behind a bridge, and makes Xen know both.
fn behind(report: &mut Report<Console>, bridge: u32, device: u32) -> Function {
    let bridge = pci::find(bridge).expect("no such bridge");
    let function = pci::functions_behind(bridge).find(|function| function.id() == device);
    let function = function.expect("no such device behind the bridge");
    source::add(report, bridge);
    source::add(report, function);
    function
}

fn arrives(report: &mut Report<Console>, machine: &Machine, (pirq, port): (u32, u32)) {
    report.expect(format_args!("  event"), machine.arrives(port).into(), 1);
    machine.drain(port);
    let (result, _) = hypercall::two_words(TwoWordCommand::Eoi, pirq);
    report.expect(format_args!("  eoi"), result, 0);
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("bridges", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
