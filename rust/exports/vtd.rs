//! What `drivers/passthrough/vtd/intremap.c` offers to the rest of Xen. Prototypes:
//! `drivers/passthrough/vtd/extern.h`, and c-shim/shim.h for what Xen reaches through pointers.

use core::ffi::{c_int, c_uint};
use remap_vtd::{enable, messages, pins};
use xen::base::boot::Booting;
use xen::base::errno::to_c;
use xen::objects::ioapic::LockedIoApic;
use xen::objects::msi_desc::{KeptMsi, MsiDesc};
use xen::objects::msi_msg::MsiMsg;
use xen::remap::vtd::Iommu;
use xen_sys as sys;

/// See [`enable::supports_extended_mode`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_intel_iommu_supports_eim() -> bool {
    // SAFETY: The shim calls from an `__init` function.
    enable::supports_extended_mode(unsafe { Booting::new() })
}

/// See [`enable::enable_extended_mode`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_intel_iommu_enable_eim() -> c_int {
    to_c(enable::enable_extended_mode())
}

/// See [`enable::disable_extended_mode`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_intel_iommu_disable_eim() {
    enable::disable_extended_mode();
}

/// See [`enable::enable`].
///
/// # Safety
///
/// The IOMMU is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn enable_intremap(iommu: *const sys::vtd_iommu, eim: c_int) -> c_int {
    to_c(enable::enable(view!(Iommu, iommu), eim != 0))
}

/// See [`enable::disable`].
///
/// # Safety
///
/// The IOMMU is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn disable_intremap(iommu: *const sys::vtd_iommu) {
    enable::disable(view!(Iommu, iommu));
}

/// See [`pins::read`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_io_apic_read_remap_rte(apic: c_uint, reg: c_uint) -> c_uint {
    // SAFETY: `io_apic_read()` passes the number of an IO-APIC that Xen has, below `nr_ioapics`,
    // and its callers hold `ioapic_lock`, but for those at boot and on the way to another kernel.
    pins::read(unsafe { LockedIoApic::new(apic) }, reg)
}

/// See [`pins::write`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_io_apic_write_remap_rte(apic: c_uint, pin: c_uint, rte: u64) {
    // SAFETY: `__ioapic_write_entry()` passes the number of an IO-APIC that Xen has, below
    // `nr_ioapics`, and its callers hold `ioapic_lock`, but for those at boot.
    pins::write(unsafe { LockedIoApic::new(apic) }, pin, rte);
}

/// See [`messages::update`] and, without a message, [`messages::release`]; called by the shim.
///
/// # Safety
///
/// The descriptor is one of Xen's, and so is the message, if there is one.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_msi_msg_write_remap_rte(
    msi_desc: *const sys::msi_desc,
    msg: *mut sys::msi_msg,
) -> c_int {
    let desc = view!(MsiDesc, msi_desc);
    // SAFETY: `write_msi_msg()` is called with the lock of the IRQ's descriptor held, or for an
    // IOMMU's MSI; `msi_free_irq()` with the lock that keeps the function's list, or while Xen
    // boots. The other callers pass the MSIs of HPETs.
    let desc = unsafe { KeptMsi::new(desc) };
    // SAFETY: C passes a message of its own stack or of a descriptor, or NULL.
    to_c(match unsafe { MsiMsg::from_raw(msg) } {
        // Xen 4.20 writes the device's registers either way.
        Some(message) => messages::update(desc, message).map(|_| ()),
        None => messages::release(desc),
    })
}

/// See [`messages::set_up_hpet`]; called by the shim.
///
/// # Safety
///
/// The descriptor is that of an HPET.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_intel_setup_hpet_msi(msi_desc: *const sys::msi_desc) -> c_int {
    to_c(messages::set_up_hpet(view!(MsiDesc, msi_desc)))
}
