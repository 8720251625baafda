//! A PV dom0 that has devices send messages for half a minute, or for a shorter time if its command
//! line says so, while it moves their interrupts from processor to processor, and counts what was
//! sent and what arrived.
//!
//! A source sends its next message when the last one has arrived, so that no two can become one on
//! the way.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::hypercall::{self, Console};
use kernel::pv::{Machine, StartInfo};
use kernel::report::Report;
use kernel::source::{self, Marker, Source};
use kernel::{abi, pci, pv_entry};

const SECOND: u64 = 1_000_000_000;
const DURATION: u64 = 30 * SECOND;
const SHORT: u64 = 10 * SECOND;
/// What is read of configuration space is counted after this.
const WARM_UP: u64 = 2 * SECOND;
/// The emulator may be starved for seconds.
const PATIENCE: u64 = 20 * SECOND;
/// The machine's processors.
const VCPUS: u32 = 2;
/// How often all move after writes to configuration space.
const ROUNDS: u32 = 20;

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("irq-mover", Console);
    report.phase(120, format_args!("messages, and interrupts on the move"));
    let mut machine = Machine::start(&mut report, start_info);
    let mut sources = source::all(&mut report, &mut machine);
    let is_short = start_info.line().ends_with(b" short");
    let duration = if is_short { SHORT } else { DURATION };
    run(&mut report, &machine, &mut sources, duration);
    settle(&mut report, &machine, &mut sources);
    after_writes(&mut report, &machine, &mut sources);
    report.result();
    report.end();
    hypercall::power_off()
}

/// Sends and moves, and judges the counts.
fn run(report: &mut Report<Console>, machine: &Machine, sources: &mut [Source], duration: u64) {
    let mut moves = 0u64;
    let mut dice = 0x9e37_79b9_7f4a_7c15u64;
    let (warm, end) = (machine.now() + WARM_UP, machine.now() + duration);
    let (marker, mut marked) = (Marker::find(), false);
    while machine.now() < end {
        if !marked && machine.now() >= warm {
            marker.mark();
            marked = true;
        }
        for source in sources.iter_mut() {
            source.step(machine);
            dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            // One step in eight moves an interrupt, whatever it is doing.
            if dice >> 61 == 0 {
                moves += u64::from(source.move_to((dice >> 32) as u32 % VCPUS));
            }
        }
    }
    marker.mark();
    let end = machine.now() + PATIENCE;
    while machine.now() < end && sources.iter().any(Source::waits) {
        sources
            .iter_mut()
            .filter(|source| source.waits())
            .for_each(|source| source.step(machine));
    }
    for source in sources.iter_mut() {
        source.tidy(machine);
        let (sent, received, extra) = (source.sent, source.received, source.extra);
        report.check(
            source.name,
            sent == received && extra == 0 && sent > 1000,
            format_args!("{sent} messages sent, {received} received, {extra} beyond them"),
        );
    }
    report.check("moves", moves > 10_000, format_args!("{moves} moves"));
}

/// Moves everything to one processor and then to the other, and sees where the table's entries
/// point.
fn settle(report: &mut Report<Console>, machine: &Machine, sources: &mut [Source]) {
    for (vcpu, label) in [(1, "all on the second"), (0, "all on the first")] {
        for source in sources.iter_mut() {
            // An interrupt moves when it comes, unless its last move is not over: then Xen forgets
            // the new one, and asking for the same again would do nothing. The last move is over
            // when the processor that it left has tidied up, for which an emulated one may have to
            // wait until the host lets it run.
            for _ in 0..20 {
                every_processor_answers(report);
                source.move_to(VCPUS - 1 - vcpu);
                source.move_to(vcpu);
                source.step(machine);
                let end = machine.now() + PATIENCE;
                while machine.now() < end && source.waits() {
                    source.step(machine);
                }
            }
            report.expect(
                format_args!("{}: messages on their way", source.name),
                source.waits().into(),
                0,
            );
        }
        hypercall::debug_keys(report, "iV", label);
    }
}

/// Writes to configuration space, below all capabilities and what is there already, and moves
/// interrupts: Xen may not rely on what it has read of the functions before.
fn after_writes(report: &mut Report<Console>, machine: &Machine, sources: &mut [Source]) {
    let marker = Marker::find();
    let functions = source::FUNCTIONS.map(|id| pci::find(id).expect("a device is missing"));
    let (mut moves, end) = (0, machine.now() + PATIENCE);
    marker.mark_other();
    for round in 0..ROUNDS {
        for function in functions {
            function.command(0, 0);
        }
        for source in sources.iter_mut() {
            let wanted = source.received + 1;
            moves += u64::from(source.move_to(round % VCPUS));
            while source.received < wanted && machine.now() < end {
                source.step(machine);
            }
        }
    }
    marker.mark_other();
    report.check(
        "moves-after-writes",
        moves == u64::from(ROUNDS) * sources.len() as u64 && machine.now() < end,
        format_args!("{moves} moves after writes"),
    );
}

fn every_processor_answers(report: &mut Report<Console>) {
    let result = hypercall::every_processor_answers();
    if result != 0 {
        report.expect(format_args!("every processor answers"), result, 0);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("irq-mover", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
