//! The scenarios `sriov-*` and `reassign-*`: functions that come and go, and change their owners.

use super::emulator::{Iommu, Machine};
use super::keys::{Rule, same_from, shows};
use super::scenario::{self, Payload, Scenario};
use crate::guest::Kernel;

const fn owners(
    name: &'static str,
    about: &'static str,
    machine: Machine,
    payload: Payload,
    (checks, rules): (&'static [&'static str], &'static [Rule]),
) -> Scenario {
    Scenario {
        name,
        about,
        machine,
        payload,
        checks,
        rules,
        numbers: &[],
        on_stock: true,
        fault: None,
    }
}

const fn sriov(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    let machine = Machine {
        devices: false,
        more: &[
            "-netdev",
            "user,id=n1,restrict=on,guestfwd=tcp:10.0.2.100:7-cmd:cat",
            "-device",
            "igb,netdev=n1,addr=9,romfile=",
        ],
        ..scenario::machine(iommu)
    };
    let payload = Payload::Dom0 {
        script: "sriov.sh",
        guest: None,
    };
    owners(name, about, machine, payload, (SRIOV_CHECKS, SRIOV_RULES))
}

const fn reassign(name: &'static str, about: &'static str, iommu: Iommu) -> Scenario {
    let machine = Machine {
        more: &[
            "-device",
            "nec-usb-xhci,msix=off,addr=6,id=usb",
            "-device",
            "usb-kbd,bus=usb.0",
        ],
        ..scenario::machine(iommu)
    };
    let payload = Payload::Dom0 {
        script: "reassign.sh",
        guest: Some(Kernel::MsixHolder),
    };
    owners(
        name,
        about,
        machine,
        payload,
        (REASSIGN_CHECKS, REASSIGN_RULES),
    )
}

const fn gone(
    name: &'static str,
    about: &'static str,
    machine: Machine,
    judged: (&'static [&'static str], &'static [Rule]),
) -> Scenario {
    let payload = Payload::Dom0 {
        script: "hvm-gone.sh",
        guest: Some(Kernel::MsixProdder),
    };
    Scenario {
        // Stock Xen follows a pointer to the function, which is freed.
        on_stock: false,
        ..owners(name, about, machine, payload, judged)
    }
}

/// A function that goes while a guest uses it.
pub(super) const GONE: Scenario = gone(
    "hvm-gone",
    "dom0 removes a function while an HVM guest walks its MSI-X table; VT-d",
    scenario::machine(scenario::VTD),
    (
        &[
            "assign",
            "create",
            "prodder",
            "bound",
            "gone",
            "walks-on",
            "bound-again",
            "let-go",
            "walks-on-without",
            "untouched",
            "bound-without",
            "back",
            "traffic",
            "walks-on-again",
            "bound-beside",
        ],
        &[WALKS_ON],
    ),
);

/// A virtual function that goes so.
pub(super) const SRIOV_GONE: Scenario = gone(
    "sriov-gone",
    "virtual functions go while an HVM guest walks the MSI-X table of one; VT-d",
    SRIOV_VTD.machine,
    (
        &[
            "make",
            "assign",
            "create",
            "prodder",
            "disable",
            "walks-on-disabled",
            "gone",
            "walks-on",
        ],
        &[WALKS_ON_DISABLED, WALKS_ON],
    ),
);

/// The guest walks on after a check, as the serial log has it, in which no line is lost.
const fn walks_on(name: &'static str, after: &'static str) -> Rule {
    Rule::GoesOn {
        name,
        after,
        words: &["prodder: walks on"],
        times: 3,
    }
}

const WALKS_ON: Rule = walks_on("log-walks-on", "gone");
const WALKS_ON_DISABLED: Rule = walks_on("log-walks-on-disabled", "disable");

/// A virtual function in a guest, with VT-d.
pub(super) const SRIOV_VTD: Scenario = sriov(
    "sriov-vtd",
    "an HVM guest drives a virtual function of dom0's NIC; VT-d",
    scenario::VTD,
);
/// A virtual function in a guest, with AMD-Vi.
pub(super) const SRIOV_AMD: Scenario = sriov(
    "sriov-amd",
    "an HVM guest drives a virtual function of dom0's NIC; AMD-Vi",
    scenario::AMD_XT,
);
/// Off, on, reset, given away and taken back, with VT-d.
pub(super) const REASSIGN_VTD: Scenario = reassign(
    "reassign-vtd",
    "devices are reset and change their owners again and again; VT-d",
    scenario::VTD,
);
/// Off, on, reset, given away and taken back, with AMD-Vi.
pub(super) const REASSIGN_AMD: Scenario = reassign(
    "reassign-amd",
    "devices are reset and change their owners again and again; AMD-Vi",
    scenario::AMD_XT,
);

const SRIOV_CHECKS: &[&str] = &[
    "sriov-nic",
    "sriov-nic-tcp",
    "sriov-make-0",
    "sriov-nic-tcp-0",
    "guest-nic",
    "guest-nic-tcp",
    "guest-nic-irqs-to-cpu0",
    "guest-nic-irqs-to-cpu1",
    "sriov-proved",
    "sriov-nic-tcp-beside",
    "sriov-done",
    "sriov-destroy",
    "sriov-remove-0",
    "sriov-nic-tcp-after-0",
    "sriov-make-1",
    "sriov-remove-1",
    "sriov-nic-tcp-after-1",
];

/// The guest has three messages of the function beside dom0's three of the NIC, and leaves nothing
/// behind; nor do the functions.
const SRIOV_RULES: &[Rule] = &[
    shows(
        "key-i-guest",
        'i',
        "running",
        &["PCI-MSI/-X", "in-flight"],
        6,
    ),
    shows(
        "key-Q-guest",
        'Q',
        "running",
        &["0000:00:19.2", "MSIs <"],
        1,
    ),
    same_from("guest-leaves-key-i", 'i', ["before", "after"]),
    same_from("guest-leaves-key-M", 'M', ["before", "after"]),
    same_from("guest-leaves-key-V", 'V', ["before", "after"]),
    same_from("guest-leaves-key-Q", 'Q', ["before", "after"]),
    same_from("functions-leave-key-i", 'i', ["without", "gone"]),
    same_from("functions-leave-key-M", 'M', ["without", "gone"]),
    same_from("functions-leave-key-V", 'V', ["without", "gone"]),
    same_from("functions-leave-key-Q", 'Q', ["without", "gone"]),
];

const REASSIGN_CHECKS: &[&str] = &[
    "works-nic-rebind",
    "works-disk-rebind",
    "works-usb-rebind",
    "works-nic-reset",
    "works-disk-reset",
    "works-nic-again",
    "works-disk-again",
    "works-usb-again",
    "works-nic-blind",
    "works-disk-blind",
    "works-usb-blind",
    "holder",
    "release",
    "take",
    "works-nic-after",
    "works-disk-after",
    "works-usb-after",
];

/// While a guest has them, five entries of the NIC and sixteen of the disk are in use; in the end
/// all is as it was.
const REASSIGN_RULES: &[Rule] = &[
    shows(
        "key-M-holding",
        'M',
        "holding",
        &["MSI-X", "fixed", "edge", "assert"],
        21,
    ),
    same_from("no-leak-key-i", 'i', ["before", "after"]),
    same_from("no-leak-key-M", 'M', ["before", "after"]),
    same_from("no-leak-key-V", 'V', ["before", "after"]),
    same_from("no-leak-key-Q", 'Q', ["before", "after"]),
];
