//! The table of scenarios.

use super::emulator::{Iommu, Machine};
use super::keys::{self, Rule};
use super::scenario::{
    AMD, AMD_XT, Number, Payload, Scenario, VTD, VTD_NOEIM, VTD_NOINTREMAP, dom0, machine,
};
use super::{bridges, firmware, intx, leave, multi, owners, reads, smoke, stale};
use crate::guest::Kernel;

/// Two devices whose pending bits and table are in one page, and word of accesses to what nothing
/// answers for. Without the last two options, the second would write to memory past the IOMMU.
const PENDING_DEVICES: &[&str] = &[
    "-device",
    "nec-usb-xhci,msi=off,msix=on,addr=6",
    "-device",
    "virtio-net-pci,vectors=4,addr=7,romfile=,disable-legacy=on,iommu_platform=on",
    reads::UNANSWERED[0],
    reads::UNANSWERED[1],
];

const MAIN_CHECKS: &[&str] = &[
    "hvm-assignable-nic",
    "hvm-assignable-disk",
    "hvm-create-0",
    "guest-nic",
    "guest-nic-tcp",
    "guest-disk",
    "guest-nic-irqs-to-cpu0",
    "guest-nic-irqs-to-cpu1",
    "guest-disk-admin-irq-to-cpu0",
    "guest-disk-admin-irq-to-cpu1",
    "guest-disk-queue-on-cpu0",
    "guest-disk-queue-on-cpu1",
    "hvm-proved",
    "hvm-destroy-0",
];

const HVM_CHECKS: &[&str] = &[
    "hvm-assignable-nic",
    "hvm-assignable-disk",
    "hvm-create-0",
    "guest-nic",
    "guest-nic-tcp",
    "guest-disk",
    "guest-nic-irqs-to-cpu0",
    "guest-nic-irqs-to-cpu1",
    "guest-disk-admin-irq-to-cpu0",
    "guest-disk-admin-irq-to-cpu1",
    "guest-disk-queue-on-cpu0",
    "guest-disk-queue-on-cpu1",
    "hvm-proved",
    "hvm-detach",
    "hvm-empty",
    "hvm-attach",
    "guest-nic-again",
    "guest-nic-tcp-again",
    "guest-disk-again",
    "hvm-destroy-0",
    "holder",
    "hvm-destroy-1",
    "hvm-destroy-2",
    "hvm-destroy-3",
    "hvm-destroy-4",
    "hvm-destroy-5",
];

/// The main job: what `cargo xtask boot` does when it is given no scenario. The `hvm-*` do the same
/// and more, so `all` is without it.
pub(super) const MAIN: Scenario = Scenario {
    name: "main",
    about: "an HVM guest drives NIC and disk, and is destroyed; VT-d",
    machine: machine(VTD),
    payload: Payload::Dom0 {
        script: "main.sh",
        guest: None,
    },
    checks: MAIN_CHECKS,
    rules: keys::GUEST,
    numbers: &[],
    on_stock: true,
    fault: None,
};

const fn hvm(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        payload: Payload::Dom0 {
            script: "hvm.sh",
            guest: Some(Kernel::MsixHolder),
        },
        checks: HVM_CHECKS,
        ..dom0(name, about, iommu, rules)
    }
}

