//! What sends messages to a PV kernel, one at a time from each source, and whether they arrive.

use core::cell::UnsafeCell;

use crate::abi::{self, MapPirq};
use crate::devices::{Edu, EventRing, Xhci};
use crate::hypercall::{self, Console, TwoWordCommand};
use crate::pci::{self, Function, Msi, Msix};
use crate::pv::Machine;
use crate::report::Report;

/// How a message is sent.
#[derive(Clone, Copy)]
enum Device {
    Edu(Edu),
    Xhci(Xhci, usize),
}

/// Something that sends one message at a time.
#[derive(Clone, Copy)]
pub struct Source {
    /// What reports call it.
    pub name: &'static str,
    device: Device,
    pirq: u32,
    port: u32,
    /// How many messages were sent.
    pub sent: u64,
    /// How many of them arrived.
    pub received: u64,
    /// How many arrived that were not sent.
    pub extra: u64,
}

impl Source {
    /// Whether a message is on its way.
    pub fn waits(&self) -> bool {
        self.sent > self.received
    }

    /// Takes the message that arrived, or sends the next one when none is on its way.
    pub fn step(&mut self, machine: &Machine) {
        if self.waits() {
            self.received += u64::from(self.takes(machine));
            return;
        }
        self.tidy(machine);
        self.sent += 1;
        match self.device {
            Device::Edu(edu) => edu.pulse(),
            Device::Xhci(xhci, interrupter) => xhci.raise(interrupter),
        }
    }

    /// Takes a message that nobody sent, if there is one.
    pub fn tidy(&mut self, machine: &Machine) {
        self.extra += u64::from(self.takes(machine));
    }

    fn takes(&self, machine: &Machine) -> bool {
        let taken = machine.takes(self.port);
        if taken {
            hypercall::two_words(TwoWordCommand::Eoi, self.pirq);
        }
        taken
    }

    /// Has another vCPU take its events: whether it does now.
    pub fn move_to(&self, vcpu: u32) -> bool {
        hypercall::bind_vcpu(self.port, vcpu) == 0
    }
}

/// The functions that the sources are.
pub const FUNCTIONS: [u32; 2] = [Edu::ID, Xhci::ID];

/// Messages of each source in an exchange.
const MESSAGES: u64 = 100;

/// How long an exchange may take, in nanoseconds: the emulator may be starved for seconds.
const PATIENCE: u64 = 20_000_000_000;

/// Has each source send messages, one after the other, and sees that all arrive.
pub fn exchange(
    report: &mut Report<Console>,
    machine: &Machine,
    sources: &mut [Source],
    when: &str,
) {
    for source in sources {
        let wanted = source.sent + MESSAGES;
        let end = machine.now() + PATIENCE;
        while source.received < wanted && machine.now() < end {
            source.step(machine);
        }
        report.expect(
            format_args!("{}: messages sent {when}", source.name),
            source.sent as i64,
            wanted as i64,
        );
        report.expect(
            format_args!("{}: messages received {when}", source.name),
            source.received as i64,
            wanted as i64,
        );
    }
}

/// What marks a moment for whoever watches configuration space from outside.
#[derive(Clone, Copy)]
pub struct Marker(Function);

impl Marker {
    /// The last registers of a function, which nothing else reads.
    const REGISTER: u8 = 0xfc;
    const OTHER: u8 = 0xf8;

    /// Finds the function.
    pub fn find() -> Self {
        Self(pci::find(Edu::ID).expect("a device is missing"))
    }

    /// Marks this moment.
    pub fn mark(self) {
        self.0.read32(Self::REGISTER);
    }

    /// Marks this moment in another way.
    pub fn mark_other(self) {
        self.0.read32(Self::OTHER);
    }
}

const NAMES: [&str; 5] = [
    "interrupter-0",
    "interrupter-1",
    "interrupter-2",
    "interrupter-3",
    "interrupter-4",
];

