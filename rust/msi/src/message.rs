//! What a device sends.

use crate::window::MsixWindow;
use crate::{control, mask};
use irq_core::remap::Rewrite;
use irq_hw::msix;
use irq_hw::pci::MsiRegisters;
use xen::base::errno::Errno;
use xen::msi::config;
use xen::msi::message as msi;
use xen::objects::arch_msix::Msix;
use xen::objects::cpumask::CpuMask;
use xen::objects::hw_irq_controller::Handler;
use xen::objects::irq_desc::{HeldDesc, NewUser};
use xen::objects::msi_desc::{HeldMsi, KeptMsi, MsiDesc, Sender};
use xen::objects::msi_msg::Message;
use xen::objects::pci_dev::PciDev;
use xen::xen_assert;

/// Composes a message to some CPUs, or to the CPU with APIC ID 0 where none are named. It is all
/// zeros where the vector is not one that Xen gives to interrupts, or none of the CPUs is online.
///
/// Context: this CPU's scratch set of CPUs is not in use.
#[doc(alias = "msi_compose_msg")]
pub fn compose(vector: u32, cpus: Option<CpuMask>) -> Message {
    if !msi::is_for_interrupts(vector) {
        return Message::default();
    }
    match cpus.map(CpuMask::online_destination) {
        None => msi::compose(vector as u8, 0),
        Some(Some(destination)) => msi::compose(vector as u8, destination),
        Some(None) => {
            // Nothing writes such a message. A set has no CPU that is online only where its CPUs
            // went offline, and then nothing handles the IRQ.
            xen_assert!(false);
            Message::default()
        }
    }
}

/// Binds an IRQ to an MSI, and has the device send it.
///
/// # Errors
///
/// As for [`program`], and [`Errno::INVAL`] where there is no CPU online to which the message could
/// go, or no vector; the IRQ is not bound then.
#[doc(alias = "__setup_msi_irq")]
pub fn bind(desc: HeldDesc, msi: NewUser, handler: Handler) -> Result<(), Errno> {
    let message = compose(desc.vector().into(), desc.cpus());
    if message == Message::default() {
        return Err(Errno::INVAL);
    }
    let msi = desc.bind_msi(msi, handler);
    program_anew(msi, message).inspect_err(|_| desc.unbind_msi())
}

/// As [`bind`], with the handler that the MSI needs; the device need not be enabled yet.
///
/// # Errors
///
/// As for [`bind`].
#[doc(alias = "setup_msi_irq")]
pub fn set_up(desc: HeldDesc, new: NewUser) -> Result<(), Errno> {
    let msi = new.msi();
    let handler = Handler::of_msi(mask::is_maskable(*msi));
    let device = msi.device().filter(|_| msi.is_msix());
    let _window = device.and_then(|device| {
        let msix = device.msix()?;
        // This can fail, so a device that changed by itself is not taken for what it was.
        msix.forget_ready();
        MsixWindow::open_if_disabled(device, msix, msi.position())
    });
    bind(desc, new, handler)
}

/// Moves an interrupt to other CPUs; without a set, to any.
///
/// Context: the device has it masked, if it can.
#[doc(alias = "set_msi_affinity")]
#[inline]
pub fn retarget(desc: HeldDesc, cpus: Option<CpuMask>) {
    let Some(destination) = desc.choose_destination(cpus) else {
        return;
    };
    let Some(msi) = desc.msi_desc() else {
        return;
    };
    xen_assert!(desc.is_locked());
    let message = msi.message().to(desc.vector(), destination);
    // AMD's IOMMUs name no CPUs where they have lost their own message, at boot and after S3.
    if cpus.is_none() {
        msi.note_programmed(None);
    }
    // A device that cannot be reached now gets the message when it is restored, or moved again.
    let _ = program(msi, message);
}

/// Programs a message, whatever the device's registers may hold.
///
/// Context and errors: as for [`program`].
pub(crate) fn program_anew(msi: HeldMsi, message: Message) -> Result<(), Errno> {
    msi.note_programmed(None);
    program(msi, message)
}

/// Programs a message, remapped where interrupts are. The device's registers are not written where
/// they name the same entry of the remapping table as before and are known to hold the message:
/// it was written, and nothing has changed configuration space since.
///
/// Context: IRQs off.
///
/// # Errors
///
/// What the IOMMU's driver returns, and [`Errno::NXIO`] where the device's table cannot be reached.
#[doc(alias = "write_msi_msg")]
#[inline]
pub(crate) fn program(msi: HeldMsi, message: Message) -> Result<(), Errno> {
    let (sent, rewrite) = msi.remap(message)?;
    if rewrite == Rewrite::NotNeeded && msi.is_programmed() {
        return Ok(());
    }
    let Some(device) = msi.device() else {
        return Ok(());
    };
    // First, because the device may lose what is written from here on.
    let generation = config::generation();
    let holds = match msi.sender() {
        Sender::Msix => write_entry(*msi, device, sent),
        sender => {
            xen_assert!(sender == Sender::Msi);
            write_capability(**msi, device, sent);
            Ok(true)
        }
    };
    msi.note_programmed(generation.filter(|_| matches!(holds, Ok(true))));
    holds.map(drop)
}

/// The message of an MSI-X entry. A function that is taken for ready and has disabled MSI-X by
/// itself may drop it; that is seen by what it answers then: the address of a message is neither 0
/// nor all ones. Returns whether the entry holds the message, as far as that was looked at.
#[inline]
fn write_entry(msi: KeptMsi, device: PciDev, message: Message) -> Result<bool, Errno> {
    let entry = msi.table_entry().ok_or(Errno::NXIO)?;
    let known = device.msix().is_some_and(Msix::is_known_ready);
    if !known && !control::is_ready_now(*msi, device) {
        return Err(Errno::NXIO);
    }
    let address = message.address as u32;
    entry.write32(msix::ADDRESS, address);
    entry.write32(msix::UPPER_ADDRESS, (message.address >> 32) as u32);
    entry.write32(msix::DATA, message.data);
    let lost = known && entry.read32(msix::ADDRESS) != address;
    if lost && !control::is_ready_now(*msi, device) {
        return Err(Errno::NXIO);
    }
    Ok(!lost)
}

/// The message of an MSI; the device makes the others of its block from the first.
#[inline]
fn write_capability(msi: MsiDesc, device: PciDev, message: Message) {
    let number = msi.entry();
    xen_assert!(message.data & msi.first_of_block().messages().wrapping_sub(1) == number.into());
    if number != 0 {
        return;
    }
    let function = device.config();
    let registers = MsiRegisters::new(msi.position(), msi.is_64_bit());
    function.write32(registers.address(), message.address as u32);
    if let Some(register) = registers.upper_address() {
        function.write32(register, (message.address >> 32) as u32);
    }
    function.write16(registers.data(), message.data as u16);
}
