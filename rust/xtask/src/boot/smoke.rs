//! The scenarios `smoke-*`: one of our own kernels as dom0, PV and PVH, on both makers' IOMMUs.
//! Seconds each.
//!
//! The kernels check the answers themselves and print them; what only Xen's debug keys show is
//! demanded here.

use super::emulator::{Iommu, Machine};
use super::keys::{Rule, shows};
use super::reads;
use super::scenario::{self, Number, Payload, Scenario};
use crate::guest::Kernel;

/// Two processors, and little memory: the kernels need none to speak of.
pub(super) const fn machine(iommu: Iommu) -> Machine {
    Machine {
        iommu: Some(iommu),
        devices: true,
        test_devices: true,
        more: &[],
        memory: 1024,
        cpus: 2,
    }
}

pub(super) const VTD: Iommu = Iommu::Vtd {
    intremap: true,
    eim: true,
};
pub(super) const AMD: Iommu = Iommu::Amd { xt: true };

/// What most of the kernels have on Xen's command line.
pub(super) const MEMORY: &str = "dom0_mem=128M,max:128M";
/// Interrupts follow a vCPU of dom0, which the scheduler may move where the host is busy.
pub(super) const MOVER_LINE: &str = "dom0_mem=128M,max:128M dom0_vcpus_pin";

/// One of our own kernels as dom0, with what Xen has on its command line for it.
pub(super) const fn own(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    (kernel, line): (Kernel, &'static str),
    checks: &'static [&'static str],
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        name,
        about,
        machine: machine(iommu),
        payload: Payload::Kernel {
            kernel,
            line,
            words: "",
            module: None,
        },
        checks,
        rules,
        numbers: &[],
        on_stock: true,
        fault: None,
    }
}

const fn pv(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    own(
        name,
        about,
        iommu,
        (Kernel::SmokePv, MEMORY),
        &["smoke-pv"],
        PV_RULES,
    )
}

const fn pvh(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    own(
        name,
        about,
        iommu,
        (
            Kernel::SmokePvh,
            "dom0=pvh dom0_max_vcpus=2 dom0_mem=128M,max:128M",
        ),
        &["smoke-pvh"],
        PVH_RULES,
    )
}

const fn mover(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        machine: Machine {
            more: reads::OPTIONS,
            ..machine(iommu)
        },
        numbers: &[
            Number {
                part: "RUST_MSI",
                name: reads::NAME,
                is_zero: true,
            },
            Number {
                part: "RUST_MSI",
                name: reads::AFTER_WRITES,
                is_zero: false,
            },
        ],
        ..own(
            name,
            about,
            iommu,
            (Kernel::IrqMover, MOVER_LINE),
            MOVER_CHECKS,
            rules,
        )
    }
}

/// Half a minute of messages from six sources, whose interrupts move all the time.
pub(super) const MOVE_VTD: Scenario = mover(
    "move-vtd",
    "interrupts move between processors while they come; VT-d",
    VTD,
    MOVER_VTD,
);
/// See [`MOVE_VTD`].
pub(super) const MOVE_AMD: Scenario = mover(
    "move-amd",
    "interrupts move between processors while they come; AMD-Vi",
    AMD,
    MOVER_AMD,
);

/// The same for some seconds, with the option that has configuration space read as often as
/// upstream does.
pub(super) const MOVE_RECHECK: Scenario = Scenario {
    name: "move-recheck",
    about: "the same, and Xen reads configuration space each time; VT-d",
    payload: Payload::Kernel {
        kernel: Kernel::IrqMover,
        line: "dom0_mem=128M,max:128M dom0_vcpus_pin msi-recheck",
        words: "short",
        module: None,
    },
    numbers: &[Number {
        part: "RUST_MSI",
        name: reads::NAME,
        is_zero: false,
    }],
    ..MOVE_VTD
};

/// As many CPUs with APIC IDs from 0 as the topology says, and one with 256, which makes firmware
/// switch x2APIC mode on.
const fn cpu_256(topology: &'static str) -> [&'static str; 6] {
    [
        "-smp",
        topology,
        "-cpu",
        "EPYC,-monitor,-npt,+x2apic",
        "-device",
        "EPYC-x86_64-cpu,socket-id=256,core-id=0,thread-id=0",
    ]
}
/// CPUs 0 and 256.
const CPU_256: &[&str] = &cpu_256("1,maxcpus=257,sockets=257,cores=1,threads=1");
/// CPUs 0, 1, 256, and 255, which as a physical destination of 8 bits means all CPUs.
const CPU_256_BEYOND: &[&str] = &{
    let [smp, topology, cpu, model, device, last] =
        cpu_256("2,maxcpus=257,sockets=257,cores=1,threads=1");
    let all_ones = "EPYC-x86_64-cpu,socket-id=255,core-id=0,thread-id=0";
    [smp, topology, cpu, model, device, all_ones, device, last]
};

