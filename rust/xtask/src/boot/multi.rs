//! The scenarios `multi-*`: the messages of one MSI capability, each taken by a processor of its
//! own. Seconds each.

use super::emulator::{Iommu, Machine};
use super::keys::{Rule, shows};
use super::scenario::Scenario;
use super::smoke;
use crate::guest::Kernel;

/// As many processors as the device has messages. Each vCPU stays on the processor of its number,
/// and each processor notes the interrupts that it takes.
const LINE: &str =
    "dom0_mem=128M,max:128M dom0_max_vcpus=16 dom0_vcpus_pin tbuf_size=1 tevt_mask=0x802000";

const fn multi(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    Scenario {
        machine: Machine {
            cpus: 16,
            ..smoke::machine(iommu)
        },
        ..smoke::own(name, about, iommu, (Kernel::MultiMsi, LINE), CHECKS, RULES)
    }
}

/// With VT-d.
pub(super) const VTD: Scenario = multi(
    "multi-vtd",
    "16 messages of one device, each to its own processor; VT-d",
    smoke::VTD,
);
/// With AMD-Vi.
pub(super) const AMD: Scenario = multi(
    "multi-amd",
    "16 messages of one device, each to its own processor; AMD-Vi",
    smoke::AMD,
);

const CHECKS: &[&str] = &[
    "multi-msi",
    "each-on-its-own",
    "moved-to-the-next",
    "moved-far",
];

/// One message is bound to a processor, and to no other.
macro_rules! bound_to {
    ($($processor:literal)*) => {
        &[$(shows(
            concat!("bound-to-", $processor),
            'i',
            "multi-msi: each-on-its-own",
            &["PCI-MSI ", concat!("aff:{", $processor, "}/{", $processor, "}"), "d0:"],
            1,
        )),*]
    };
}

const RULES: &[Rule] = bound_to!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
