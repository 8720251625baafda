//! Calls with arguments that Xen must refuse: each errno is part of the interface.

use kernel::abi::{self, MapPirq};
use kernel::devices::{E1000e, Edu};
use kernel::hypercall::{self, Console, Trigger, TwoWordCommand};
use kernel::pci::{self, Function};
use kernel::report::Report;
use kernel::source::{self, message};

use crate::messages::NVME;

const EPERM: i64 = -1;
const ESRCH: i64 = -3;
const ENODEV: i64 = -19;
const EINVAL: i64 = -22;
const ENFILE: i64 = -23;
const EDOM: i64 = -33;
const EOPNOTSUPP: i64 = -95;

/// A request for a GSI as the pirq of the same number.
pub(crate) fn line(gsi: i32) -> MapPirq {
    MapPirq {
        kind: abi::MAP_GSI,
        index: gsi,
        pirq: gsi,
        ..message(Function::new(0))
    }
}

/// Runs the checks; `remapped` says whether Xen remaps interrupts.
pub(crate) fn check(report: &mut Report<Console>, remapped: bool) {
    let edu = pci::find(Edu::ID).expect("no edu device");
    let e1000e = pci::find(E1000e::ID).expect("no e1000e device");
    if !remapped {
        // Without an IOMMU, Xen learns of functions from dom0.
        let nvme = pci::find(NVME).expect("no nvme device");
        for function in [edu, e1000e, nvme] {
            source::add(report, function);
        }
    }
    let table = pci::Msix::of(e1000e).expect("e1000e has no MSI-X");
    let missing = Function::new(0xf8);

    for (what, mut map, want) in [
        (
            "map_pirq of type 9",
            MapPirq {
                kind: 9,
                ..line(16)
            },
            EINVAL,
        ),
        (
            "map_pirq for domain 77",
            MapPirq {
                domid: 77,
                ..line(16)
            },
            ESRCH,
        ),
        ("map_pirq GSI -1", line(-1), EINVAL),
        ("map_pirq GSI 10000", line(10000), EINVAL),
        (
            "map_pirq GSI 16 as pirq 1000000",
            MapPirq {
                pirq: 1_000_000,
                ..line(16)
            },
            EINVAL,
        ),
        (
            "map_pirq MSI as IRQ 5",
            MapPirq {
                index: 5,
                ..message(edu)
            },
            EINVAL,
        ),
        (
            "map_pirq MSI of a missing bus",
            MapPirq {
                bus: 0xff,
                ..message(missing)
            },
            ENODEV,
        ),
        (
            "map_pirq MSI-X entry 5 of 5",
            MapPirq {
                entry_nr: 5,
                table_base: table.region,
                ..message(e1000e)
            },
            EINVAL,
        ),
        (
            "map_pirq MSI-X of a function without",
            MapPirq {
                table_base: 0x1000,
                ..message(edu)
            },
            ENODEV,
        ),
        (
            "map_pirq multi-MSI with a table",
            MapPirq {
                kind: abi::MAP_MULTI_MSI,
                entry_nr: 1,
                table_base: 1,
                ..message(edu)
            },
            EINVAL,
        ),
        (
            "map_pirq multi-MSI of 0 vectors",
            MapPirq {
                kind: abi::MAP_MULTI_MSI,
                entry_nr: 0,
                ..message(edu)
            },
            EDOM,
        ),
        (
            "map_pirq multi-MSI of 33 vectors",
            MapPirq {
                kind: abi::MAP_MULTI_MSI,
                entry_nr: 33,
                ..message(edu)
            },
            EDOM,
        ),
    ] {
        let got = hypercall::map_pirq(&mut map);
        report.expect(format_args!("{what}"), got, want);
    }

    let mut more = MapPirq {
        kind: abi::MAP_MULTI_MSI,
        entry_nr: 4,
        ..message(edu)
    };
    report.expect(
        format_args!("map_pirq multi-MSI of more than the function has"),
        hypercall::map_pirq(&mut more),
        if remapped { ENFILE } else { EOPNOTSUPP },
    );
    report.expect(
        format_args!("  vectors it has"),
        more.entry_nr.into(),
        if remapped { 1 } else { 4 },
    );

    report.expect(
        format_args!("unmap_pirq of a pirq not mapped"),
        hypercall::unmap_pirq(40),
        EINVAL,
    );
    report.expect(
        format_args!("unmap_pirq -1"),
        hypercall::unmap_pirq(-1),
        EINVAL,
    );
    report.expect(
        format_args!("unmap_pirq 1000000"),
        hypercall::unmap_pirq(1_000_000),
        EINVAL,
    );

    let mut two = |what, command, argument, want: i64| {
        let (result, value) = hypercall::two_words(command, argument);
        report.expect(format_args!("{what} {argument}"), result, want);
        value
    };
    two(
        "irq_status_query",
        TwoWordCommand::IrqStatusQuery,
        1_000_000,
        EINVAL,
    );
    let flags = two("irq_status_query", TwoWordCommand::IrqStatusQuery, 9, 0);
    two("eoi", TwoWordCommand::Eoi, 1_000_000, EINVAL);
    let vector = two("alloc_irq_vector", TwoWordCommand::AllocIrqVector, 9, 0);
    let first = two(
        "get_free_pirq of type",
        TwoWordCommand::GetFreePirq,
        abi::MAP_MSI as u32,
        0,
    );
    let second = two(
        "get_free_pirq of type",
        TwoWordCommand::GetFreePirq,
        abi::MAP_MSI as u32,
        0,
    );
    let third = two(
        "get_free_pirq of type",
        TwoWordCommand::GetFreePirq,
        abi::MAP_GSI as u32,
        0,
    );
    report.expect(format_args!("  flags of pirq 9"), flags.into(), 1);
    report.expect(format_args!("  vector of IRQ 9"), vector.into(), 9);
    report.expect(
        format_args!("  the second pirq is below the first by"),
        i64::from(first) - i64::from(second),
        1,
    );
    report.say(format_args!("pirqs reserved: {first} {second} {third}"));
    report.expect(
        format_args!("unmap_pirq of one reserved"),
        hypercall::unmap_pirq(first as i32),
        EINVAL,
    );

    report.expect(
        format_args!("setup_gsi -1"),
        hypercall::setup_gsi(-1, Trigger::LevelLow),
        EINVAL,
    );
    report.expect(
        format_args!("setup_gsi 10000"),
        hypercall::setup_gsi(10000, Trigger::LevelLow),
        EINVAL,
    );
    report.expect(
        format_args!("restore_msi of a missing bus"),
        hypercall::restore_msi(0xff, 0),
        ENODEV,
    );
    report.expect(
        format_args!("prepare_msix of a missing bus"),
        hypercall::prepare_msix(0xff, 0, true),
        ENODEV,
    );
    report.expect(
        format_args!("bind_pirq 1000000"),
        hypercall::bind_pirq(1_000_000, false).0,
        EINVAL,
    );
    report.expect(
        format_args!("bind_pirq of a pirq not mapped"),
        hypercall::bind_pirq(40, false).0,
        EPERM,
    );
}
