//! A PV dom0 whose devices have MSI-X entries that an earlier kernel left unmasked: entries that
//! are not set up send nothing once Xen has enabled MSI-X for another, and those that are set up
//! work.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::{E1000e, Edu, Xhci};
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::mmio::Window;
use kernel::msix::{CONTROL, DATA, ENTRY, HIGH, LOW, MASKED};
use kernel::pci::{self, Function, Msi, Msix};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source::{self, bound, device, message};

/// The entry that is set up first, and the one after it.
const USED: usize = 1;
const NEXT: usize = 2;

/// The disk, whose table has 65 entries.
const NVME: u32 = 0x0010_1b36;
/// The maker of the device with a table of several pages.
const VIRTIO: u16 = 0x1af4;

/// The most pages of a table here.
const PAGES: usize = 3;

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("stale-entries", Console);
    report.phase(
        300,
        format_args!("entries that an earlier kernel left unmasked"),
    );
    let mut machine = Machine::start(&mut report, start_info);
    let other = Other::new(&mut report, &mut machine);
    let mut stale = Stale::default();

    let function = device(&mut report, E1000e::ID);
    let e1000e = E1000e::new(machine.map(function.bar(0)));
    let table = Table::open(&mut machine, function);
    let nic = Sender {
        name: "e1000e",
        table,
        prepare: &|| e1000e.route(),
        raise: &|entry| e1000e.raise(entry as u32),
    };
    nic.check(&mut report, &machine, &other, &mut stale);
    e1000e.quiet();

    let function = device(&mut report, Xhci::ID);
    let xhci = source::xhci(&mut machine, function);
    let table = Table::open(&mut machine, function);
    let usb = Sender {
        name: "xhci",
        table,
        prepare: &|| xhci.set_up(),
        raise: &|entry| xhci.raise(entry),
    };
    usb.check(&mut report, &machine, &other, &mut stale);

    for (name, id) in [("nvme", Some(NVME)), ("virtio", None)] {
        let is_meant = |function: &Function| match id {
            Some(id) => function.id() == id,
            None => function.id() as u16 == VIRTIO,
        };
        let function = pci::functions()
            .find(is_meant)
            .expect("a device is missing");
        source::add(&mut report, function);
        let table = Table::open(&mut machine, function);
        table.leave_unmasked([(0xfee0_0000, 0x41); 2]);
        let (pirq, port) = table.bind(&mut report, name, USED);
        stale.entries += table.unmasked();
        end(&mut report, name, pirq, port);
    }

    report.count("stale-entries", stale.entries);
    report.count("stale-messages", stale.messages);
    hypercall::debug_keys(&mut report, "iMV", "all unmapped");
    report.result();
    report.end();
    hypercall::power_off()
}

/// What came of entries that are not set up.
#[derive(Default)]
struct Stale {
    /// How many were unmasked once another was set up.
    entries: u64,
    /// How many messages of theirs arrived, on whatever port.
    messages: u64,
}

/// Another device, whose message is in use all the time.
struct Other {
    message: (u64, u32),
    port: u32,
}

impl Other {
    fn new(report: &mut Report<Console>, machine: &mut Machine) -> Self {
        let function = device(report, Edu::ID);
        let edu = Edu::new(machine.map(function.bar(0)));
        let (pirq, port) = bound(report, "edu", &mut message(function));
        let msi = Msi::of(function).expect("edu has no MSI");
        msi.set_control(true, 0);
        edu.pulse();
        report.expect(format_args!("edu: event"), machine.arrives(port).into(), 1);
        hypercall::two_words(TwoWordCommand::Eoi, pirq);
        Self {
            message: (msi.address().into(), msi.data().into()),
            port,
        }
    }
}

/// A table, mapped so that it can be written, for that was before Xen knew of it.
struct Table {
    function: Function,
    msix: Msix,
    pages: [Option<Window>; PAGES],
}

impl Table {
    fn open(machine: &mut Machine, function: Function) -> Self {
        let msix = Msix::of(function).expect("no MSI-X");
        let first = msix.table & !0xfff;
        let last = (msix.table + (msix.entries * ENTRY) as u64 - 1) & !0xfff;
        let mut pages = [None; PAGES];
        for (page, address) in pages.iter_mut().zip((first..=last).step_by(0x1000)) {
            *page = Some(machine.map(address));
        }
        Self {
            function,
            msix,
            pages,
        }
    }

