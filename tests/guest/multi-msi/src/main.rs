//! A PV dom0 that has a device send several messages of one MSI capability, each to a processor of
//! its own, and moves them to others. Which processor took a message is what Xen noted in that
//! processor's trace buffer.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::Xhci;
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::pci::{self, Msi};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source::{self, device, message};
use kernel::trace::Trace;

/// As many messages as the device has, and as many processors.
const MESSAGES: usize = Xhci::INTERRUPTERS;

/// How often each message is sent in a round.
const TIMES: u32 = 50;

/// The emulator may be starved for seconds.
const PATIENCE: u64 = 20_000_000_000;

/// Xen's numbers of interrupts begin with the pins of the machine's IO-APIC; messages follow.
const PINS: u32 = 24;

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("multi-msi", Console);
    report.phase(
        120,
        format_args!("messages, each to a processor of its own"),
    );
    let machine = Machine::start(&mut report, start_info);
    Spread::new(&mut report, machine).check(&mut report);
    report.result();
    report.end();
    hypercall::power_off()
}

/// One message of the device.
#[derive(Clone, Copy, Default)]
struct Message {
    pirq: u32,
    port: u32,
    /// Xen's number of it, once it was sent.
    irq: u32,
    sent: u32,
    received: u32,
    /// How often each processor took it.
    taken: [u32; MESSAGES],
}

struct Spread {
    machine: Machine,
    trace: Trace,
    xhci: Xhci,
    messages: [Message; MESSAGES],
}

impl Spread {
    /// Maps and binds all messages, and has the device use them.
    fn new(report: &mut Report<Console>, mut machine: Machine) -> Self {
        let trace = Trace::open(&mut machine, MESSAGES);
        let function = device(report, Xhci::ID);
        let xhci = source::xhci(&mut machine, function);
        let mut map = MapPirq {
            kind: abi::MAP_MULTI_MSI,
            entry_nr: MESSAGES as i32,
            ..message(function)
        };
        report.expect(format_args!("map_pirq"), hypercall::map_pirq(&mut map), 0);
        report.expect(
            format_args!("messages given"),
            map.entry_nr.into(),
            MESSAGES as i64,
        );
        let mut messages = [Message::default(); MESSAGES];
        for (number, message) in messages.iter_mut().enumerate() {
            let pirq = map.pirq as u32 + number as u32;
            let (result, port) = hypercall::bind_pirq(pirq, false);
            report.expect(format_args!("bind_pirq of message {number}"), result, 0);
            report.expect(format_args!("unmask"), hypercall::unmask(port), 0);
            (message.pirq, message.port) = (pirq, port);
        }
        function.command(0, pci::COMMAND_INTX_DISABLE);
        let msi = Msi::of(function).expect("no MSI");
        msi.set_control(true, MESSAGES.ilog2() as u16);
        xhci.set_up();
        Self {
            machine,
            trace,
            xhci,
            messages,
        }
    }

    /// Each message to the processor of its number, then to two others.
    fn check(mut self, report: &mut Report<Console>) {
        for (name, distance) in [
            ("each-on-its-own", 0),
            ("moved-to-the-next", 1),
            ("moved-far", MESSAGES / 2),
        ] {
            for number in 0..MESSAGES {
                self.settle(report, number, (number + distance) % MESSAGES);
            }
            self.round(report, name, distance);
            hypercall::debug_keys(report, "iMV", name);
        }
        for (number, message) in self.messages.iter().enumerate() {
            report.expect(
                format_args!("close of message {number}"),
                hypercall::close(message.port),
                0,
            );
        }
        report.expect(
            format_args!("unmap_pirq"),
            hypercall::unmap_pirq(self.messages[0].pirq as i32),
            0,
        );
        hypercall::debug_keys(report, "iMV", "unmapped");
    }

