//! What a scenario is, and what several have in common.

use anyhow::Result;

use super::acpi::TableFault;
use super::emulator::{Iommu, Machine};
use super::image;
use super::keys::Rule;
use super::rig::{self, Ramdisk, Rig};
use crate::guest::{self, Kernel};

/// What a machine boots and what has to be seen.
pub(super) struct Scenario {
    /// The name on the command line.
    pub(super) name: &'static str,
    /// What it is for, in a few words.
    pub(super) about: &'static str,
    /// The emulated machine.
    pub(super) machine: Machine,
    /// What Xen starts.
    pub(super) payload: Payload,
    /// The checks that have to be reported true; one that is missing is false.
    pub(super) checks: &'static [&'static str],
    /// What the debug keys have to show.
    pub(super) rules: &'static [Rule],
    /// The numbers that are known where a part is in Rust.
    pub(super) numbers: &'static [Number],
    /// Whether stock Xen comes through it.
    pub(super) on_stock: bool,
    /// What is wrong with a table of the firmware, if anything is. What Xen says of its IOMMUs is
    /// then compared with stock Xen, too.
    pub(super) fault: Option<TableFault>,
}

/// A number that is known where a part is in Rust.
pub(super) struct Number {
    /// The part's switch.
    pub(super) part: &'static str,
    /// The name of the number.
    pub(super) name: &'static str,
    /// Whether it is 0, or it is not.
    pub(super) is_zero: bool,
}

/// What Xen starts as dom0.
#[derive(Clone, Copy)]
pub(super) enum Payload {
    /// Debian, running a script of tests/boot.
    Dom0 {
        /// The script's name.
        script: &'static str,
        /// One of our kernels, which the script finds in /guest by its name.
        guest: Option<Kernel>,
    },
    /// One of our kernels.
    Kernel {
        /// Which.
        kernel: Kernel,
        /// What Xen has on its command line besides what all scenarios have.
        line: &'static str,
        /// What the kernel has on its own.
        words: &'static str,
        /// What is started with it.
        module: Option<Module>,
    },
}

/// What is started with one of our kernels, and handed over to by it.
#[derive(Clone, Copy)]
pub(super) enum Module {
    /// Another one.
    Kernel(Kernel),
    /// Xen and itself, again.
    Again,
}

/// What Xen has on its command line for a Debian dom0. The rest of the memory is for guests.
pub(super) const DOM0_LINE: &str = "dom0_mem=1500M,max:1500M";

impl Scenario {
    /// What is booted besides Xen; builds the test kernels in it.
    pub(super) fn payload(&self, rig: &Rig) -> Result<rig::Payload> {
        let payload = self.without_fault(rig)?;
        Ok(match self.fault {
            Some(fault) => payload.with(fault),
            None => payload,
        })
    }

    fn without_fault(&self, rig: &Rig) -> Result<rig::Payload> {
        match self.payload {
            Payload::Dom0 { script, guest } => {
                let mut files = Vec::new();
                if let Some(kernel) = guest {
                    let file = image::read(&guest::build(kernel)?)?;
                    files.push((format!("guest/{}", kernel.name()), file));
                }
                rig.dom0(self.machine, DOM0_LINE, script, &files)
            }
            Payload::Kernel {
                kernel,
                line,
                words,
                module,
            } => {
                let module = match module {
                    None => None,
                    Some(Module::Kernel(heir)) => {
                        Some(Ramdisk::Heir(image::read(&guest::build(heir)?)?))
                    }
                    Some(Module::Again) => Some(Ramdisk::Again),
                };
                rig.payload(self.machine, line, (guest::build(kernel)?, words), module)
            }
        }
    }
}

/// Two processors, a NIC and a disk, and memory for dom0 and one guest.
pub(super) const fn machine(iommu: Iommu) -> Machine {
    Machine {
        iommu: Some(iommu),
        devices: true,
        test_devices: false,
        more: &[],
        memory: 4096,
        cpus: 2,
    }
}

pub(super) const VTD: Iommu = Iommu::Vtd {
    intremap: true,
    eim: true,
};
pub(super) const VTD_NOEIM: Iommu = Iommu::Vtd {
    intremap: true,
    eim: false,
};
pub(super) const VTD_NOINTREMAP: Iommu = Iommu::Vtd {
    intremap: false,
    eim: false,
};
pub(super) const AMD: Iommu = Iommu::Amd { xt: false };
pub(super) const AMD_XT: Iommu = Iommu::Amd { xt: true };

const DOM0_CHECKS: &[&str] = &[
    "dom0-modules",
    "dom0-nic",
    "dom0-nic-tcp",
    "dom0-disk",
    "dom0-nic-irqs-to-cpu0",
    "dom0-nic-irqs-to-cpu1",
    "dom0-disk-admin-irq-to-cpu0",
    "dom0-disk-admin-irq-to-cpu1",
    "dom0-disk-queue-on-cpu0",
    "dom0-disk-queue-on-cpu1",
];

/// Debian as dom0, which drives a NIC and a disk.
pub(super) const fn dom0(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    rules: &'static [Rule],
) -> Scenario {
    Scenario {
        name,
        about,
        machine: machine(iommu),
        payload: Payload::Dom0 {
            script: "dom0.sh",
            guest: None,
        },
        checks: DOM0_CHECKS,
        rules,
        numbers: &[],
        on_stock: true,
        fault: None,
    }
}
