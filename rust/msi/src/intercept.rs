//! What dom0 writes to configuration space.

use crate::enable::find;
use crate::mask;
use crate::window::LockedControl;
use irq_hw::pci::{MsiRegisters, MsixControl, MsixRegisters};
use xen::base::errno::Errno;
use xen::objects::arch_msix::Msix;
use xen::objects::msi_desc::{MsiDesc, Sender};
use xen::objects::pci_dev::{KeptDev, PciDev};
use xen::xen_assert;

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// It is to be carried out as it is; no interrupt depends on it.
    Other,
    /// It is to be carried out as it is; it is about MSI.
    Allowed,
    /// It has been carried out, with this value.
    Done(u32),
}

/// Looks at a write of 1, 2 or 4 bytes that a domain is about to make, before the CPU carries it
/// out. What other CPUs may change meanwhile is written here, under the lock of those registers.
/// Nothing is known of the function of `None`.
///
/// Context: IRQs on; the write has begun ([`xen::msi::config::Writing`]).
///
/// # Errors
///
/// [`Errno::ACCES`] for what domains may not write.
#[doc(alias = "pci_msi_conf_write_intercept")]
pub fn intercept(
    device: Option<KeptDev>,
    register: u32,
    size: u32,
    value: u32,
) -> Result<Write, Errno> {
    let Some(device) = device else {
        return Ok(Write::Other);
    };
    xen_assert!(device.msix().is_none() || device.msix_position().is_some());
    if let (Some(msix), Some(position)) = (device.msix(), device.msix_position()) {
        let registers = MsixRegisters::new(position);
        if registers.holds(register) {
            let control = registers.control().into();
            return if (register, size) == (control, 2) {
                let written = write_control(*device, msix, position, value as u16);
                Ok(Write::Done(value & !0xffff | u32::from(written)))
            } else if (register, size) == (position.into(), 4) {
                // The lower half cannot be written.
                let written = write_control(*device, msix, position, (value >> 16) as u16);
                Ok(Write::Done(value & 0xffff | u32::from(written) << 16))
            } else {
                Err(Errno::ACCES)
            };
        }
    }
    match find(device, Sender::Msi, None) {
        Some(msi) if msi.has_mask_bit() => messages(*device, *msi, register, size, value),
        _ => Ok(Write::Other),
    }
}

/// Message control of MSI-X: messages that the host wants masked stay so. Returns what was written.
fn write_control(device: PciDev, msix: Msix, position: u16, value: u16) -> u16 {
    let control = MsixControl::new(value);
    let locked = LockedControl::lock(device, msix, position);
    msix.set_guest_mask_all(control.masks_all());
    let masked = control.masks_all() || msix.mask_all().host;
    let written = control.with_mask_all(masked);
    locked.write(written);
    written.raw()
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
    let control = registers.control().into();
    match (register, size) {
        // As two bytes, or with the two before, which cannot be written.
        _ if (register, size) == (control, 2) => Ok(Write::Allowed),
        _ if (register, size) == (msi.position().into(), 4) => Ok(Write::Allowed),
        _ if (register, size) == (mask, 4) => {
            Ok(Write::Done(mask::write_for_guest(msi, device, value)))
        }
        _ => Err(Errno::ACCES),
    }
}
