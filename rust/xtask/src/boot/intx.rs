//! The scenarios `intx-*`: a line that is asserted while its interrupt is bound, closed and moved.
//! Seconds each.

use super::emulator::Iommu;
use super::keys::{Rule, shows};
use super::scenario::{Scenario, VTD_NOINTREMAP};
use super::smoke;
use crate::guest::Kernel;

const RULES: &[Rule] = &[shows(
    "line at rest",
    'i',
    "intx: settled",
    &["IO-APIC-level", "in-flight=0"],
    1,
)];

const fn intx(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    smoke::own(
        name,
        about,
        iommu,
        (Kernel::Intx, smoke::MOVER_LINE),
        &["intx"],
        RULES,
    )
}

/// With VT-d.
pub(super) const VTD: Scenario = intx(
    "intx-vtd",
    "an asserted line is bound, closed, bound again and moved; VT-d",
    smoke::VTD,
);
/// With AMD-Vi.
pub(super) const AMD: Scenario = intx(
    "intx-amd",
    "an asserted line is bound, closed, bound again and moved; AMD-Vi",
    smoke::AMD,
);
/// Without remapping.
pub(super) const NONE: Scenario = intx(
    "intx-nointremap",
    "an asserted line is bound, closed, bound again and moved; interrupts are not remapped",
    VTD_NOINTREMAP,
);
