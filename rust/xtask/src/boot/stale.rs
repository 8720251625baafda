//! The scenarios `stale-*`: entries of MSI-X tables that an earlier kernel left unmasked. Seconds
//! each.

use super::emulator::{Iommu, Machine};
use super::scenario::{Number, Scenario, VTD_NOINTREMAP};
use super::smoke;
use crate::guest::Kernel;

/// A device with a table of three pages.
const LARGE_TABLE: &[&str] = &["-device", "virtio-serial-pci,vectors=600,addr=9"];

const fn stale(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    Scenario {
        machine: Machine {
            more: LARGE_TABLE,
            ..smoke::machine(iommu)
        },
        numbers: &[
            Number {
                part: "RUST_MSI",
                name: "stale-entries",
                is_zero: true,
            },
            Number {
                part: "RUST_MSI",
                name: "stale-messages",
                is_zero: true,
            },
        ],
        ..smoke::own(
            name,
            about,
            iommu,
            (Kernel::StaleEntries, smoke::MEMORY),
            &["stale-entries"],
            &[],
        )
    }
}

/// With VT-d.
pub(super) const VTD: Scenario = stale(
    "stale-vtd",
    "MSI-X entries that an earlier kernel left unmasked; VT-d",
    smoke::VTD,
);
/// With AMD-Vi.
pub(super) const AMD: Scenario = stale(
    "stale-amd",
    "MSI-X entries that an earlier kernel left unmasked; AMD-Vi",
    smoke::AMD,
);
/// Without remapping.
pub(super) const NONE: Scenario = stale(
    "stale-nointremap",
    "MSI-X entries that an earlier kernel left unmasked; interrupts are not remapped",
    VTD_NOINTREMAP,
);
