//! MSI-X through vPCI: the table, the masks of entry and function, updates, illegal values, the
//! pending bits.

use kernel::devices::E1000e;
use kernel::hypercall;
use kernel::interrupts::reached;
use kernel::mmio::Window;
use kernel::pci::{self, MSIX_ENABLE, MSIX_MASK_ALL, Msix};

use crate::Transcript;
use crate::msi::address;

/// `nvme`: 65 entries, so that the debug key crosses the place where it lets others run.
const NVME: u32 = 0x0010_1b36;

/// Bytes of an entry, and the places of its parts.
const ENTRY: usize = 16;
const HIGH: usize = 4;
const DATA: usize = 8;
const CONTROL: usize = 12;

/// Runs the checks.
pub(crate) fn check(report: &mut Transcript) {
    e1000e(report);
    nvme(report);
}

fn open(id: u32) -> (Msix, Window) {
    let function = pci::find(id).expect("device missing");
    function.command(
        0,
        pci::COMMAND_MEMORY | pci::COMMAND_MASTER | pci::COMMAND_INTX_DISABLE,
    );
    let msix = Msix::of(function).expect("no MSI-X");
    // SAFETY: a memory region of a function of dom0, at its own address.
    (msix, unsafe { Window::new(msix.table as usize) })
}

fn e1000e(report: &mut Transcript) {
    let (msix, table) = open(E1000e::ID);
    // SAFETY: as for the table.
    let device = E1000e::new(unsafe { Window::new(msix.function.bar(0) as usize) });
    // SAFETY: as for the table.
    let pending = unsafe { Window::new(msix.pending as usize) };
    let entry = |number: usize| table.at(number * ENTRY);
    let send = |report: &mut Transcript, what: &str, number: u32, vector: u8, want: u32| {
        let got = reached(vector, want, || device.raise(number));
        report.expect(
            format_args!("e1000e: {what}: entry {number}, vector {vector:#x} on processors"),
            got.into(),
            want.into(),
        );
    };
    let control = |report: &mut Transcript, what: &str, bits: u16| {
        msix.set_control(bits);
        report.expect_hex(
            format_args!("e1000e: {what}"),
            msix.control().into(),
            u64::from(bits | 4),
        );
    };
    device.route();

    for number in 0..msix.entries {
        let now = [entry(number).read64(0), entry(number).read64(DATA)];
        report.say(format_args!(
            "e1000e: entry {number} as found: {:#x} {:#x}",
            now[0], now[1]
        ));
    }
    accesses(report, table, msix.entries);

    // Even entries go to the first processor and are written by doublewords, odd ones to the
    // second, by quadwords.
    for number in 0..msix.entries {
        let target = address(number as u32 % 2 * 2);
        let data = 0x50 + number as u32;
        if number % 2 == 0 {
            entry(number).write32(0, target as u32);
            entry(number).write32(HIGH, 0);
            entry(number).write32(DATA, data);
        } else {
            entry(number).write64(0, target);
            entry(number).write64(DATA, u64::from(data) | 1 << 32);
        }
        report.expect_hex(
            format_args!("e1000e: entry {number} address"),
            entry(number).read64(0),
            target,
        );
        report.expect_hex(
            format_args!("e1000e: entry {number} data and control"),
            entry(number).read64(DATA),
            u64::from(data) | 1 << 32,
        );
    }

    control(
        report,
        "enabled, function masked",
        MSIX_ENABLE | MSIX_MASK_ALL,
    );
    for number in 0..4 {
        entry(number).write32(CONTROL, 0);
        report.expect(
            format_args!("e1000e: entry {number} control"),
            entry(number).read32(CONTROL).into(),
            0,
        );
    }
    hypercall::debug_keys(report, "M", "function masked");
    control(report, "enabled", MSIX_ENABLE);
    for number in 0..4 {
        send(
            report,
            "first",
            number,
            0x50 + number as u8,
            1 << (number % 2),
        );
    }
    send(report, "masked since reset", 4, 0x54, 0);
    entry(4).write32(CONTROL, 0);
    send(report, "unmasked late", 4, 0x54, 1);

    entry(0).write32(CONTROL, 1);
    send(report, "masked", 0, 0x50, 0);
    report.expect_hex(format_args!("e1000e: pending bits"), pending.read64(0), 1);
    let got = reached(0x50, 1, || entry(0).write32(CONTROL, 0));
    report.expect(
        format_args!("e1000e: unmasked with a message pending"),
        got.into(),
        1,
    );
    report.expect_hex(
        format_args!("e1000e: pending bits"),
        pending.read32(0).into(),
        0,
    );

    entry(1).write32(DATA, 0x61);
    send(report, "data changed while unmasked", 1, 0x51, 2);
    entry(1).write32(CONTROL, 1);
    entry(1).write32(CONTROL, 0);
    send(report, "after masking and unmasking", 1, 0x61, 2);
    entry(1).write64(DATA, 1 << 32 | 0x62);
    entry(1).write64(0, address(0));
    entry(1).write64(DATA, 0x63);
    send(report, "moved to the first processor", 1, 0x63, 1);

    control(report, "function masked", MSIX_ENABLE | MSIX_MASK_ALL);
    send(report, "function masked", 2, 0x52, 0);
    let got = reached(0x52, 1, || msix.set_control(MSIX_ENABLE));
    report.expect(
        format_args!("e1000e: function unmasked with a message pending"),
        got.into(),
        1,
    );

    // Not a message to a local APIC: Xen logs two errors and leaves the entry unbound.
    entry(3).write32(CONTROL, 1);
    entry(3).write32(0, 0xfed0_0000);
    entry(3).write32(CONTROL, 0);
    send(report, "unsupported address", 3, 0x53, 0);
    hypercall::debug_keys(report, "M", "entry with an unsupported address");
    entry(3).write32(CONTROL, 1);
    entry(3).write32(0, address(2) as u32);
    entry(3).write32(CONTROL, 0);
    send(report, "supported address again", 3, 0x53, 2);

    control(report, "disabled", 0);
    send(report, "disabled", 2, 0x52, 0);
    device.quiet();
    control(report, "enabled again", MSIX_ENABLE);
    send(report, "enabled again", 2, 0x52, 1);
    send(report, "enabled again", 3, 0x53, 2);
    control(report, "disabled at last", 0);
}

