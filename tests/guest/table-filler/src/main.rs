//! A PV dom0 that maps interrupts of its devices until the IOMMU's table has no entry left, and
//! sees that what was refused cost nothing: what was given works, and what is given back can be had
//! again.

#![no_std]
#![no_main]

use core::panic::PanicInfo;

use kernel::abi::{self, MapPirq};
use kernel::devices::{E1000e, Edu};
use kernel::hypercall::{self, Console, TwoWordCommand};
use kernel::pci::{Function, Msi, Msix};
use kernel::pv::{Machine, StartInfo};
use kernel::pv_entry;
use kernel::report::Report;
use kernel::source::{bound, device, message};

/// `nvme`: a table of 65 entries.
const NVME: u32 = 0x0010_1b36;

/// More than any device here has.
const MOST: usize = 128;

pv_entry!(main);

extern "C" fn main(start_info: &StartInfo) -> ! {
    let mut report = Report::new("table-filler", Console);
    report.phase(60, format_args!("interrupts until there are no more"));
    let mut machine = Machine::start(&mut report, start_info);
    check(&mut report, &mut machine);
    report.result();
    report.end();
    hypercall::power_off()
}

fn check(report: &mut Report<Console>, machine: &mut Machine) {
    let edu = device(report, Edu::ID);
    let registers = Edu::new(machine.map(edu.bar(0)));
    device(report, E1000e::ID);
    let nvme = device(report, NVME);
    let table = Msix::of(nvme).expect("nvme has no MSI-X");
    hypercall::debug_keys(report, "V", "before");

    // One interrupt that stays, and works throughout.
    let (pirq, port) = bound(report, "edu", &mut message(edu));
    Msi::of(edu).expect("edu has no MSI").set_control(true, 0);
    let works = |report: &mut Report<Console>, when: &str| {
        registers.pulse();
        report.expect(
            format_args!("edu: event {when}"),
            machine.arrives(port).into(),
            1,
        );
        hypercall::two_words(TwoWordCommand::Eoi, pirq);
    };
    works(report, "before");

    let mut pirqs = [0; MOST];
    let mut first = None;
    for round in 0..3 {
        let (given, refusal) = fill(nvme, &table, &mut pirqs);
        report.check(
            "filled",
            given > 0 && FULL.contains(&refusal),
            format_args!("{given} entries in round {round}, then {refusal}"),
        );
        let first = *first.get_or_insert(given);
        report.expect(
            format_args!("fewer than in the first round by, round {round}"),
            first as i64 - given as i64,
            0,
        );
        works(report, "while the table is full");
        if round == 0 {
            hypercall::debug_keys(report, "V", "full");
        }
        // One comes back, and can be had again, and no more.
        report.expect(
            format_args!("unmap_pirq of one"),
            hypercall::unmap_pirq(pirqs[0]),
            0,
        );
        let mut again = entry(nvme, &table, 0);
        report.expect(
            format_args!("map_pirq of one again"),
            hypercall::map_pirq(&mut again),
            0,
        );
        pirqs[0] = again.pirq;
        let mut more = entry(nvme, &table, given);
        report.expect(
            format_args!("map_pirq of one more"),
            hypercall::map_pirq(&mut more),
            refusal,
        );
        for &pirq in &pirqs[..given] {
            report.expect(format_args!("unmap_pirq"), hypercall::unmap_pirq(pirq), 0);
        }
    }
    works(report, "after");
    report.expect(format_args!("edu: close"), hypercall::close(port), 0);
    report.expect(
        format_args!("edu: unmap_pirq"),
        hypercall::unmap_pirq(pirq as i32),
        0,
    );
    hypercall::debug_keys(report, "V", "after");
}

/// What Xen answers when a table is full: EFAULT with VT-d, ENOSPC with AMD-Vi.
const FULL: [i64; 2] = [-14, -28];

/// Maps entries of a table until Xen refuses: how many, and the refusal.
fn fill(function: Function, table: &Msix, pirqs: &mut [i32; MOST]) -> (usize, i64) {
    for (number, pirq) in pirqs.iter_mut().enumerate() {
        let mut map = entry(function, table, number);
        let result = hypercall::map_pirq(&mut map);
        if result != 0 {
            return (number, result);
        }
        *pirq = map.pirq;
    }
    (MOST, 0)
}

fn entry(function: Function, table: &Msix, number: usize) -> MapPirq {
    MapPirq {
        entry_nr: number as i32,
        table_base: table.region,
        ..message(function)
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    Report::new("table-filler", Console).panicked(info);
    hypercall::shutdown(abi::SHUTDOWN_CRASH)
}
