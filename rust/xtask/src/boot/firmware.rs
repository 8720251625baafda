//! The scenarios `firmware-*`: IVRS or DMAR is wrong. Xen uses no IOMMU, or ignores the wrong
//! entry, or does not remap interrupts; nothing panics or faults, and messages arrive. Seconds
//! each. `debian-*`: the same with Debian as dom0, which uses NIC and disk.

use super::acpi::TableFault;
use super::emulator::Iommu;
use super::keys::Rule;
use super::protocol::Event;
use super::scenario::{self, Payload, Scenario};
use super::smoke;
use crate::guest::Kernel;

/// A line of Xen's that holds one of these is about IOMMUs, or the remapping of interrupts.
const ABOUT_IOMMUS: &[&str] = &[
    "AMD-Vi",
    "DMAR",
    "IO-APIC",
    "IOMMU",
    "IVHD",
    "IVMD",
    "IVRS",
    "VT-d",
    "VTD",
    "emapping",
    "ioapic",
    "virtualisation",
    "x2APIC",
];

/// What Xen says of its IOMMUs until dom0 has its first phase.
pub(super) fn said_of_iommus(events: &[Event]) -> Vec<Event> {
    let boot = events
        .iter()
        .take_while(|event| !matches!(event, Event::Phase { .. }));
    let said = boot.filter_map(|event| match event {
        Event::Xen(line) if ABOUT_IOMMUS.iter().any(|words| line.contains(words)) => {
            // Where a table is in memory varies.
            let (line, _) = line.split_once(", root table").unwrap_or((line, ""));
            Some(Event::Say(line.to_owned()))
        }
        _ => None,
    });
    said.collect()
}

/// What our kernel is told where interrupts are not remapped: Xen gives it no MSI of several
/// messages.
const UNREMAPPED: &str = "unremapped";

/// A boot option that says where the IO-APIC is: as QEMU's IVRS does when it is right.
const TOLD: &str = "dom0_mem=128M,max:128M ivrs_ioapic[0]=00:14.0";

const fn firmware(
    (name, about): (&'static str, &'static str),
    iommu: Iommu,
    fault: TableFault,
    (line, words): (&'static str, &'static str),
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        fault: Some(fault),
        payload: Payload::Kernel {
            kernel: Kernel::SmokePv,
            line,
            words,
            module: None,
        },
        ..smoke::own(
            name,
            about,
            iommu,
            (Kernel::SmokePv, line),
            &["smoke-pv"],
            rules,
        )
    }
}

/// A fault that leaves Xen without an IOMMU.
const fn off(
    about: (&'static str, &'static str),
    iommu: Iommu,
    fault: TableFault,
    rules: &'static [Rule],
) -> Scenario {
    firmware(about, iommu, fault, (smoke::MEMORY, UNREMAPPED), rules)
}

/// The same with 128-bit entries. Stock Xen dies of its second attempt to prepare the IOMMUs
/// (`BUG_ON` in `amd_iommu_prepare()`); with Rust there is none, because `iov_supports_xt()` gives
/// them up.
const fn off_xt(
    about: (&'static str, &'static str),
    fault: TableFault,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        on_stock: false,
        ..off(about, smoke::AMD, fault, rules)
    }
}

/// A fault despite which interrupts are remapped.
const fn on(
    about: (&'static str, &'static str),
    fault: TableFault,
    line: &'static str,
    rules: &'static [Rule],
) -> Scenario {
    firmware(about, scenario::AMD, fault, (line, ""), rules)
}

/// A boot option says where the IO-APIC is, and only messages are used.
const fn messages(
    (name, about): (&'static str, &'static str),
    fault: TableFault,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        payload: Payload::Kernel {
            kernel: Kernel::IrqMover,
            line: TOLD,
            words: "short",
            module: None,
        },
        checks: smoke::MOVER_CHECKS,
        ..on((name, about), fault, TOLD, rules)
    }
}

/// The same fault with Debian as dom0, whose drivers use the NIC and the disk.
const fn debian(
    about: (&'static str, &'static str),
    iommu: Iommu,
    fault: TableFault,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        fault: Some(fault),
        ..scenario::dom0(about.0, about.1, iommu, rules)
    }
}