    fn entry(&self, number: usize) -> Window {
        let offset = (self.msix.table & 0xfff) as usize + number * ENTRY;
        let page = self.pages[offset >> 12].expect("a table of more pages");
        page.at(offset & 0xfff)
    }

    /// The entries that are not set up first.
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.msix.entries).filter(|&number| number != USED)
    }

    /// All entries but one get these messages by turns, and are unmasked. MSI-X is disabled
    /// meanwhile.
    fn leave_unmasked(&self, messages: [(u64, u32); 2]) {
        self.msix.set_control(0);
        for number in self.others() {
            let (address, data) = messages[number % 2];
            let entry = self.entry(number);
            entry.write32(LOW, address as u32);
            entry.write32(HIGH, (address >> 32) as u32);
            entry.write32(DATA, data);
            entry.write32(CONTROL, 0);
        }
    }

    /// How many entries that are not set up are not masked.
    fn unmasked(&self) -> u64 {
        let open = |&number: &usize| self.entry(number).read32(CONTROL) & MASKED == 0;
        self.others().filter(open).count() as u64
    }

    /// Has an entry set up, and MSI-X enabled: its pirq and event channel.
    fn bind(&self, report: &mut Report<Console>, name: &str, entry: usize) -> (u32, u32) {
        let mut map = MapPirq {
            entry_nr: entry as i32,
            table_base: self.msix.region,
            ..message(self.function)
        };
        let bound = bound(report, name, &mut map);
        self.function.command(0, pci::COMMAND_INTX_DISABLE);
        self.msix.set_control(pci::MSIX_ENABLE);
        bound
    }

    /// The message of an entry, as the device has it.
    fn message(&self, number: usize) -> (u64, u32) {
        let entry = self.entry(number);
        let high = u64::from(entry.read32(HIGH));
        (
            high << 32 | u64::from(entry.read32(LOW)),
            entry.read32(DATA),
        )
    }
}

/// A device that sends the message of any of its entries when it is told to.
struct Sender<'a> {
    name: &'a str,
    table: Table,
    /// Makes it ready, with MSI-X enabled.
    prepare: &'a dyn Fn(),
    raise: &'a dyn Fn(usize),
}

impl Sender<'_> {
    fn check(
        &self,
        report: &mut Report<Console>,
        machine: &Machine,
        other: &Other,
        stale: &mut Stale,
    ) {
        let (name, table) = (self.name, &self.table);
        // An entry gets the same place in the remapping table again, so this is its message later.
        let (pirq, port) = table.bind(report, name, USED);
        (self.prepare)();
        self.arrives(report, machine, (pirq, port), USED);
        let own = table.message(USED);
        end(report, name, pirq, port);

        table.leave_unmasked([own, other.message]);
        let (pirq, port) = table.bind(report, name, USED);
        (self.prepare)();
        stale.entries += table.unmasked();
        // A device may send one more message of the entry that was in use before.
        machine.drain(port);
        hypercall::two_words(TwoWordCommand::Eoi, pirq);
        machine.drain(port);
        for number in table.others() {
            (self.raise)(number);
            stale.messages += u64::from(machine.comes(port)) + u64::from(machine.comes(other.port));
        }
        self.arrives(report, machine, (pirq, port), USED);
        // What is set up later works.
        let (next_pirq, next_port) = table.bind(report, name, NEXT);
        machine.drain(next_port);
        hypercall::two_words(TwoWordCommand::Eoi, next_pirq);
        self.arrives(report, machine, (next_pirq, next_port), NEXT);
        end(report, name, next_pirq, next_port);
        end(report, name, pirq, port);
        table.msix.set_control(0);
    }

    /// Sends the message of an entry that is set up, which has to come.
    fn arrives(
        &self,
        report: &mut Report<Console>,
        machine: &Machine,
        (pirq, port): (u32, u32),
        entry: usize,
    ) {
        machine.drain(port);
        hypercall::two_words(TwoWordCommand::Eoi, pirq);
        (self.raise)(entry);
        report.expect(
            format_args!("{}: event of entry {entry}", self.name),
            machine.arrives(port).into(),
            1,
        );
        hypercall::two_words(TwoWordCommand::Eoi, pirq);
    }
}

/// Closes and unmaps an interrupt.
fn end(report: &mut Report<Console>, name: &str, pirq: u32, port: u32) {
    report.expect(format_args!("{name}: close"), hypercall::close(port), 0);
    report.expect(
        format_args!("{name}: unmap_pirq"),
        hypercall::unmap_pirq(pirq as i32),
        0,
    );
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("stale-entries", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
