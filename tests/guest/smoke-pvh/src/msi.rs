//! MSI through vPCI: enable, every kind of destination, updates while enabled, illegal values,
//! several vectors, mask bits.

use kernel::devices::Edu;
use kernel::hypercall;
use kernel::interrupts::reached;
use kernel::lapic::Lapic;
use kernel::mmio::Window;
use kernel::pci::{self, Function, Msi};

use crate::Transcript;

/// Where messages to local APICs are written.
const HEADER: u64 = 0xfee0_0000;
/// Message address: the destination is a logical one.
const LOGICAL: u64 = 1 << 2;
/// Message address: the destination is a hint.
const HINT: u64 = 1 << 3;
/// Message data: deliver to the processor of lowest priority.
const LOWEST_PRIORITY: u16 = 1 << 8;
/// Message data: a delivery mode that devices may not use here.
const SYSTEM_MANAGEMENT: u16 = 2 << 8;

/// QEMU's PCI Express root port: two MSI vectors with mask bits.
const ROOT_PORT: u32 = 0x3420_8086;
/// NEC's USB controller: many MSI vectors.
const XHCI: u32 = 0x0194_1033;

/// A message address for a destination.
pub(crate) fn address(destination: u32) -> u64 {
    HEADER | u64::from(destination) << 12
}

/// Runs the checks.
pub(crate) fn check(report: &mut Transcript) {
    destinations(report);
    several(
        report,
        "root port",
        pci::find(ROOT_PORT).expect("no root port"),
        1,
    );
    several(report, "xhci", pci::find(XHCI).expect("no xhci"), 3);
}

fn destinations(report: &mut Transcript) {
    let function = pci::find(Edu::ID).expect("no edu device");
    function.command(
        0,
        pci::COMMAND_MEMORY | pci::COMMAND_MASTER | pci::COMMAND_INTX_DISABLE,
    );
    // SAFETY: vPCI maps the memory regions of dom0's functions one to one.
    let edu = Edu::new(unsafe { Window::new(function.bar(0) as usize) });
    report.expect_hex(
        format_args!("edu: identification"),
        (edu.identify() & 0xff).into(),
        0xed,
    );
    let msi = Msi::of(function).expect("edu has no MSI");
    let send = |report: &mut Transcript, what: &str, vector: u8, want: u32| {
        let got = reached(vector, want, || edu.pulse());
        report.expect(
            format_args!("edu: {what}: vector {vector:#x} on processors"),
            got.into(),
            want.into(),
        );
    };

    msi.set_address(address(0));
    msi.set_data(0x41);
    report.expect_hex(
        format_args!("edu: address before enable"),
        msi.address().into(),
        address(0),
    );
    report.expect_hex(
        format_args!("edu: data before enable"),
        msi.data().into(),
        0x41,
    );
    send(report, "disabled", 0x41, 0);
    msi.set_control(true, 0);
    report.expect_hex(format_args!("edu: control"), msi.control().into(), 0x81);
    send(report, "physical 0", 0x41, 1);
    send(report, "physical 0 again", 0x41, 1);
    msi.set_data(0x42);
    send(report, "data changed while enabled", 0x42, 1);
    send(report, "data changed while enabled, old vector", 0x41, 0);

    msi.set_address(address(2));
    send(report, "physical 2", 0x42, 2);
    msi.set_address(address(0xff));
    send(report, "physical broadcast", 0x42, 3);
    msi.set_address(address(1) | LOGICAL);
    send(report, "logical 1", 0x42, 1);
    msi.set_address(address(2) | LOGICAL);
    send(report, "logical 2", 0x42, 2);
    msi.set_address(address(3) | LOGICAL);
    send(report, "logical 3", 0x42, 3);
    hypercall::debug_keys(report, "M", "logical destination");

    // The task priority makes the choice: whoever has the lower one gets the message.
    msi.set_address(address(3) | LOGICAL | HINT);
    msi.set_data(0x43 | LOWEST_PRIORITY);
    Lapic::new().set_task_priority(0x70);
    send(report, "lowest priority, first processor busy", 0x43, 2);
    Lapic::new().set_task_priority(0);
    msi.set_address(address(1) | LOGICAL | HINT);
    send(report, "lowest priority among one", 0x43, 1);
    hypercall::debug_keys(report, "M", "lowest priority");
    msi.set_address(address(0x10) | LOGICAL | HINT);
    send(report, "lowest priority among none", 0x43, 0);
    msi.set_address(address(0));
    msi.set_data(0x44 | SYSTEM_MANAGEMENT);
    send(report, "unsupported delivery mode", 0x44, 0);
    msi.set_data(0x45);
    msi.set_address(address(0x40));
    send(report, "nobody", 0x45, 0);

    // Not a message to a local APIC: Xen logs an error and binds nothing.
    msi.set_address(0xfed0_0000);
    report.expect_hex(
        format_args!("edu: unsupported address"),
        msi.address().into(),
        0xfed0_0000,
    );
    send(report, "unsupported address", 0x45, 0);
    msi.set_address(address(0));
    send(report, "supported address again", 0x45, 1);
    msi.set_control(false, 0);
    msi.set_address(0xfed0_0000);
    msi.set_control(true, 0);
    report.expect_hex(
        format_args!("edu: control with unsupported address"),
        msi.control().into(),
        0x81,
    );
    send(report, "enabled with unsupported address", 0x45, 0);
    hypercall::debug_keys(report, "M", "unsupported address");
    msi.set_address(address(2));
    send(report, "supported address after enable", 0x45, 2);
    msi.set_control(false, 0);
    send(report, "disabled again", 0x45, 0);
}

/// Enables several vectors, whose numbers wrap within their block, and walks the mask bits if there
/// are any.
fn several(report: &mut Transcript, name: &str, function: Function, log_vectors: u16) {
    let msi = Msi::of(function).expect("no MSI");
    function.command(0, pci::COMMAND_MASTER);
    msi.set_address(address(0));
    msi.set_data(0x4f);
    msi.set_control(true, log_vectors);
    report.expect_hex(
        format_args!("{name}: control"),
        (msi.control() & 0x71).into(),
        u64::from(log_vectors) << 4 | 1,
    );
    if msi.is_maskable() {
        for mask in [1, 3, 2, 0] {
            msi.set_mask(mask);
            report.expect_hex(
                format_args!("{name}: mask bits"),
                msi.mask().into(),
                mask.into(),
            );
        }
        msi.set_mask(2);
    }
    msi.set_data(0x57);
    msi.set_address(address(2));
    hypercall::debug_keys(report, "M", name);
    // Fewer vectors while enabled: all are bound anew.
    msi.set_control(true, log_vectors - 1);
    report.expect_hex(
        format_args!("{name}: control"),
        (msi.control() & 0x71).into(),
        u64::from(log_vectors - 1) << 4 | 1,
    );
    hypercall::debug_keys(report, "M", name);
    msi.set_control(false, 0);
    report.expect_hex(
        format_args!("{name}: control"),
        (msi.control() & 0x71).into(),
        0,
    );
}
