//! MSIs of functions and of HPETs.

use irq_core::remap::entry::{Apic, Verified, posting};
use irq_core::remap::{Rewrite, source};
use irq_hw::vtd::{RemappableAddress, Source};
use xen::base::errno::Errno;
use xen::objects::msi_desc::{KeptMsi, MsiDesc};
use xen::objects::msi_msg::MsiMsg;
use xen::remap;
use xen::remap::vtd::{EntryLock, Unit, log};

/// Points the entry of an MSI to what its message says, or to the posted-interrupt descriptor that
/// it goes to, and makes the message one that names the entry. The first time, entries are taken
/// into use, for an MSI of several messages an aligned block.
///
/// Whose requests the messages are is worked out when the entry is set for the first time, which
/// reads configuration space, and kept in the entry: a move asks no device.
///
/// Context: the lock of the IRQ's descriptor is held, IRQs off.
///
/// # Errors
///
/// [`Errno::INVAL`] where no IOMMU serves the sender, [`Errno::FAULT`] where the table is full (or
/// the descriptor names no entry of it), [`Errno::NXIO`] and [`Errno::OPNOTSUPP`] where it is not
/// known whose requests the messages are, [`Errno::RANGE`] where the entry cannot name the CPU;
/// nothing changes then.
#[doc(alias = "msi_msg_write_remap_rte")]
pub fn update(desc: KeptMsi, message: MsiMsg) -> Result<Rewrite, Errno> {
    let unit = unit(desc).ok_or(Errno::INVAL)?;
    let lock = || unit.iommu().lock_table().ok_or(Errno::INVAL);
    let number = desc.number_in_block();
    let before = desc.entry_in_use();
    // An HPET's source does not come from configuration space.
    if desc.device().is_some()
        && let Some(index) = before
    {
        let entry = lock()?.entry(index)?;
        if let Some(source) = entry.source(number) {
            let new = new_entry(*desc, message, entry.format(), source)?;
            set(*desc, message, entry, new);
            return Ok(Rewrite::NotNeeded);
        }
    }
    let source = source(desc, unit)?;
    let mut table = lock()?;
    let new = new_entry(*desc, message, table.format(), source)?;
    let index = match before {
        Some(index) => index,
        None => {
            let Some(first) = table.allocate(desc.messages()) else {
                log::table_full_for_msi();
                return Err(Errno::FAULT);
            };
            desc.use_entries(Some(first));
            first
        }
    };
    set(*desc, message, table.entry(index)?, new);
    Ok(Rewrite::of(before, index))
}

/// The entry for what a message says, or for the posted-interrupt descriptor that it goes to.
#[doc(alias = "msi_msg_to_remap_entry")]
#[inline(always)]
fn new_entry(
    desc: MsiDesc,
    message: MsiMsg,
    format: Apic,
    source: Source,
) -> Result<Verified, Errno> {
    let apic = remap::apic();
    match desc.posting() {
        None => {
            let interrupt = message.interrupt(apic);
            interrupt.remapped(apic, format, source).ok_or(Errno::RANGE)
        }
        Some(to) => posting(to.vector, to.descriptor, source).ok_or(Errno::INVAL),
    }
}

/// Sets the descriptor's entry, and has the message name it.
#[inline(always)]
fn set(desc: MsiDesc, message: MsiMsg, entry: EntryLock, new: Verified) {
    let index = entry.index();
    entry.set(new);
    desc.mark_written(true, 1);

    // The messages of a block bear the address of its first entry; their data say how far theirs is
    // from there.
    let number = desc.number_in_block();
    let address = RemappableAddress::of(index.wrapping_sub(number) as u16, true);
    message.set(address.raw()[0], number as u32);
}

/// Gives the entries of an MSI back. Messages that are on their way are dropped from now on.
///
/// Context: as for [`update`]; the sender is quiet.
///
/// # Errors
///
/// [`Errno::INVAL`] where no IOMMU serves the sender.
#[doc(alias = "msi_msg_write_remap_rte")]
pub fn release(desc: KeptMsi) -> Result<(), Errno> {
    let iommu = unit(desc).ok_or(Errno::INVAL)?.iommu();
    let Some(mut table) = iommu.lock_table() else {
        return Ok(());
    };
    if let Some(first) = desc.entry_in_use() {
        table.release(first, desc.messages());
        desc.use_entries(None);
    }
    desc.mark_written(false, desc.messages());
    Ok(())
}

/// Takes an entry into use for an HPET's MSI, before it has a message.
///
/// Context: boot, IRQs on.
///
/// # Errors
///
/// [`Errno::NXIO`] where the table is full.
#[doc(alias = "intel_setup_hpet_msi")]
pub fn set_up_hpet(desc: MsiDesc) -> Result<(), Errno> {
    let iommu = Unit::of_hpet(desc.hpet()).ok_or(Errno::NXIO)?.iommu();
    let Some(mut table) = iommu.lock_table() else {
        return Ok(());
    };
    let first = table.allocate(1);
    desc.use_entries(first);
    if first.is_none() {
        log::table_full_for_hpet();
        return Err(Errno::NXIO);
    }
    Ok(())
}

/// The unit that serves the sender.
#[inline]
fn unit(desc: KeptMsi) -> Option<Unit<'static>> {
    match desc.device() {
        Some(device) => Unit::of_function(device),
        None => Unit::of_hpet(desc.hpet()),
    }
}

/// Whose requests the messages are.
#[inline]
fn source(desc: KeptMsi, unit: Unit<'static>) -> Result<Source, Errno> {
    let Some(device) = desc.device() else {
        return unit
            .id_of_hpet(desc.hpet())
            .map(source::of_hpet)
            .ok_or_else(|| {
                log::hpet_without_id(desc.hpet());
                Errno::NXIO
            });
    };
    let kind = device.kind();
    let upstream = if kind.is_behind_bridges() {
        device.upstream()
    } else {
        source::Upstream::Direct
    };
    source::of_function(kind, device.id(), device.phantom_stride(), upstream).ok_or_else(|| {
        if kind.is_behind_bridges() {
            log::no_upstream_bridge(device);
            Errno::NXIO
        } else {
            log::unknown_kind(device);
            Errno::OPNOTSUPP
        }
    })
}