const fn says(name: &'static str, words: &'static [&'static str]) -> Rule {
    Rule::Says { name, words }
}

/// Xen says that it has no IOMMU.
const DISABLED: Rule = says("iommu-off", &["I/O virtualisation disabled"]);
/// Xen says that interrupts are remapped.
const REMAPPED: Rule = says("remapped", &["Interrupt remapping enabled"]);

/// Each has the line by which Xen shows that it has read the wrong table.
const NO_IO_APIC_RULES: &[Rule] = &[
    says("fault-seen", &["no information for IO-APIC 0"]),
    DISABLED,
];
const WRONG_IO_APIC_RULES: &[Rule] = &[says("fault-seen", &["Invalid IO-APIC 0x55"]), DISABLED];
const IO_APIC_TWICE_RULES: &[Rule] = &[
    says("fault-seen", &["duplicate IO-APIC 0 entries"]),
    REMAPPED,
];
const IO_APIC_CONFLICT_RULES: &[Rule] = &[
    says("fault-seen", &["conflicting IO-APIC 0 entries"]),
    DISABLED,
];
const ALIAS_BEYOND_RULES: &[Rule] = &[
    says("fault-seen", &["invalid Alias Dev_Id 0xffff"]),
    DISABLED,
];
const OPEN_RANGE_RULES: &[Rule] = &[says("fault-seen", &["invalid range: End_Type"]), DISABLED];
const NO_IO_APIC_SCOPE_RULES: &[Rule] = &[
    says("fault-seen", &["Interrupt remapping disabled"]),
    says("iommu-on", &["I/O virtualisation enabled"]),
];
const NO_IO_APIC_TOLD_RULES: &[Rule] = &[
    says(
        "fault-seen",
        &["failed to find IOMMU for IO-APIC @ 0000:00a0"],
    ),
    REMAPPED,
];
const WRONG_IO_APIC_TOLD_RULES: &[Rule] = &[
    says(
        "fault-seen",
        &["Command line override present for IO-APIC 0", "IVRS: 0x55"],
    ),
    REMAPPED,
];

/// All of them.
pub(super) const NO_IO_APIC: Scenario = off(
    ("firmware-no-io-apic", "IVRS names no IO-APIC"),
    scenario::AMD,
    TableFault::NoIoApic,
    NO_IO_APIC_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const NO_IO_APIC_XT: Scenario = off_xt(
    (
        "firmware-no-io-apic-xt",
        "IVRS names no IO-APIC; 128-bit entries",
    ),
    TableFault::NoIoApic,
    NO_IO_APIC_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const WRONG_IO_APIC: Scenario = off(
    (
        "firmware-wrong-io-apic",
        "IVRS names an IO-APIC that does not exist",
    ),
    scenario::AMD,
    TableFault::WrongIoApic,
    WRONG_IO_APIC_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const WRONG_IO_APIC_XT: Scenario = off_xt(
    (
        "firmware-wrong-io-apic-xt",
        "IVRS names an IO-APIC that does not exist; 128-bit entries",
    ),
    TableFault::WrongIoApic,
    WRONG_IO_APIC_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const IO_APIC_TWICE: Scenario = on(
    ("firmware-io-apic-twice", "IVRS names the IO-APIC twice"),
    TableFault::IoApicTwice,
    smoke::MEMORY,
    IO_APIC_TWICE_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const IO_APIC_CONFLICT: Scenario = off(
    (
        "firmware-io-apic-conflict",
        "IVRS names the IO-APIC as two devices",
    ),
    scenario::AMD,
    TableFault::IoApicConflict,
    IO_APIC_CONFLICT_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const IO_APIC_CONFLICT_XT: Scenario = off_xt(
    (
        "firmware-io-apic-conflict-xt",
        "IVRS names the IO-APIC as two devices; 128-bit entries",
    ),
    TableFault::IoApicConflict,
    IO_APIC_CONFLICT_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const ALIAS_BEYOND: Scenario = off(
    (
        "firmware-alias-beyond",
        "IVRS has an alias beyond the last ID",
    ),
    scenario::AMD,
    TableFault::AliasBeyond,
    ALIAS_BEYOND_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const ALIAS_BEYOND_XT: Scenario = off_xt(
    (
        "firmware-alias-beyond-xt",
        "IVRS has an alias beyond the last ID; 128-bit entries",
    ),
    TableFault::AliasBeyond,
    ALIAS_BEYOND_RULES,
);
/// The alias has a remapping table, and no IOMMU. Stock Xen follows a null pointer when it fills in
/// the device table (`amd_iommu_intremap_table_order()`).
pub(super) const ALIAS_UNLISTED: Scenario = Scenario {
    on_stock: false,
    ..on(
        (
            "firmware-alias-unlisted",
            "IVRS has an alias that is the ID of no other entry",
        ),
        TableFault::AliasUnlisted,
        smoke::MEMORY,
        &[REMAPPED],
    )
};
/// See [`ALIAS_UNLISTED`].
pub(super) const ALIAS_UNLISTED_XT: Scenario = Scenario {
    on_stock: false,
    ..firmware(
        (
            "firmware-alias-unlisted-xt",
            "IVRS has an alias that is the ID of no other entry; 128-bit entries",
        ),
        smoke::AMD,
        TableFault::AliasUnlisted,
        (smoke::MEMORY, ""),
        &[REMAPPED],
    )
};
/// See [`NO_IO_APIC`].
pub(super) const OPEN_RANGE: Scenario = off(
    ("firmware-open-range", "IVRS has a range without an end"),
    scenario::AMD,
    TableFault::OpenRange,
    OPEN_RANGE_RULES,
);
/// See [`NO_IO_APIC`].
pub(super) const OPEN_RANGE_XT: Scenario = off_xt(
    (
        "firmware-open-range-xt",
        "IVRS has a range without an end; 128-bit entries",
    ),
    TableFault::OpenRange,
    OPEN_RANGE_RULES,
);
/// See [`NO_IO_APIC`]; of VT-d. Stock Xen follows a null pointer at debug key V
/// (`vtd_dump_iommu_info()`).
pub(super) const NO_IO_APIC_SCOPE: Scenario = Scenario {
    on_stock: false,
    ..off(
        ("firmware-no-io-apic-scope", "DMAR names no IO-APIC"),
        scenario::VTD,
        TableFault::NoIoApicScope,
        NO_IO_APIC_SCOPE_RULES,
    )
};
/// With a boot option that says where the IO-APIC is. No IOMMU serves that device, so that the
/// IO-APIC's own interrupts are dropped; messages arrive, and move.
pub(super) const NO_IO_APIC_TOLD: Scenario = messages(
    (
        "firmware-no-io-apic-told",
        "IVRS names no IO-APIC, and a boot option does",
    ),
    TableFault::NoIoApic,
    NO_IO_APIC_TOLD_RULES,
);
/// See [`NO_IO_APIC_TOLD`]. An IOMMU serves the device, for which Xen has allocated no table. Stock
/// Xen follows a null pointer when it writes the first pin (`alloc_intremap_entry()`).
pub(super) const UNMARKED_IO_APIC_TOLD: Scenario = Scenario {
    on_stock: false,
    ..messages(
        (
            "firmware-unmarked-io-apic-told",
            "IVRS has the IO-APIC's device as any other, and a boot option names it",
        ),
        TableFault::UnmarkedIoApic,
        &[REMAPPED],
    )
};
/// With a boot option that says where the IO-APIC is.
pub(super) const WRONG_IO_APIC_TOLD: Scenario = on(
    (
        "firmware-wrong-io-apic-told",
        "IVRS names an IO-APIC that does not exist, and a boot option the right one",
    ),
    TableFault::WrongIoApic,
    TOLD,
    WRONG_IO_APIC_TOLD_RULES,
);

/// See [`NO_IO_APIC`].
pub(super) const DEBIAN_NO_IO_APIC: Scenario = debian(
    (
        "debian-no-io-apic",
        "dom0's NIC and disk, IVRS names no IO-APIC",
    ),
    scenario::AMD,
    TableFault::NoIoApic,
    NO_IO_APIC_RULES,
);
/// See [`WRONG_IO_APIC`].
pub(super) const DEBIAN_WRONG_IO_APIC: Scenario = debian(
    (
        "debian-wrong-io-apic",
        "dom0's NIC and disk, IVRS names an IO-APIC that does not exist",
    ),
    scenario::AMD,
    TableFault::WrongIoApic,
    WRONG_IO_APIC_RULES,
);
/// See [`IO_APIC_CONFLICT`].
pub(super) const DEBIAN_IO_APIC_CONFLICT: Scenario = debian(
    (
        "debian-io-apic-conflict",
        "dom0's NIC and disk, IVRS names the IO-APIC as two devices",
    ),
    scenario::AMD,
    TableFault::IoApicConflict,
    IO_APIC_CONFLICT_RULES,
);
/// See [`ALIAS_BEYOND`].
pub(super) const DEBIAN_ALIAS_BEYOND: Scenario = debian(
    (
        "debian-alias-beyond",
        "dom0's NIC and disk, IVRS has an alias beyond the last ID",
    ),
    scenario::AMD,
    TableFault::AliasBeyond,
    ALIAS_BEYOND_RULES,
);
/// See [`OPEN_RANGE`].
pub(super) const DEBIAN_OPEN_RANGE: Scenario = debian(
    (
        "debian-open-range",
        "dom0's NIC and disk, IVRS has a range without an end",
    ),
    scenario::AMD,
    TableFault::OpenRange,
    OPEN_RANGE_RULES,
);
