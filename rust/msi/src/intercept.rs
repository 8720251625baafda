//! What dom0 writes to configuration space.

use crate::enable::find;
use irq_core::host::mask;
use irq_hw::pci::{MsiRegisters, MsixControl, MsixRegisters};
use xen::errno::Errno;
use xen::host::config;
use xen::host::desc::MaskRegister;
use xen::host::reserved::Reserved;
use xen::msi_desc::{MsiDesc, Sender};
use xen::msix::Msix;
use xen::pci::PciDev;

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing of ours is written.
    Other,
    /// Something of ours is, and this value instead.
    Value(u32),
}

/// Looks at a write of 1, 2 or 4 bytes that a domain is about to make, before the CPU carries it out.
///
/// Context: `pcidevs_lock` is held, or the locks that vPCI takes; IRQs on. Replaces `pci_msi_conf_write_intercept()`.
///
/// # Errors
///
/// [`Errno::ACCES`] for what domains may not write.
pub fn intercept(device: PciDev, register: u32, size: u32, value: u32) -> Result<Write, Errno> {
    config::write_announced();
    if let (Some(msix), Some(position)) = (device.msix(), device.msix_position()) {
        let registers = MsixRegisters::new(position);
        if registers.holds(register) {
            if register != registers.control().into() || size != 2 {
                return Err(Errno::ACCES);
            }
            return Ok(Write::Value(mask_all(msix, value)));
        }
    }
    match find(device, Sender::Msi, None) {
        Some(msi) if msi.has_mask_bit() => messages(device, msi, register, size, value),
        _ => Ok(Write::Other),
    }
}

/// Message control of MSI-X: messages that the host wants masked stay so.
fn mask_all(msix: Msix, value: u32) -> u32 {
    let control = MsixControl::new(value as u16);
    msix.set_guest_mask_all(control.masks_all());
    let masked = control.masks_all() || msix.mask_all().host;
    value & !0xffff | u32::from(control.with_mask_all(masked).raw())
}

/// The MSI capability of a function with mask bits.
fn messages(
    device: PciDev,
    msi: MsiDesc,
    register: u32,
    size: u32,
    value: u32,
) -> Result<Write, Errno> {
    let registers = MsiRegisters::new(msi.position(), msi.is_64_bit());
    let mask = u32::from(msi.mask_register());
    if register < msi.position().into() || register >= mask + 8 {
        return Ok(Write::Other);
    }
    if register == registers.control().into() {
        return if size == 2 {
            Ok(Write::Value(value))
        } else {
            Err(Errno::ACCES)
        };
    }
    if register < mask || register >= mask + 4 || size != 4 {
        return Err(Errno::ACCES);
    }
    Ok(Write::Value(mask_messages(device, msi, value)))
}

/// The mask register: what the host wants masked stays so, and so do messages that are not set up.
fn mask_messages(device: PciDev, msi: MsiDesc, value: u32) -> u32 {
    let _locked = MaskRegister::lock();
    let mut unused = mask::all(device.capable_messages());
    let mut written = value;
    for (number, desc) in msi.block().enumerate().take(32) {
        let bit = 1 << number;
        let mut masks = desc.masks();
        masks.guest = value & bit != 0;
        desc.set_masks(masks);
        if masks.host {
            written |= bit;
        }
        unused &= !bit;
    }
    // What the domain writes beyond the messages is the device's to keep, or not.
    msi.first_of_block().keep_reserved(Reserved::default());
    written | unused
}
