//! The MSI capability.

use crate::control;
use core::num::NonZero;
use irq_core::msi::mask;
use irq_hw::pci::MsiRegisters;
use xen::base::errno::Errno;
use xen::msi::new::NewMsi;
use xen::msi::register_lock::RegisterLock;
use xen::objects::msi_desc::MsiDesc;
use xen::objects::msi_info::Request;
use xen::objects::pci_dev::KeptDev;

/// Why an interrupt was not set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An error.
    Error(Errno),
    /// The device has only so many messages.
    TooMany(u32),
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self::Error(errno)
    }
}

/// Sets up a block of messages; they are masked, where they can be.
///
/// # Errors
///
/// [`Errno::NODEV`] without the capability, [`Errno::NOMEM`], [`Errno::NXIO`] where the function
/// does not answer, and the number of messages that the function has where more are asked for.
#[doc(alias = "msi_capability_init")]
pub(crate) fn set_up<'a>(
    device: KeptDev<'a>,
    count: NonZero<u32>,
    request: Request,
) -> Result<MsiDesc<'a>, Refused> {
    let position = device.msi_position().ok_or(Errno::NODEV)?;
    let function = device.config();
    if count.get() > device.capable_messages() {
        return Err(Refused::TooMany(device.capable_messages()));
    }
    let new = NewMsi::allocate(device, count).ok_or(Errno::NOMEM)?;
    let control = control::msi(function, position);
    if control.is_no_answer() {
        // It does not say where its registers are.
        return Err(Errno::NXIO.into());
    }
    control::set_msi(function, position, control.with_enabled(false));

    let registers = MsiRegisters::new(position, control.is_64_bit());
    if control.is_maskable() {
        let _locked = RegisterLock::take();
        let register = registers.mask();
        // What the function does not have is reserved, and stays.
        let others = function.read32(register);
        function.write32(register, others | mask::all(device.capable_messages()));
    }
    let msi = new.become_msi(registers, control, request.irq());

    let mut control = control.with_messages(count.get());
    if control::is_for_xen() {
        device.set_intx(false);
        control = control.with_enabled(true);
    }
    control::set_msi(function, position, control);
    Ok(msi)
}