/// Sets all of them up.
pub fn all(report: &mut Report<Console>, machine: &mut Machine) -> [Source; 6] {
    let edu_function = device(report, Edu::ID);
    let edu = Edu::new(machine.map(edu_function.bar(0)));
    let edu_source = bind(report, "edu", Device::Edu(edu), message(edu_function));
    let msi = Msi::of(edu_function).expect("edu has no MSI");
    msi.set_control(true, 0);

    let function = device(report, Xhci::ID);
    let xhci = xhci(machine, function);
    let msix = Msix::of(function).expect("xhci has no MSI-X");
    let mut sources = [edu_source; 6];
    for (entry, (name, source)) in NAMES.into_iter().zip(&mut sources[1..]).enumerate() {
        let map = MapPirq {
            entry_nr: entry as i32,
            table_base: msix.region,
            ..message(function)
        };
        *source = bind(report, name, Device::Xhci(xhci, entry), map);
    }
    function.command(0, pci::COMMAND_INTX_DISABLE);
    msix.set_control(pci::MSIX_ENABLE);
    xhci.set_up();
    sources
}

impl Source {
    /// Sets the device up again after it lost its state. Its configuration space and its messages
    /// are there again.
    pub fn wake(&self) {
        if let Device::Xhci(xhci, 0) = self.device {
            xhci.set_up();
        }
    }
}

/// The device reads it.
struct Ring(UnsafeCell<EventRing>);

// SAFETY: there is one processor, and it takes the ring once.
unsafe impl Sync for Ring {}

static RING: Ring = Ring(UnsafeCell::new(EventRing::new()));

/// Maps the USB controller. To be called once.
pub fn xhci(machine: &mut Machine, function: Function) -> Xhci {
    let region = function.bar(0);
    // SAFETY: this is the one reference, taken once.
    let ring = unsafe { &mut *RING.0.get() };
    let address = machine.machine_address(ring);
    let registers = machine.map(region);
    let runtime = machine.map(region + Xhci::RUNTIME);
    Xhci::new(registers, runtime, ring, address)
}

/// Finds a device and makes Xen know it.
pub fn device(report: &mut Report<Console>, id: u32) -> Function {
    let function = pci::find(id).expect("a device is missing");
    add(report, function);
    function
}

/// Switches a function on and makes Xen know it.
pub fn add(report: &mut Report<Console>, function: Function) {
    function.command(0, pci::COMMAND_MEMORY | pci::COMMAND_MASTER);
    report.expect(
        format_args!("pci_device_add {:#x}", function.id()),
        hypercall::pci_device_add(function),
        0,
    );
}

/// A request for an MSI of a function of bus 0; with a table, for the first entry of its MSI-X
/// table.
pub fn message(function: Function) -> MapPirq {
    MapPirq {
        domid: abi::DOMID_SELF,
        kind: abi::MAP_MSI,
        index: -1,
        pirq: -1,
        bus: function.bus.into(),
        devfn: function.devfn.into(),
        entry_nr: 0,
        table_base: 0,
    }
}

fn bind(
    report: &mut Report<Console>,
    name: &'static str,
    device: Device,
    mut map: MapPirq,
) -> Source {
    let (pirq, port) = bound(report, name, &mut map);
    Source {
        name,
        device,
        pirq,
        port,
        sent: 0,
        received: 0,
        extra: 0,
    }
}

/// Has a message mapped, bound and unmasked: its pirq and event channel.
pub fn bound(report: &mut Report<Console>, name: &str, map: &mut MapPirq) -> (u32, u32) {
    report.expect(
        format_args!("{name}: map_pirq"),
        hypercall::map_pirq(map),
        0,
    );
    let pirq = map.pirq as u32;
    let (result, port) = hypercall::bind_pirq(pirq, false);
    report.expect(format_args!("{name}: bind_pirq"), result, 0);
    report.expect(format_args!("{name}: unmask"), hypercall::unmask(port), 0);
    (pirq, port)
}
