//! A device that has lost its state gets it back.

use crate::window::MsixWindow;
use crate::{control, mask, message};
use xen::base::errno::Errno;
use xen::msi::log;
use xen::msi::options;
use xen::msi::register_lock::RegisterLock;
use xen::objects::irq_desc::{IrqDesc, LockedDesc};
use xen::objects::msi_desc::{KeptMsi, MaskChange, Sender};
use xen::objects::pci_dev::{KeptDev, PciDev, PcidevsLocked};
use xen::xen_assert;

/// Writes the messages and masks of all of a function's interrupts again, and enables them: dom0
/// has woken from sleep, or has reset the function.
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::OPNOTSUPP`] where the boot option `msi` forbids MSI, [`Errno::PERM`] and the like where
/// the domain may not ask for it, [`Errno::NXIO`] where the function does not decode memory,
/// [`Errno::INVAL`] where an interrupt is not set up as it seems.
#[doc(alias = "pci_restore_msi_state")]
pub fn restore(device: PciDev, lock: PcidevsLocked) -> Result<(), Errno> {
    let device = KeptDev::of(device, lock);
    if !options::allowed() {
        return Err(Errno::OPNOTSUPP);
    }
    device.check_set_up_permission()?;
    let mut window = None;
    let result = restore_all(device, &mut window);
    if let Some(window) = window {
        window.close(|control| match result {
            Ok(()) => {
                // The function may have lost mask-all, which the guest still wants. The host does
                // not write its own again, since each entry is masked as it should be; that it
                // masked all stays noted, as upstream has it, until a first entry is set up again.
                let guest = device.msix().is_some_and(|msix| msix.mask_all().guest);
                let masked = control.masks_all() || guest;
                control.with_enabled(true).with_mask_all(masked)
            }
            Err(_) => control.with_enabled(false),
        });
    }
    result
}

/// Opens a window where an entry of a table is to be restored.
fn restore_all<'a>(device: KeptDev<'a>, window: &mut Option<MsixWindow<'a>>) -> Result<(), Errno> {
    let mut kind = None;
    for msi in device.msi_descs() {
        // A function has messages of its MSI or entries of its table, not both.
        xen_assert!(*kind.get_or_insert(msi.sender()) == msi.sender());
        match msi.sender() {
            Sender::Msi => restore_messages(*device, msi)?,
            Sender::Msix => {
                let locked = lock(msi, 0)?;
                if window.is_none() {
                    let msix = device.msix().ok_or(Errno::INVAL)?;
                    *window = Some(MsixWindow::open(*device, msix, msi.position()));
                    if !control::decodes_memory(*device) {
                        return Err(Errno::NXIO);
                    }
                }
                restore_entry(&locked)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Locks the descriptor of an IRQ that has to be an MSI's.
fn lock<'a>(msi: KeptMsi<'a>, number: u32) -> Result<LockedDesc<'a>, Errno> {
    let locked = msi.irq_desc().map(IrqDesc::lock);
    match locked.filter(|locked| locked.msi_desc() == Some(msi)) {
        Some(locked) => Ok(locked),
        None => {
            xen_assert!(number != 0);
            if let Some(device) = msi.device() {
                log::not_set_up(device, number);
            }
            Err(Errno::INVAL)
        }
    }
}

/// The messages of an MSI: that of the first is written, which leads to the others.
fn restore_messages(device: PciDev, first: KeptMsi) -> Result<(), Errno> {
    let (function, position) = (device.config(), first.position());
    for (number, msi) in first.block().enumerate() {
        let locked = lock(msi, number as u32)?;
        let msi = locked.held().msi_desc().ok_or(Errno::INVAL)?;
        if number == 0 {
            // A reset may have changed the mask register.
            RegisterLock::take().mask_register(device, **msi).forget();
            control::enable_msi(function, position, false);
            // What the IOMMU knows of it is as before; the device has lost it.
            let _ = message::program_anew(msi, msi.message());
        }
        mask::set(locked.held(), msi, MaskChange::NONE);
    }
    let control = control::msi(function, position).with_messages(first.messages());
    control::set_msi(function, position, control);
    control::enable_msi(function, position, true);
    Ok(())
}

/// An entry of an MSI-X table.
fn restore_entry(locked: &LockedDesc) -> Result<(), Errno> {
    let msi = locked.held().msi_desc().ok_or(Errno::INVAL)?;
    let _ = message::program_anew(msi, msi.message());
    if mask::set(locked.held(), msi, MaskChange::NONE) {
        Ok(())
    } else {
        // The function does not decode memory any more.
        Err(Errno::NXIO)
    }
}
