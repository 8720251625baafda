//! IO-APIC pins. Xen reads and writes their entries as if nothing were remapped; in those of the
//! hardware the number of an entry of the table stands in place of vector and delivery mode.

use irq_core::remap::entry::{Apic, Interrupt};
use irq_hw::amd::MSI_INDEX;
use irq_hw::ioapic::Pin;
use xen::base::errno::Errno;
use xen::objects::ioapic::{Half, LockedIoApic};
use xen::remap;
use xen::remap::amd::{PinEntry, Pins, Served, TableLock, log};
use xen::xen_assert;

/// Reads a register of an IO-APIC as Xen sees it.
///
/// Vector and delivery mode are those that Xen wrote last, and so is a destination of 32 bits; all
/// else is the pin's own, where it stands as it was written. No table is locked: a crash may have
/// stopped a CPU that holds its lock, and the crash kernel's start reads pins.
#[doc(alias = "amd_iommu_read_ioapic_from_ire")]
pub fn read(io_apic: LockedIoApic, register: u32) -> u32 {
    let Some(half) = Half::of(register) else {
        return io_apic.read(register);
    };
    if half.upper && remap::apic() == Apic::X {
        return io_apic.read(register);
    }
    let remapped = Pins::of(*io_apic)
        .and_then(|pins| pins.pin(half.pin as u32))
        .filter(|pin| pin.index() <= MSI_INDEX as usize);
    let Some(pin) = remapped else {
        return io_apic.read(register);
    };
    let logical = pin.logical();
    if half.upper {
        return logical.upper();
    }
    let value = io_apic.read(register);
    xen_assert!(pin.index() == (value & MSI_INDEX) as usize);
    let [value] = Pin::new([value.into()])
        .with_vector(logical.vector())
        .with_delivery_mode(logical.delivery_mode())
        .raw();
    value as u32
}

/// Writes the entry of an IO-APIC's pin as Xen sees it: first that of the table, then the pin,
/// which names it.
///
/// Where the table is full nothing is written, and the pin stays as it was; so does one of an
/// IO-APIC of which firmware says nothing.
#[doc(alias = "amd_iommu_ioapic_update_ire")]
#[doc(alias = "set_rte_index")]
pub fn write(io_apic: LockedIoApic, pin: u32, entry: u64) {
    let Some(pins) = Pins::of(*io_apic) else {
        return;
    };
    let used = pins.pin(pin);
    let device = pins.device();
    let Some(served) = Served::by_iommu(device) else {
        log::pins_without_iommu(device);
        return io_apic.write_entry(pin, entry);
    };
    let Some(used) = used else {
        return;
    };
    let wanted = Pin::new([entry]);
    let interrupt = Interrupt::of_pin(wanted, remap::apic());
    let table = served.table_of_pins().lock();
    match table.and_then(|table| update(table, used, interrupt)) {
        Ok(index) => {
            used.set_logical(wanted);
            io_apic.write_entry(pin, entry & !u64::from(MSI_INDEX) | index as u64);
        }
        Err(errno) => log::pin_not_remapped(*io_apic, pin, errno),
    }
}

/// Sets the entry that a pin uses. The first time, one is taken into use.
#[doc(alias = "update_intremap_entry_from_ioapic")]
#[inline(always)]
fn update(table: TableLock, used: PinEntry, interrupt: Interrupt) -> Result<usize, Errno> {
    let new = table.entry_for(interrupt)?;
    let entry = match table.entry(used.index()) {
        Ok(entry) => entry,
        Err(table) => {
            let entry = table.allocate(1).ok_or(Errno::NOSPC)?;
            used.set(entry.index());
            entry
        }
    };
    let index = entry.index();
    entry.set(new);
    Ok(index)
}