const fn mover_256(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    more: &'static [&'static str],
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        machine: Machine {
            more,
            ..machine(iommu)
        },
        payload: Payload::Kernel {
            kernel: Kernel::IrqMover,
            line: MOVER_LINE,
            words: "short",
            module: None,
        },
        numbers: &[],
        on_stock: false,
        ..mover(name, about, iommu, rules)
    }
}

/// A processor that takes more than 8 bits to name.
pub(super) const MOVE_256_VTD: Scenario = mover_256(
    "move-256-vtd",
    "interrupts move to a processor with APIC ID 256, and back; VT-d",
    VTD,
    CPU_256,
    MOVER_256_VTD,
);

/// The IOMMU cannot name CPUs 255 and 256, so Xen leaves them out: the interrupts move between the
/// two others. Stock Xen brings both up, and loses interrupts.
pub(super) const MOVE_256_VTD_NOEIM: Scenario = mover_256(
    "move-256-vtd-noeim",
    "the same, where the IOMMU takes 8 bits; VT-d without extended interrupt mode",
    Iommu::Vtd {
        intremap: true,
        eim: false,
    },
    CPU_256_BEYOND,
    MOVER_WITHOUT_256,
);

/// See [`MOVE_256_VTD`].
pub(super) const MOVE_256_AMD: Scenario = mover_256(
    "move-256-amd",
    "interrupts move to a processor with APIC ID 256, and back; AMD-Vi",
    AMD,
    CPU_256,
    &[ON_THE_SECOND, ON_THE_FIRST],
);

const fn filler(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    Scenario {
        on_stock: false,
        ..own(
            name,
            about,
            iommu,
            (
                Kernel::TableFiller,
                "dom0_mem=128M,max:128M intremap-entries=48",
            ),
            &["table-filler", "filled"],
            FILLER_RULES,
        )
    }
}

/// Remapping tables with no more entries than pins and a few messages need. Stock Xen has no such
/// option.
pub(super) const FILL_VTD: Scenario = filler(
    "fill-vtd",
    "a device asks for more messages than the remapping table has entries; VT-d",
    VTD,
);

/// See [`FILL_VTD`]; a table for each device.
pub(super) const FILL_AMD: Scenario = filler(
    "fill-amd",
    "a device asks for more messages than the remapping table has entries; AMD-Vi",
    AMD,
);

/// What was asked for in vain, and given back, leaves nothing behind.
const FILLER_RULES: &[Rule] = &[Rule::Same {
    name: "no-entry-leaked",
    key: 'V',
    labels: ["table-filler: before", "table-filler: after"],
}];

/// Bits of a vector control that are the device's. Stock Xen clears them when the entry is set up.
pub(super) const VECTOR_CONTROL: Scenario = Scenario {
    machine: Machine {
        test_devices: false,
        more: &["-device", "nec-usb-xhci,msi=off,msix=on,addr=8"],
        ..machine(VTD)
    },
    on_stock: false,
    ..own(
        "vector-control",
        "a device's own bits of an MSI-X vector control stay; VT-d",
        VTD,
        (Kernel::VectorControl, MEMORY),
        &["vector-control"],
        &[],
    )
};

const fn sleep(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    own(
        name,
        about,
        iommu,
        (Kernel::Sleeper, MEMORY),
        &["sleeper"],
        &[],
    )
}

/// Suspended to memory, and woken. Stock Xen does not come back with the emulated AMD-Vi, so there
/// is none for that.
pub(super) const SLEEP_VTD: Scenario = sleep(
    "sleep-vtd",
    "suspended to memory (S3), and woken; VT-d",
    VTD,
);

pub(super) const MOVER_CHECKS: &[&str] = &[
    "irq-mover",
    "edu",
    "interrupter-0",
    "interrupter-1",
    "interrupter-2",
    "interrupter-3",
    "interrupter-4",
    "moves",
    "moves-after-writes",
];

/// Where Xen has all six in the end.
const ON_THE_SECOND: Rule = shows(
    "on-the-second",
    'i',
    "irq-mover: all on the second",
    &["PCI-MSI", "aff:{1}/{1}", "d0:"],
    6,
);
const ON_THE_FIRST: Rule = shows(
    "on-the-first",
    'i',
    "irq-mover: all on the first",
    &["PCI-MSI", "aff:{0}/{0}", "d0:"],
    6,
);

