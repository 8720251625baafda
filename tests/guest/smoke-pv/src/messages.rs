//! MSI and MSI-X of emulated devices, mapped, bound, raised, ended and unmapped, with the debug
//! keys in between.

use kernel::abi::MapPirq;
use kernel::devices::{E1000e, Edu};
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::pci::{self, Msi, Msix};
use kernel::pv::Machine;
use kernel::report::Report;
use kernel::source::message;

const EEXIST: i64 = -17;
const EBUSY: i64 = -16;
const EINVAL: i64 = -22;

/// `nvme`, for a table of more than one page's worth of unused entries.
pub(crate) const NVME: u32 = 0x0010_1b36;

/// Runs the checks.
pub(crate) fn check(report: &mut Report<Console>, machine: &mut Machine) {
    let edu_port = edu(report, machine);
    let ports = e1000e(report, machine);
    nvme(report);

    hypercall::debug_keys(report, "iMVQ", "messages bound");

    // Left bound until here, so that the debug keys showed them.
    let (pirq, port) = edu_port;
    report.expect(
        format_args!("edu: unmap_pirq while bound"),
        hypercall::unmap_pirq(pirq),
        0,
    );
    report.expect(format_args!("edu: close"), hypercall::close(port), 0);
    report.expect(
        format_args!("edu: unmap_pirq again"),
        hypercall::unmap_pirq(pirq),
        EINVAL,
    );
    for (pirq, port) in ports {
        report.expect(format_args!("e1000e: close"), hypercall::close(port), 0);
        report.expect(
            format_args!("e1000e: unmap_pirq"),
            hypercall::unmap_pirq(pirq),
            0,
        );
    }
    hypercall::debug_keys(report, "iM", "messages unmapped");
}

fn edu(report: &mut Report<Console>, machine: &mut Machine) -> (i32, u32) {
    let function = pci::find(Edu::ID).expect("no edu device");
    let edu = Edu::new(machine.map(function.bar(0)));
    let msi = Msi::of(function).expect("edu has no MSI");
    function.command(0, pci::COMMAND_MEMORY | pci::COMMAND_MASTER);
    report.expect_hex(
        format_args!("edu: identification"),
        (edu.identify() & 0xff).into(),
        0xed,
    );
    report.expect(
        format_args!("edu: pci_device_add"),
        hypercall::pci_device_add(function),
        0,
    );

    let mut map = message(function);
    report.expect(
        format_args!("edu: map_pirq"),
        hypercall::map_pirq(&mut map),
        0,
    );
    let pirq = map.pirq;
    let (result, port) = hypercall::bind_pirq(pirq as u32, false);
    report.expect(format_args!("edu: bind_pirq"), result, 0);
    report.expect(
        format_args!("edu: bind_pirq again"),
        hypercall::bind_pirq(pirq as u32, false).0,
        EEXIST,
    );
    report.say(format_args!("edu: pirq {pirq}, event channel {port}"));

    report.expect(format_args!("edu: unmask"), hypercall::unmask(port), 0);
    msi.set_control(true, 0);
    report.expect(
        format_args!("edu: MSI on"),
        (msi.control() & pci::MSI_ENABLE).into(),
        1,
    );
    for round in 0..3 {
        machine.mask(port);
        edu.pulse();
        report.expect(
            format_args!("edu: event of round {round}"),
            machine.arrives(port).into(),
            1,
        );
        report.expect(format_args!("edu: unmask"), hypercall::unmask(port), 0);
        report.expect(
            format_args!("edu: eoi"),
            hypercall::two_words(TwoWordCommand::Eoi, pirq as u32).0,
            0,
        );
    }
    report.expect(
        format_args!("edu: no event on its own"),
        machine.is_pending(port).into(),
        0,
    );

    // Nobody can mask this message: Xen keeps it in service until eoi, but a millisecond at most,
    // then the next one comes.
    edu.pulse();
    report.expect(format_args!("edu: event"), machine.arrives(port).into(), 1);
    edu.pulse();
    report.expect(
        format_args!("edu: second event without eoi"),
        machine.arrives(port).into(),
        1,
    );
    report.expect(
        format_args!("edu: eoi"),
        hypercall::two_words(TwoWordCommand::Eoi, pirq as u32).0,
        0,
    );
    report.expect(
        format_args!("edu: third event"),
        machine.comes(port).into(),
        0,
    );

    report.expect(
        format_args!("edu: restore_msi"),
        hypercall::restore_msi(0, function.devfn),
        0,
    );
    edu.pulse();
    report.expect(
        format_args!("edu: event after restore_msi"),
        machine.arrives(port).into(),
        1,
    );
    report.expect(
        format_args!("edu: eoi"),
        hypercall::two_words(TwoWordCommand::Eoi, pirq as u32).0,
        0,
    );
    (pirq, port)
}

