//! The scenarios `kexec-*`: Xen hands the machine over to another kernel. That looks at what is
//! left, or is Xen itself, which finds an IOMMU that remaps interrupts. Seconds each.

use super::emulator::Iommu;
use super::scenario::{Module, Payload, Scenario};
use super::smoke;
use crate::guest::Kernel;

/// With memory kept for a crash kernel, where `heir` is linked, Xen leaves as after a crash. It is
/// told to leave the IOMMU off, which it does not do by itself.
const CRASH: &str = "dom0_mem=128M,max:128M crashkernel=16M@64M iommu=crash-disable";

/// The same, with interrupts still remapped: what Xen does by itself.
const CRASH_ON: &str = "dom0_mem=128M,max:128M crashkernel=16M@64M";

const fn leave(
    name: &'static str,
    about: &'static str,
    iommu: Iommu,
    (line, module): (&'static str, Module),
    checks: &'static [&'static str],
) -> Scenario {
    Scenario {
        payload: Payload::Kernel {
            kernel: Kernel::Leaver,
            line,
            words: "",
            module: Some(module),
        },
        ..smoke::own(name, about, iommu, (Kernel::Leaver, line), checks, &[])
    }
}

const HEIR: Module = Module::Kernel(Kernel::Heir);

const REBOOT_CHECKS: &[&str] = &["leaver", "heir"];
const CRASH_CHECKS: &[&str] = &["leaver", "heir", "remapping-is-off"];

const CRASH_ON_CHECKS: &[&str] = &["leaver", "heir", "remapping-is-on"];

const AGAIN_CHECKS: &[&str] = &["leaver", "again"];

/// As for a reboot, with VT-d.
pub(super) const REBOOT_VTD: Scenario = leave(
    "kexec-vtd",
    "Xen hands the machine over to another kernel; VT-d",
    smoke::VTD,
    (smoke::MEMORY, HEIR),
    REBOOT_CHECKS,
);
/// As for a reboot, with AMD-Vi.
pub(super) const REBOOT_AMD: Scenario = leave(
    "kexec-amd",
    "Xen hands the machine over to another kernel; AMD-Vi",
    smoke::AMD,
    (smoke::MEMORY, HEIR),
    REBOOT_CHECKS,
);
/// As after a crash, with VT-d.
pub(super) const CRASH_VTD: Scenario = leave(
    "kexec-crash-vtd",
    "Xen leaves the machine to a crash kernel; VT-d",
    smoke::VTD,
    (CRASH, HEIR),
    CRASH_CHECKS,
);
/// As after a crash, with AMD-Vi.
pub(super) const CRASH_AMD: Scenario = leave(
    "kexec-crash-amd",
    "Xen leaves the machine to a crash kernel; AMD-Vi",
    smoke::AMD,
    (CRASH, HEIR),
    CRASH_CHECKS,
);
/// As after a crash, with remapping left on; VT-d.
pub(super) const CRASH_ON_VTD: Scenario = leave(
    "kexec-crash-on-vtd",
    "Xen leaves the machine to a crash kernel, with remapping on; VT-d",
    smoke::VTD,
    (CRASH_ON, HEIR),
    CRASH_ON_CHECKS,
);
/// As after a crash, with remapping left on; AMD-Vi.
pub(super) const CRASH_ON_AMD: Scenario = leave(
    "kexec-crash-on-amd",
    "Xen leaves the machine to a crash kernel, with remapping on; AMD-Vi",
    smoke::AMD,
    (CRASH_ON, HEIR),
    CRASH_ON_CHECKS,
);
/// To Xen itself, with VT-d.
pub(super) const AGAIN_VTD: Scenario = leave(
    "kexec-xen-vtd",
    "Xen hands the machine over to Xen; VT-d",
    smoke::VTD,
    (smoke::MEMORY, Module::Again),
    AGAIN_CHECKS,
);
/// To Xen itself, with AMD-Vi.
pub(super) const AGAIN_AMD: Scenario = leave(
    "kexec-xen-amd",
    "Xen hands the machine over to Xen; AMD-Vi",
    smoke::AMD,
    (smoke::MEMORY, Module::Again),
    AGAIN_CHECKS,
);