/// Accesses of every width and alignment, to an entry and beside the table.
fn accesses(report: &mut Transcript, table: Window, entries: usize) {
    for (what, place) in [("entry 1", ENTRY), ("beside the table", entries * ENTRY)] {
        let here = table.at(place);
        here.write32(0, 0x1234_5678);
        here.write32(HIGH, 0x9abc_def0);
        report.say(format_args!(
            "{what}: bytes {:#x} {:#x}, words {:#x} {:#x}, doublewords {:#x} {:#x}, quadword {:#x}",
            here.read8(0),
            here.read8(3),
            here.read16(0),
            here.read16(1),
            here.read32(0),
            here.read32(2),
            here.read64(0)
        ));
        here.write8(0, 0x11);
        here.write16(2, 0x2222);
        here.write32(6, 0x3333_3333);
        report.say(format_args!(
            "{what}: after odd writes {:#x} {:#x}",
            here.read64(0),
            here.read64(DATA)
        ));
        let mut words = [0; 4];
        here.write_rep32(0, &[0xa, 0xb, 0xc, 1]);
        here.read_rep32(0, &mut words);
        report.say(format_args!("{what}: after rep movsd {words:x?}"));
        let mut words = [0; 2];
        here.write_rep64(0, &[0, 1 << 32]);
        here.read_rep64(0, &mut words);
        report.say(format_args!("{what}: after rep movsq {words:x?}"));
    }
}

fn nvme(report: &mut Transcript) {
    let (msix, table) = open(NVME);
    report.expect(format_args!("nvme: entries"), msix.entries as i64, 65);
    msix.set_control(MSIX_ENABLE);
    for number in [0, 1, 64] {
        let entry = table.at(number * ENTRY);
        entry.write64(0, address(0));
        entry.write64(DATA, 0x70);
    }
    hypercall::debug_keys(report, "Mi", "65 entries");
    msix.set_control(0);
    hypercall::debug_keys(report, "M", "MSI-X off");
}
