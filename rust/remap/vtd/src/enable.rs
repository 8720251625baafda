//! Interrupt remapping is switched on and off.

use irq_hw::vtd::Global;
use xen::base::boot::Booting;
use xen::base::errno::Errno;
use xen::objects::ioapic::IoApic;
use xen::remap;
use xen::remap::vtd::{self, Iommu, Pins, Unit, log, units};
use xen::xen_assert;

/// Returns whether all IOMMUs can remap with 32-bit destinations, and serve all IO-APICs.
#[doc(alias = "intel_iommu_supports_eim")]
pub fn supports_extended_mode(boot: Booting) -> bool {
    if !vtd::queue_wanted() || !remap::wanted() || units().next().is_none() {
        return false;
    }
    if !remap::require_wide_exchange(boot) {
        log::no_wide_exchange();
        return false;
    }
    for io_apic in IoApic::all() {
        if Unit::of_io_apic(io_apic.id()).is_none() {
            log::io_apic_without_unit(io_apic);
            return false;
        }
    }
    units().all(|unit| {
        let capability = unit.iommu().capability();
        capability.queued_invalidation()
            && capability.interrupt_remapping()
            && capability.extended_mode()
    })
}

/// Switches remapping with 32-bit destinations on, at all IOMMUs.
///
/// What firmware left switched on is switched off first, at all of them.
///
/// Context: boot before other CPUs run, or resume.
///
/// # Errors
///
/// [`Errno::NXIO`] where firmware forbids x2APIC, [`Errno::IO`] where an IOMMU cannot be switched
/// on; those before it are.
#[doc(alias = "intel_iommu_enable_eim")]
pub fn enable_extended_mode() -> Result<(), Errno> {
    if !vtd::may_use_x2apic() {
        return Err(Errno::NXIO);
    }
    for unit in units() {
        let iommu = unit.iommu();
        iommu.clear_faults();
        disable(iommu);
        iommu.disable_queue();
    }
    for unit in units() {
        if unit.iommu().enable_queue().is_err() {
            log::queue_not_enabled();
            return Err(Errno::IO);
        }
    }
    for unit in units() {
        if enable(unit.iommu(), true).is_err() {
            log::not_enabled();
            return Err(Errno::IO);
        }
    }
    Ok(())
}

/// Undoes [`enable_extended_mode`].
///
/// Context: suspend, or the way to another kernel.
#[doc(alias = "intel_iommu_disable_eim")]
pub fn disable_extended_mode() {
    for unit in units() {
        disable(unit.iommu());
    }
    for unit in units() {
        unit.iommu().disable_queue();
    }
}

/// Switches remapping on at one IOMMU. The first time it gets a table, in which nothing is present;
/// later it uses the same.
///
/// Context: boot or resume; IRQs on where there is no table yet.
///
/// # Errors
///
/// [`Errno::INVAL`] where firmware does not support it or the queue is not enabled,
/// [`Errno::NOMEM`].
#[doc(alias = "enable_intremap")]
pub fn enable(iommu: Iommu, extended_mode: bool) -> Result<(), Errno> {
    xen_assert!(iommu.capability().interrupt_remapping() && remap::wanted());
    if !vtd::firmware_supports_remapping() {
        log::forbidden_by_firmware();
        return Err(Errno::INVAL);
    }
    let status = iommu.status();
    if status.interrupt_remapping() && iommu.has_table() {
        return Ok(());
    }
    if !status.queued_invalidation() {
        log::queue_missing(iommu);
        return Err(Errno::INVAL);
    }
    iommu.make_table().inspect_err(|_| log::no_table())?;

    let registers = iommu.lock_registers();
    registers.set_table(extended_mode);
    let mut settings = iommu.status().unchanged();
    registers.command(settings.with_table_pointer(true), Global::table_pointer);
    drop(registers);

    // Whatever the IOMMU keeps is not of this table (VT-d, section 11.4.4.1, SIRTP).
    iommu.invalidate_all();

    let registers = iommu.lock_registers();
    // Messages in compatibility format would pass without a table. Xen sends none once interrupts
    // are remapped; in extended interrupt mode hardware lets none through.
    if !extended_mode && settings.compatibility_format() {
        let without = settings.with_compatibility_format(false);
        if registers.try_command(without, |now| !now.compatibility_format()) {
            settings = without;
        } else {
            log::compatibility_format(iommu);
        }
    }
    registers.command(
        settings.with_interrupt_remapping(true),
        Global::interrupt_remapping,
    );
    drop(registers);
    if !extended_mode {
        remap::restrict_destinations();
    }

    IoApic::all().try_for_each(Pins::make)
}

/// Switches remapping off at one IOMMU, where it is on. Its table stays as it is.
///
/// Extended interrupt mode ends with it: when remapping is switched on again, local APICs may have
/// 8-bit IDs.
///
/// Context: any; IRQs may be off.
#[doc(alias = "disable_intremap")]
pub fn disable(iommu: Iommu) {
    if !iommu.capability().interrupt_remapping() {
        return;
    }
    let registers = iommu.lock_registers();
    let status = iommu.status();
    if !status.interrupt_remapping() {
        return;
    }
    let off = status.unchanged().with_interrupt_remapping(false);
    registers.command(off, |now| !now.interrupt_remapping());
    if iommu.capability().extended_mode() {
        registers.leave_extended_mode();
    }
}
