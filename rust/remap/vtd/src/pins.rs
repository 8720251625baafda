//! IO-APIC pins. Xen reads and writes their entries as if nothing were remapped; those of the
//! hardware name entries of the table.

use irq_core::remap::entry::Interrupt;
use irq_core::remap::source;
use irq_hw::ioapic::Pin;
use irq_hw::vtd::RemappablePin;
use xen::objects::ioapic::{Half, LockedIoApic};
use xen::remap;
use xen::remap::vtd::{Pins, log};

/// Reads a register of an IO-APIC as Xen sees it.
///
/// Vector, modes and destination are those that Xen wrote last; what hardware changes or keeps to
/// itself (status, remote IRR, polarity, mask) is the pin's own. So the half with the destination
/// is known without asking the IO-APIC. No table is locked: a crash may have stopped a CPU that
/// holds its lock, and the crash kernel's start reads pins.
#[doc(alias = "io_apic_read_remap_rte")]
#[doc(alias = "remap_entry_to_ioapic_rte")]
pub fn read(io_apic: LockedIoApic, register: u32) -> u32 {
    let logical =
        Half::of(register).and_then(|half| Some((half, Pins::of(*io_apic)?.logical(half.pin)?)));
    let Some((half, logical)) = logical else {
        return io_apic.read(register);
    };
    let apic = remap::apic();
    let interrupt = Interrupt::of_pin(logical, apic);
    if half.upper {
        return interrupt.in_pin(Pin::new([0]), apic).upper();
    }
    let pin = Pin::new([io_apic.read(register).into()]);
    interrupt.in_pin(pin, apic).lower()
}

/// Writes the entry of an IO-APIC's pin as Xen sees it: first that of the table, then the pin,
/// which names it.
///
/// Where the table is full nothing is written, and the pin stays as it was. Where the entry cannot
/// name the CPU, it stays as it was, and of the pin only the bits change that are its own.
#[doc(alias = "io_apic_write_remap_rte")]
#[doc(alias = "ioapic_rte_to_remap_entry")]
pub fn write(io_apic: LockedIoApic, pin: u32, entry: u64) {
    let served = Pins::of(*io_apic).and_then(|pins| Some((pins, pins.iommu()?)));
    let Some((pins, (iommu, id))) = served else {
        return io_apic.write_entry(pin, entry);
    };
    let Some(mut table) = iommu.lock_table() else {
        return io_apic.write_entry(pin, entry);
    };
    let number = pin as usize;
    let wanted = Pin::new([entry]);
    let apic = remap::apic();
    let remapped =
        Interrupt::of_pin(wanted, apic).remapped(apic, table.format(), source::of_io_apic(id));
    let (index, delivered) = match (remapped, pins.index(number)) {
        (Some(remapped), before) => {
            let Some(index) = before.or_else(|| table.allocate(1)) else {
                return log::table_full_for_pin();
            };
            let Ok(entry) = table.entry(index) else {
                return;
            };
            entry.set(remapped);
            pins.set(number, index, wanted);
            (index, wanted)
        }
        // The entry cannot name the CPU, and the old one stays. An end of interrupt is compared
        // with the pin's vector, so vector and trigger mode stay with it.
        (None, Some(index)) => {
            drop(table);
            (index, pins.logical(number).unwrap_or(wanted))
        }
        // A pin that has none stays masked.
        (None, None) => return,
    };

    let [entry] = RemappablePin::new([0])
        .with_vector(delivered.vector())
        .with_delivery_status(wanted.delivery_status())
        .with_active_low(wanted.active_low())
        .with_remote_irr(wanted.remote_irr())
        .with_level_triggered(delivered.level_triggered())
        .with_masked(wanted.masked())
        .with_index(index as u16)
        .raw();
    io_apic.write_entry(pin, entry);
}