/// And where the table's entries point: one of edu, five of the USB controller.
const MOVER_VTD: &[Rule] = &[
    ON_THE_SECOND,
    ON_THE_FIRST,
    shows(
        "edu-entry",
        'V',
        "irq-mover: all on the second",
        &["R:", " 0030 ", " 00000001 "],
        1,
    ),
    shows(
        "xhci-entries",
        'V',
        "irq-mover: all on the second",
        &["R:", " 0040 ", " 00000001 "],
        5,
    ),
];
/// The same with CPU 256, or with CPU 1 where entries name a CPU by 8 bits: bits 15:8 hold them.
const EDU_ENTRY_256: Rule = shows(
    "edu-entry",
    'V',
    "irq-mover: all on the second",
    &["R:", " 0030 ", " 00000100 "],
    1,
);
const XHCI_ENTRIES_256: Rule = shows(
    "xhci-entries",
    'V',
    "irq-mover: all on the second",
    &["R:", " 0040 ", " 00000100 "],
    5,
);
const MOVER_256_VTD: &[Rule] = &[ON_THE_SECOND, ON_THE_FIRST, EDU_ENTRY_256, XHCI_ENTRIES_256];
const MOVER_WITHOUT_256: &[Rule] = &[
    Rule::Says {
        name: "cpu-256-left-out",
        words: &["Unsupported: APIC ID 0x100"],
    },
    Rule::Says {
        name: "two-cpus",
        words: &["Brought up 2 CPUs"],
    },
    ON_THE_SECOND,
    ON_THE_FIRST,
    EDU_ENTRY_256,
    XHCI_ENTRIES_256,
];
/// AMD's entries are printed under their device, as numbers. Another device's may be on the second,
/// too: Xen's console.
const MOVER_AMD: &[Rule] = &[
    ON_THE_SECOND,
    ON_THE_FIRST,
    shows(
        "entries",
        'V',
        "irq-mover: all on the second",
        &["IRTE[", "_0000000000000101"],
        6,
    ),
];

/// All of them.
pub(super) const PV_VTD: Scenario = pv("smoke-pv-vtd", "our own PV dom0; VT-d", VTD);
/// See [`PV_VTD`].
pub(super) const PV_AMD: Scenario = pv("smoke-pv-amd", "our own PV dom0; AMD-Vi", AMD);
/// See [`PV_VTD`].
pub(super) const PV_VTD_NOEIM: Scenario = pv(
    "smoke-pv-vtd-noeim",
    "our own PV dom0; VT-d without extended interrupt mode",
    scenario::VTD_NOEIM,
);
/// See [`PV_VTD`].
pub(super) const PV_AMD_NOXT: Scenario = pv(
    "smoke-pv-amd-noxt",
    "our own PV dom0; AMD-Vi with 32-bit entries, and Xen asks for any CPU",
    scenario::AMD,
);
/// See [`PV_VTD`].
pub(super) const PVH_VTD: Scenario = pvh(
    "smoke-pvh-vtd",
    "our own PVH dom0, messages through vPCI; VT-d",
    VTD,
);
/// See [`PV_VTD`].
pub(super) const PVH_AMD: Scenario = pvh(
    "smoke-pvh-amd",
    "our own PVH dom0, messages through vPCI; AMD-Vi",
    AMD,
);

const PV_RULES: &[Rule] = &[
    shows(
        "msix-bound",
        'i',
        "smoke-pv: messages bound",
        &["PCI-MSI/-X", "d0:"],
        5,
    ),
    shows(
        "msi-bound",
        'i',
        "smoke-pv: messages bound",
        &["PCI-MSI ", "d0:"],
        1,
    ),
    shows(
        "msix-entries",
        'M',
        "smoke-pv: messages bound",
        &["MSI-X", "mask=1/  /0"],
        5,
    ),
    shows(
        "line-bound",
        'i',
        "smoke-pv: line in use",
        &["IO-APIC-level", "in-flight=", "d0:"],
        8,
    ),
];

/// What vPCI prints of a message: the part of vmsi.c that has no other output.
const PVH_RULES: &[Rule] = &[
    shows(
        "msi-logical",
        'M',
        "smoke-pvh: logical destination",
        &["vec=0x42", "fixed", "edge", "deassert", "log", "dest_id=3"],
        1,
    ),
    shows(
        "msi-lowest",
        'M',
        "smoke-pvh: lowest priority",
        &["vec=0x43", "lowest", "log", "dest_id=1"],
        1,
    ),
    shows(
        "msi-mask-bits",
        'M',
        "smoke-pvh: root port",
        &["mask=00000002", "vectors max: 2 enabled: 2"],
        1,
    ),
    shows(
        "msi-8-vectors",
        'M',
        "smoke-pvh: xhci",
        &["vectors max: 16 enabled: 8"],
        1,
    ),
    shows(
        "msix-masked",
        'M',
        "smoke-pvh: function masked",
        &["3 vec=53", "dest_id=2", "mask=0 pirq: -1"],
        1,
    ),
    shows(
        "msix-unbound",
        'M',
        "smoke-pvh: entry with an unsupported address",
        &["3 vec=53", "mask=0 pirq: -1"],
        1,
    ),
    shows(
        "msix-65-entries",
        'M',
        "smoke-pvh: 65 entries",
        &["64 vec=70", "mask=0 pirq: 4"],
        1,
    ),
];