    /// Binds a message to a processor, and sends it until that processor takes it.
    fn settle(&mut self, report: &mut Report<Console>, number: usize, processor: usize) {
        let port = self.messages[number].port;
        let mut taken_by = None;
        // An interrupt moves when it comes, unless its last move is not over: then Xen forgets the
        // new one, and asking for the same again would do nothing.
        for _ in 0..20 {
            hypercall::bind_vcpu(port, ((processor + 1) % MESSAGES) as u32);
            hypercall::bind_vcpu(port, processor as u32);
            for _ in 0..3 {
                self.send(number);
                taken_by = self.receive(number).then(|| self.taker(number)).flatten();
            }
            // One that nobody takes will not come later either.
            if taken_by == Some(processor) || taken_by.is_none() {
                break;
            }
            // Then it is over.
            hypercall::every_processor_answers();
        }
        report.expect(
            format_args!("message {number}: taken by processor"),
            taken_by.map_or(-1, |by| by as i64),
            processor as i64,
        );
    }

    /// Sends all messages many times, all of them at once, and judges who took them.
    fn round(&mut self, report: &mut Report<Console>, name: &str, distance: usize) {
        for message in &mut self.messages {
            (message.sent, message.received, message.taken) = (0, 0, [0; MESSAGES]);
        }
        for _ in 0..TIMES {
            (0..MESSAGES).for_each(|number| self.send(number));
            let lost = (0..MESSAGES).any(|number| !self.receive(number));
            self.note();
            if lost {
                break;
            }
        }
        let all = MESSAGES as u32 * TIMES;
        let end = self.machine.now() + PATIENCE;
        while self.taken() < all && self.machine.now() < end {
            self.note();
        }
        let mut right = 0;
        for (number, message) in self.messages.iter().enumerate() {
            let processor = (number + distance) % MESSAGES;
            let own = message.taken[processor];
            report.expect(
                format_args!("message {number}: taken by processor {processor}"),
                own.into(),
                TIMES.into(),
            );
            right += own;
        }
        let sum = |count: fn(&Message) -> u32| self.messages.iter().map(count).sum::<u32>();
        let (sent, received) = (sum(|message| message.sent), sum(|message| message.received));
        let taken = self.taken();
        report.check(
            name,
            [sent, received, taken, right] == [all; 4],
            format_args!("{sent} sent, {received} received, {taken} taken, {right} of them by the right one of {MESSAGES} processors"),
        );
    }

    fn send(&mut self, number: usize) {
        self.messages[number].sent += 1;
        self.xhci.raise(number);
    }

    /// Waits for a message that was sent, and ends it: whether it came.
    fn receive(&mut self, number: usize) -> bool {
        let message = &mut self.messages[number];
        let end = self.machine.now() + PATIENCE;
        while !self.machine.takes(message.port) {
            if self.machine.now() > end {
                return false;
            }
        }
        message.received += 1;
        hypercall::two_words(TwoWordCommand::Eoi, message.pirq);
        true
    }

    /// The processor that took the only message on its way. Xen notes it when it has told the
    /// kernel of the message.
    fn taker(&mut self, number: usize) -> Option<usize> {
        let end = self.machine.now() + PATIENCE;
        let mut taken_by = None;
        while taken_by.is_none() && self.machine.now() < end {
            let message = &mut self.messages[number];
            self.trace.handled(|by, irq| {
                if irq >= PINS {
                    message.irq = irq;
                    taken_by = Some(by);
                }
            });
        }
        taken_by
    }

    /// How many messages were taken, by whomever.
    fn taken(&self) -> u32 {
        let each = self.messages.iter();
        each.flat_map(|message| message.taken).sum()
    }

    /// Counts who took what.
    fn note(&mut self) {
        let messages = &mut self.messages;
        self.trace.handled(|by, irq| {
            if let Some(message) = messages.iter_mut().find(|message| message.irq == irq) {
                message.taken[by] += 1;
            }
        });
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("multi-msi", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