fn e1000e(report: &mut Report<Console>, machine: &mut Machine) -> [(i32, u32); 5] {
    let function = pci::find(E1000e::ID).expect("no e1000e device");
    let e1000e = E1000e::new(machine.map(function.bar(0)));
    let msix = Msix::of(function).expect("e1000e has no MSI-X");
    function.command(0, pci::COMMAND_MEMORY | pci::COMMAND_MASTER);
    report.expect(
        format_args!("e1000e: pci_device_add"),
        hypercall::pci_device_add(function),
        0,
    );

    let mut ports = [(0, 0); 5];
    for (entry, slot) in ports.iter_mut().enumerate() {
        let mut map = MapPirq {
            entry_nr: entry as i32,
            table_base: msix.region,
            ..message(function)
        };
        report.expect(
            format_args!("e1000e: map_pirq of entry {entry}"),
            hypercall::map_pirq(&mut map),
            0,
        );
        let (result, port) = hypercall::bind_pirq(map.pirq as u32, false);
        report.expect(format_args!("e1000e: bind_pirq"), result, 0);
        report.expect(format_args!("e1000e: unmask"), hypercall::unmask(port), 0);
        report.say(format_args!(
            "e1000e: entry {entry}, pirq {}, event channel {port}",
            map.pirq
        ));
        *slot = (map.pirq, port);
    }
    // No INTx beside MSI-X, as a driver has it.
    function.command(0, pci::COMMAND_INTX_DISABLE);
    msix.set_control(pci::MSIX_ENABLE);
    report.expect_hex(
        format_args!("e1000e: MSI-X on"),
        (msix.control() & 0xc000).into(),
        0x8000,
    );
    e1000e.route();

    for (vector, &(pirq, port)) in ports.iter().enumerate() {
        for round in 0..2 {
            e1000e.raise(vector as u32);
            report.expect(
                format_args!("e1000e: event of entry {vector}, round {round}"),
                machine.arrives(port).into(),
                1,
            );
            machine.drain(port);
            report.expect(
                format_args!("e1000e: eoi"),
                hypercall::two_words(TwoWordCommand::Eoi, pirq as u32).0,
                0,
            );
        }
    }
    let others = ports
        .iter()
        .filter(|&&(_, port)| machine.is_pending(port))
        .count();
    report.expect(format_args!("e1000e: events left"), others as i64, 0);

    msix.set_control(pci::MSIX_ENABLE | pci::MSIX_MASK_ALL);
    let (pirq, port) = ports[2];
    e1000e.raise(2);
    report.expect(
        format_args!("e1000e: event while the function is masked"),
        machine.comes(port).into(),
        0,
    );
    msix.set_control(pci::MSIX_ENABLE);
    report.expect(
        format_args!("e1000e: event once it is not"),
        machine.arrives(port).into(),
        1,
    );
    report.expect(
        format_args!("e1000e: eoi"),
        hypercall::two_words(TwoWordCommand::Eoi, pirq as u32).0,
        0,
    );
    e1000e.quiet();
    ports
}

fn nvme(report: &mut Report<Console>) {
    let function = pci::find(NVME).expect("no nvme device");
    report.expect(
        format_args!("nvme: prepare_msix"),
        hypercall::prepare_msix(0, function.devfn, true),
        0,
    );
    report.expect(
        format_args!("nvme: prepare_msix again"),
        hypercall::prepare_msix(0, function.devfn, true),
        EBUSY,
    );
    report.expect(
        format_args!("nvme: release_msix"),
        hypercall::prepare_msix(0, function.devfn, false),
        0,
    );
    report.expect(
        format_args!("nvme: release_msix again"),
        hypercall::prepare_msix(0, function.devfn, false),
        EBUSY,
    );
}