/// All of them but [`MAIN`], in the order in which `all` runs them.
pub(super) const ALL: &[Scenario] = &[
    smoke::PV_VTD,
    smoke::PV_AMD,
    smoke::PV_VTD_NOEIM,
    smoke::PV_AMD_NOXT,
    smoke::PVH_VTD,
    smoke::PVH_AMD,
    smoke::MOVE_VTD,
    smoke::MOVE_AMD,
    smoke::MOVE_RECHECK,
    smoke::MOVE_256_VTD,
    smoke::MOVE_256_VTD_NOEIM,
    smoke::MOVE_256_AMD,
    smoke::FILL_VTD,
    smoke::FILL_AMD,
    smoke::SLEEP_VTD,
    smoke::VECTOR_CONTROL,
    bridges::VTD,
    bridges::AMD,
    bridges::UNPLUG_VTD,
    bridges::UNPLUG_AMD,
    bridges::RENUMBERED,
    leave::REBOOT_VTD,
    leave::REBOOT_AMD,
    leave::CRASH_VTD,
    leave::CRASH_AMD,
    leave::CRASH_ON_VTD,
    leave::CRASH_ON_AMD,
    leave::AGAIN_VTD,
    leave::AGAIN_AMD,
    multi::VTD,
    multi::AMD,
    stale::VTD,
    stale::AMD,
    stale::NONE,
    intx::VTD,
    intx::AMD,
    intx::NONE,
    firmware::NO_IO_APIC,
    firmware::WRONG_IO_APIC,
    firmware::IO_APIC_TWICE,
    firmware::IO_APIC_CONFLICT,
    firmware::ALIAS_BEYOND,
    firmware::ALIAS_UNLISTED,
    firmware::ALIAS_UNLISTED_XT,
    firmware::OPEN_RANGE,
    firmware::NO_IO_APIC_TOLD,
    firmware::UNMARKED_IO_APIC_TOLD,
    firmware::WRONG_IO_APIC_TOLD,
    firmware::NO_IO_APIC_XT,
    firmware::WRONG_IO_APIC_XT,
    firmware::IO_APIC_CONFLICT_XT,
    firmware::ALIAS_BEYOND_XT,
    firmware::OPEN_RANGE_XT,
    firmware::NO_IO_APIC_SCOPE,
    dom0(
        "dom0-vtd",
        "dom0 drives NIC and disk; VT-d",
        VTD,
        keys::DOM0_VTD,
    ),
    dom0(
        "dom0-vtd-noeim",
        "dom0 drives NIC and disk; VT-d without extended interrupt mode",
        VTD_NOEIM,
        keys::DOM0_VTD_NOEIM,
    ),
    dom0(
        "dom0-amd",
        "dom0 drives NIC and disk; AMD-Vi with 32-bit entries",
        AMD,
        keys::DOM0_AMD,
    ),
    dom0(
        "dom0-amd-xt",
        "dom0 drives NIC and disk; AMD-Vi with 128-bit entries",
        AMD_XT,
        keys::DOM0_AMD_XT,
    ),
    dom0(
        "dom0-nointremap",
        "dom0 drives NIC and disk; interrupts are not remapped",
        VTD_NOINTREMAP,
        keys::DOM0_NOINTREMAP,
    ),
    hvm(
        "hvm-vtd",
        "HVM guests drive NIC and disk, made and destroyed six times; VT-d",
        VTD,
        keys::HVM,
    ),
    hvm(
        "hvm-amd",
        "HVM guests drive NIC and disk, made and destroyed six times; AMD-Vi with 32-bit entries",
        AMD,
        keys::HVM,
    ),
    hvm(
        "hvm-amd-xt",
        "HVM guests drive NIC and disk, made and destroyed six times; AMD-Vi with 128-bit entries",
        AMD_XT,
        keys::HVM,
    ),
    Scenario {
        name: "hvm-msix",
        about: "a small HVM guest walks the MSI-X tables; VT-d",
        machine: machine(VTD),
        payload: Payload::Dom0 {
            script: "hvm-msix.sh",
            guest: Some(Kernel::MsixWalker),
        },
        checks: &[
            "own-bits",
            "assign",
            "create",
            "walker",
            "walker-ends",
            "trace",
            "own-bits-seen",
        ],
        rules: &[],
        numbers: &[
            Number {
                part: "RUST_VMSI",
                name: "reads-of-phase-0x13",
                is_zero: true,
            },
            Number {
                part: "RUST_VMSI",
                name: "reads-of-phase-0x14",
                is_zero: true,
            },
            // Stock Xen clears them where it sets up an entry.
            Number {
                part: "RUST_MSI",
                name: "own-bits-lost",
                is_zero: true,
            },
        ],
        on_stock: true,
        fault: None,
    },
    Scenario {
        name: "hvm-pending",
        about: "a small HVM guest uses pending bits in the pages of tables; VT-d",
        machine: Machine {
            more: PENDING_DEVICES,
            ..machine(VTD)
        },
        payload: Payload::Dom0 {
            script: "hvm-pending.sh",
            guest: Some(Kernel::PendingBits),
        },
        checks: &["assign", "create", "pending-bits", "guest-ends"],
        rules: &[],
        numbers: &[Number {
            part: "RUST_VMSI",
            name: reads::BESIDE_THE_TABLE,
            is_zero: true,
        }],
        on_stock: true,
        fault: None,
    },
    owners::GONE,
    owners::SRIOV_GONE,
    owners::SRIOV_VTD,
    owners::SRIOV_AMD,
    owners::REASSIGN_VTD,
    owners::REASSIGN_AMD,
    firmware::DEBIAN_NO_IO_APIC,
    firmware::DEBIAN_WRONG_IO_APIC,
    firmware::DEBIAN_IO_APIC_CONFLICT,
    firmware::DEBIAN_ALIAS_BEYOND,
    firmware::DEBIAN_OPEN_RANGE,
];
