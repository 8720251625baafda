//! Message control of a function's capabilities, and whether its table can be reached.

use irq_hw::pci::{self, MsiControl, MsixControl, MsixRegisters};
use xen::msi::config;
use xen::objects::arch_msix::Msix;
use xen::objects::domain::hardware_domain_exists;
use xen::objects::msi_desc::MsiDesc;
use xen::objects::pci_dev::PciDev;
use xen::objects::pci_sbdf::Sbdf;

/// Reads message control of an MSI capability.
pub(crate) fn msi(function: Sbdf, position: u16) -> MsiControl {
    MsiControl::new(function.read16(pci::MsiRegisters::new(position, false).control()))
}

/// Writes it.
pub(crate) fn set_msi(function: Sbdf, position: u16, control: MsiControl) {
    let register = pci::MsiRegisters::new(position, false).control();
    function.write16(register, control.raw());
}

/// Enables or disables MSI; the other bits stay.
#[doc(alias = "__msi_set_enable")]
#[doc(alias = "msi_set_enable")]
pub fn enable_msi(function: Sbdf, position: u16, enabled: bool) {
    let control = msi(function, position);
    set_msi(function, position, control.with_enabled(enabled));
}

/// Reads message control of an MSI-X capability.
pub(crate) fn msix(function: Sbdf, position: u16) -> MsixControl {
    MsixControl::new(function.read16(MsixRegisters::new(position).control()))
}

/// Writes it.
pub(crate) fn set_msix(function: Sbdf, position: u16, control: MsixControl) {
    function.write16(MsixRegisters::new(position).control(), control.raw());
    // Somebody may have read meanwhile that it is enabled.
    if !control.enabled() {
        config::changed();
    }
}

/// Asks whether a function decodes memory; for a virtual function its physical function says so.
#[doc(alias = "memory_decoded")]
#[inline]
pub(crate) fn decodes_memory(device: PciDev) -> bool {
    let function = device.physical().unwrap_or_else(|| device.config());
    function.read16(pci::COMMAND) & pci::COMMAND_MEMORY != 0
}

/// Returns whether the entry of a table can be reached: its function is enabled and decodes memory.
#[doc(alias = "msix_memory_decoded")]
#[inline]
pub(crate) fn is_ready(desc: MsiDesc, device: PciDev) -> bool {
    device.msix().is_some_and(Msix::is_known_ready) || is_ready_now(desc, device)
}

/// As [`is_ready`], by what configuration space says now.
#[cold]
pub(crate) fn is_ready_now(desc: MsiDesc, device: PciDev) -> bool {
    let Some(msix) = device.msix() else {
        return false;
    };
    msix.forget_ready();
    let generation = config::generation();
    let ready = msix_is_enabled(desc, device) && decodes_memory(device);
    if ready && let Some(generation) = generation {
        msix.note_ready(generation);
    }
    ready
}

fn msix_is_enabled(desc: MsiDesc, device: PciDev) -> bool {
    msix(device.config(), desc.position()).enabled()
}

/// Returns whether Xen itself is who asks: before there is dom0, only Xen enables a device's MSI.
pub(crate) fn is_for_xen() -> bool {
    !hardware_domain_exists()
}
