//! MSIs of functions and of the HPET.

use irq_core::remap::entry::Interrupt;
use irq_core::remap::{Place, Rewrite};
use irq_hw::amd::MSI_INDEX;
use xen::base::errno::Errno;
use xen::objects::msi_desc::{KeptMsi, MsiDesc};
use xen::objects::msi_msg::MsiMsg;
use xen::remap;
use xen::remap::amd::{self, Device, Served, log};
use xen::xen_assert;

/// Points the entry of an MSI to what its message says, and makes the message one that names the
/// entry. The first time, entries are taken into use, for an MSI of several messages an aligned
/// block, and it is noted whose table they are of: there they are used and freed, whatever is known
/// of the sender later.
///
/// An IOMMU's own messages are not remapped, and nothing changes.
///
/// Context: the lock of the IRQ's descriptor is held, IRQs off.
///
/// # Errors
///
/// [`Errno::INVAL`] where no IOMMU serves the sender, or two of its tables would have to be used,
/// [`Errno::NOSPC`] where the table is full, or there is none, [`Errno::RANGE`] where the table's
/// entries cannot name the CPU; nothing changes then.
#[doc(alias = "amd_iommu_msi_msg_update_ire")]
#[doc(alias = "update_intremap_entry_from_msi_msg")]
pub fn update(desc: KeptMsi, message: MsiMsg) -> Result<Rewrite, Errno> {
    let sender = Device::sending(desc);
    if sender.is_iommu() {
        return Ok(Rewrite::NotNeeded);
    }
    let served = served(sender)?;
    let interrupt = message.interrupt(remap::apic());
    let interrupt = Interrupt {
        // Fixed or lowest priority: Xen composes no others, and none shall get into an entry.
        delivery_mode: interrupt.delivery_mode & 1,
        ..interrupt
    };

    let before = desc.entry_in_use().map(Place::of);
    let table = match before {
        Some(place) => served.table_of(place.requester)?,
        None => served.table_of_messages()?,
    };
    let table = table.lock()?;
    let new = table.entry_for(interrupt)?;
    let used = match before {
        Some(place) => table.entry(place.index),
        None => Err(table),
    };
    let entry = match used {
        Ok(entry) => entry,
        Err(table) => {
            xen_assert!(desc.messages() != 0);
            let first = table.allocate(desc.messages()).ok_or(Errno::NOSPC)?;
            desc.use_entries(Some(first.place().number()));
            first
        }
    };
    let index = entry.index();
    entry.set(new);

    // Callers compare messages: what the entry says is no part of one any more.
    message.set(
        message.address().without_destination().raw(),
        message.data().raw() & !MSI_INDEX | index as u32,
    );
    Ok(Rewrite::of(before.map(|place| place.index), index))
}

/// Gives the entries of an MSI back. Messages that are on their way are dropped from now on.
///
/// Of an MSI of several messages the first has all entries; with the others nothing happens.
///
/// Context: any that may take a lock with IRQs off; the sender is quiet.
///
/// # Errors
///
/// [`Errno::INVAL`] where no IOMMU serves the sender.
#[doc(alias = "amd_iommu_msi_msg_update_ire")]
pub fn release(desc: KeptMsi) -> Result<(), Errno> {
    let sender = Device::sending(desc);
    if sender.is_iommu() {
        return Ok(());
    }
    let served = served(sender)?;
    if let Some(first) = desc.entry_in_use().map(Place::of) {
        let table = served.table_of(first.requester)?;
        table.release(first.index, desc.messages());
        desc.use_entries(None);
    }
    Ok(())
}

/// Takes an entry into use for an HPET's MSI, before it has a message.
///
/// Context: boot, IRQs on.
///
/// # Errors
///
/// [`Errno::NODEV`] where firmware says nothing of the HPET, [`Errno::NXIO`] where no IOMMU serves
/// it, or the table is full.
#[doc(alias = "amd_setup_hpet_msi")]
pub fn set_up_hpet(desc: MsiDesc) -> Result<(), Errno> {
    let hpet = amd::hpet().ok_or_else(|| {
        log::hpet_unknown();
        Errno::NODEV
    })?;
    if hpet.id != desc.hpet() {
        log::hpet_other();
        return Err(Errno::NODEV);
    }
    let served = Served::by_iommu(hpet.device).ok_or(Errno::NXIO)?;
    let table = served.table_of_messages().and_then(|table| table.lock());
    let entry = table.ok().and_then(|table| table.allocate(1));
    desc.use_entries(entry.as_ref().map(|entry| entry.place().number()));
    entry.map(|_| ()).ok_or(Errno::NXIO)
}

/// The sender and the IOMMU that serves it.
#[inline]
fn served(sender: Device) -> Result<Served<'static>, Errno> {
    Served::by_iommu(sender).ok_or_else(|| {
        log::message_without_iommu(sender);
        Errno::INVAL
    })
}
