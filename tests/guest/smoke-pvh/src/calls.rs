//! Calls that a PVH dom0 has no use for, or that must refuse their arguments.

use kernel::abi::{self, MapPirq};
use kernel::hypercall::{self, Trigger, TwoWordCommand};

use crate::Transcript;

const ENODEV: i64 = -19;
const EINVAL: i64 = -22;
const ENOSYS: i64 = -38;

/// Runs the checks.
pub(crate) fn check(report: &mut Transcript) {
    for (what, command) in [
        ("irq_status_query", TwoWordCommand::IrqStatusQuery),
        ("eoi", TwoWordCommand::Eoi),
        ("get_free_pirq", TwoWordCommand::GetFreePirq),
        ("alloc_irq_vector", TwoWordCommand::AllocIrqVector),
    ] {
        report.expect(
            format_args!("{what}"),
            hypercall::two_words(command, 0).0,
            ENOSYS,
        );
    }
    let message = MapPirq {
        domid: abi::DOMID_SELF,
        kind: abi::MAP_MSI,
        index: -1,
        pirq: -1,
        bus: 0xff,
        devfn: 0,
        entry_nr: 0,
        table_base: 0,
    };
    let mut missing = message;
    report.expect(
        format_args!("map_pirq MSI of a missing bus"),
        hypercall::map_pirq(&mut missing),
        ENODEV,
    );
    let mut line = MapPirq {
        kind: abi::MAP_GSI,
        index: 10000,
        ..message
    };
    report.expect(
        format_args!("map_pirq GSI 10000"),
        hypercall::map_pirq(&mut line),
        EINVAL,
    );
    report.expect(
        format_args!("unmap_pirq 1000000"),
        hypercall::unmap_pirq(1_000_000),
        EINVAL,
    );
    report.expect(
        format_args!("setup_gsi 10000"),
        hypercall::setup_gsi(10000, Trigger::LevelLow),
        EINVAL,
    );
}
