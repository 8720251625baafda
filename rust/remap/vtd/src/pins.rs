//! IO-APIC pins. Xen reads and writes their entries as if nothing were remapped; those of the hardware name entries of the
//! table.

use irq_core::remap::entry::Interrupt;
use irq_core::remap::source;
use irq_hw::ioapic::Pin;
use irq_hw::vtd::{RemappablePin, Remapped};
use xen::ioapic::{Half, IoApic};
use xen::remap;
use xen::vtd::{Pins, log};

/// Reads a register of an IO-APIC as Xen sees it.
///
/// Vector, modes and destination are those of the table's entry; what hardware changes or keeps to itself (status, remote
/// IRR, polarity, mask) is the pin's own. So the half with the destination is known without asking the IO-APIC.
///
/// Context: Xen's IO-APIC lock is held, IRQs off.
#[doc(alias = "io_apic_read_remap_rte")]
pub fn read(io_apic: IoApic, register: u32) -> u32 {
    let Some(half) = Half::of(register) else {
        return io_apic.read(register);
    };
    let Some(interrupt) = remapped(io_apic, half.pin) else {
        return io_apic.read(register);
    };
    let apic = remap::apic();
    if half.upper {
        return interrupt.in_pin(Pin::new([0]), apic).upper();
    }
    let pin = Pin::new([io_apic.read(register).into()]);
    interrupt.in_pin(pin, apic).lower()
}

/// The interrupt that a pin's entry of the table stands for, if it has one.
#[doc(alias = "remap_entry_to_ioapic_rte")]
fn remapped(io_apic: IoApic, pin: usize) -> Option<Interrupt> {
    let pins = Pins::of(io_apic)?;
    let index = pins.index(pin)?;
    let (iommu, _) = pins.iommu()?;
    let mut table = iommu.lock_table()?;
    let interrupt = Interrupt::of_remapped(Remapped::new(table.entry(index)), table.format());
    drop(table);
    if interrupt.is_none() {
        log::pin_without_interrupt(index);
    }
    interrupt
}

/// Writes the entry of an IO-APIC's pin as Xen sees it: first that of the table, then the pin, which names it.
///
/// Where the table is full nothing is written, and the pin stays as it was.
///
/// Context: Xen's IO-APIC lock is held, IRQs off.
#[doc(alias = "io_apic_write_remap_rte")]
#[doc(alias = "ioapic_rte_to_remap_entry")]
pub fn write(io_apic: IoApic, pin: u32, entry: u64) {
    let served = Pins::of(io_apic).and_then(|pins| Some((pins, pins.iommu()?)));
    let Some((pins, (iommu, id))) = served else {
        return io_apic.write_entry(pin, entry);
    };
    let Some(mut table) = iommu.lock_table() else {
        return io_apic.write_entry(pin, entry);
    };
    let number = pin as usize;
    let Some(index) = pins.index(number).or_else(|| table.allocate(1)) else {
        return log::table_full_for_pin();
    };
    pins.set_index(number, index);

    let wanted = Pin::new([entry]);
    let apic = remap::apic();
    let remapped =
        Interrupt::of_pin(wanted, apic).remapped(apic, table.format(), source::of_io_apic(id));
    let is_set = match remapped {
        Some(remapped) => table.set(index, remapped).is_ok(),
        // The entry cannot name the CPU. The old one stays, and the pin's own bits change; one that
        // has none stays masked.
        None => Remapped::new(table.entry(index)).present(),
    };
    if !is_set {
        return;
    }
    drop(table);

    let [entry] = RemappablePin::new([0])
        .with_vector(wanted.vector())
        .with_delivery_status(wanted.delivery_status())
        .with_active_low(wanted.active_low())
        .with_remote_irr(wanted.remote_irr())
        .with_level_triggered(wanted.level_triggered())
        .with_masked(wanted.masked())
        .with_index(index as u16)
        .raw();
    io_apic.write_entry(pin, entry);
}
