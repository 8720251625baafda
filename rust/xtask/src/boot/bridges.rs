//! The scenarios `bridges-*` and `unplug-*`: messages from behind bridges, and a device that goes
//! from behind one. Seconds each.
//!
//! `bridges-*` not on stock Xen: on AMD it dies when it sets up an interrupt of a function that has
//! no table of its own because requests bear the ID of a bridge. On VT-d it lets an entry be used
//! from the bus that a bridge to PCI is on, in place of that below it; and where the first bus is
//! not the last, the emulator takes the one for the other, and lets nothing through.

use super::emulator::{Iommu, Machine};
use super::keys::{Rule, same_from, shows};
use super::scenario::{Payload, Scenario};
use super::smoke;
use crate::guest::Kernel;

/// A device behind each kind of bridge: the machine's root port, one to conventional PCI, and one
/// of old.
const DEVICES: &[&str] = &[
    "-device",
    "e1000e,bus=rp,romfile=",
    "-device",
    "pcie-pci-bridge,id=express-to-pci,addr=9",
    "-device",
    "edu,bus=express-to-pci,addr=1",
    "-device",
    "i82801b11-bridge,id=pci-to-pci,addr=a",
    "-device",
    "edu,bus=pci-to-pci,addr=2",
];

const fn bridges(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        machine: Machine {
            more: DEVICES,
            ..smoke::machine(iommu)
        },
        on_stock: false,
        ..smoke::own(
            name,
            about,
            iommu,
            (Kernel::Bridges, smoke::MEMORY),
            &["bridges"],
            rules,
        )
    }
}

/// A bridge on the root port, and one on bus 0 with a device behind it: buses 1 to 3 in that order.
const TWO_BRIDGES: &[&str] = &[
    "-device",
    "pcie-pci-bridge,bus=rp",
    "-device",
    "pcie-pci-bridge,id=express-to-pci,addr=9",
    "-device",
    "edu,bus=express-to-pci,addr=1",
];

/// A bridge is registered again before its buses are numbered. From then on the walk from a device
/// on another bus ends there, with secondary bus 0.
pub(super) const RENUMBERED: Scenario = Scenario {
    machine: Machine {
        more: TWO_BRIDGES,
        ..smoke::machine(smoke::VTD)
    },
    payload: Payload::Kernel {
        kernel: Kernel::Bridges,
        line: smoke::MEMORY,
        words: "renumber",
        module: None,
    },
    ..bridges(
        "bridges-renumbered",
        "a bridge without bus numbers, and an interrupt behind another one moves; VT-d",
        smoke::VTD,
        RENUMBERED_SOURCES,
    )
};

/// The exact source, before and after.
const RENUMBERED_SOURCES: &[Rule] = &[
    shows(
        "pci-by-its-bus-before",
        'V',
        "bridges: before",
        &["R:", ":  2   0  0303 "],
        1,
    ),
    shows(
        "pci-by-its-bus-after",
        'V',
        "bridges: after the moves",
        &["R:", ":  2   0  0303 "],
        1,
    ),
];

/// With VT-d.
pub(super) const VTD: Scenario = bridges(
    "bridges-vtd",
    "devices behind bridges send messages; VT-d",
    smoke::VTD,
    SOURCES,
);
/// With AMD-Vi.
pub(super) const AMD: Scenario = bridges(
    "bridges-amd",
    "devices behind bridges send messages; AMD-Vi",
    smoke::AMD,
    TABLES,
);

/// The machine's root port has a NIC, and controls its power.
const UNPLUGGED: &[&str] = &[
    "-global",
    "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
    "-device",
    "e1000e,bus=rp,romfile=",
];

/// Nothing is left of it.
const GONE: &[Rule] = &[
    same_from("gone-key-M", 'M', ["unplugger: before", "unplugger: after"]),
    same_from("gone-key-V", 'V', ["unplugger: before", "unplugger: after"]),
];

const fn unplugger(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    Scenario {
        machine: Machine {
            more: UNPLUGGED,
            ..smoke::machine(iommu)
        },
        ..smoke::own(
            name,
            about,
            iommu,
            (Kernel::Unplugger, smoke::MEMORY),
            &["unplugger"],
            GONE,
        )
    }
}

/// With VT-d.
pub(super) const UNPLUG_VTD: Scenario = unplugger(
    "unplug-vtd",
    "a device disappears while its interrupts are bound; VT-d",
    smoke::VTD,
);
/// With AMD-Vi.
pub(super) const UNPLUG_AMD: Scenario = unplugger(
    "unplug-amd",
    "a device disappears while its interrupts are bound; AMD-Vi",
    smoke::AMD,
);

const fn user(name: &'static str, words: &'static [&'static str]) -> Rule {
    shows(name, 'V', "bridges: all bound", words, 1)
}

/// Who may use the entries: 01:00.0 alone; what is on bus 2; the bridge 00:0a.0, which stands for
/// what is behind it.
const SOURCES: &[Rule] = &[
    user("express-to-itself", &["R:", ":  1   0  0100 "]),
    user("pci-by-its-bus", &["R:", ":  2   0  0202 "]),
    user("old-by-its-bridge", &["R:", ":  1   0  0050 "]),
];

/// Whose tables have entries: the same requesters, with the one that stands for bus 2.
const TABLES: &[Rule] = &[
    user("express-to-itself", &["0000:01:00.0:"]),
    user("pci-by-its-bus", &["0000:02:00.0:"]),
    user("old-by-its-bridge", &["0000:00:0a.0:"]),
];
