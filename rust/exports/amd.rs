//! What `drivers/passthrough/amd/iommu_intr.c` offers to the rest of Xen. Prototypes:
//! `drivers/passthrough/amd/iommu.h`, and c-shim/shim.h for what Xen reaches through pointers.

use core::ffi::{c_int, c_uint, c_ulong, c_void};
use core::ptr::{self, NonNull};
use remap_amd::{dump, enable, messages, pins};
use xen::base::boot::Booting;
use xen::base::errno::to_c;
use xen::objects::ioapic::LockedIoApic;
use xen::objects::msi_desc::{KeptMsi, MsiDesc};
use xen::objects::msi_msg::MsiMsg;
use xen::remap::amd::{self, Iommu, Requester};
use xen_sys as sys;

/// See [`enable::supports_extended_mode`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_iov_supports_xt() -> bool {
    // SAFETY: The shim calls from an `__init` function.
    enable::supports_extended_mode(unsafe { Booting::new() })
}

/// Allocates a table of at least `nr` entries; 0 stands for as many as there can be. See
/// [`Iommu::allocate_table`].
///
/// # Safety
///
/// The IOMMU is one of Xen's, and `inuse_map` is for this to write.
#[unsafe(no_mangle)]
unsafe extern "C" fn amd_iommu_alloc_intremap_table(
    iommu: *const sys::amd_iommu,
    inuse_map: *mut *mut c_ulong,
    nr: c_uint,
) -> *mut c_void {
    match view!(Iommu, iommu).allocate_table(nr) {
        Some((table, in_use)) => {
            // SAFETY: C passes a variable, or a field of what it keeps of a requester. To C the
            // pointer means nothing.
            unsafe { inuse_map.write(in_use.as_ptr().cast()) };
            table.as_ptr()
        }
        None => ptr::null_mut(),
    }
}

/// See [`Requester::free_table`] and, without a requester, [`amd::free_shared_table`]; called by
/// the shim.
///
/// # Safety
///
/// The requester, if there is one, is that of the ID. No device table entry points to the table,
/// and nothing uses an entry of it.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_amd_iommu_free_intremap_table(
    ivrs_mapping: *mut sys::ivrs_mappings,
    bdf: u32,
) -> c_int {
    // SAFETY: AMD-Vi calls with its own requesters: when it gives up at boot, before interrupts are
    // remapped, and when it removes a device, whose messages it has released and whose entry of the
    // device table it has cleared. Without a requester, it is when it gives up at boot.
    unsafe {
        match Requester::from_raw(ivrs_mapping, bdf as u16) {
            Some(requester) => requester.free_table(),
            None => amd::free_shared_table(),
        }
    }
    0
}

/// See [`amd::order_of_user`].
///
/// # Safety
///
/// The IOMMU is one of Xen's or none, and the table one of AMD-Vi's.
#[unsafe(no_mangle)]
unsafe extern "C" fn amd_iommu_intremap_table_order(
    irt: *const c_void,
    iommu: *const sys::amd_iommu,
) -> c_uint {
    // SAFETY: `amd_iommu_setup_device_table()` passes the IOMMU of a requester, which is NULL where
    // IVRS has the ID as an alias alone; else an IOMMU is passed, and those stay.
    let iommu = unsafe { Iommu::from_raw(iommu.cast_mut()) };
    // SAFETY: `amd_iommu_set_intremap_table()` asks where there is a table; the driver has those of
    // `amd_iommu_alloc_intremap_table` alone, and frees one after its last requester is gone.
    unsafe { amd::order_of_user(NonNull::new_unchecked(irt.cast_mut()), iommu) }
}

/// See [`amd::index_of_io_apic`].
#[unsafe(no_mangle)]
extern "C" fn ioapic_id_to_index(apic_id: c_uint) -> c_uint {
    amd::index_of_io_apic(apic_id).map_or(sys::MAX_IO_APICS, |index| index as c_uint)
}

/// See [`amd::allocate_io_apic`].
///
/// # Safety
///
/// Xen boots.
#[unsafe(no_mangle)]
unsafe extern "C" fn get_next_ioapic_sbdf_index() -> c_uint {
    // SAFETY: The function is called from `__init` functions alone.
    amd::allocate_io_apic(unsafe { Booting::new() })
        .map_or(sys::MAX_IO_APICS, |index| index as c_uint)
}

/// See [`pins::read`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_amd_iommu_read_ioapic_from_ire(apic: c_uint, reg: c_uint) -> c_uint {
    // SAFETY: `io_apic_read()` passes the number of an IO-APIC that Xen has, below `nr_ioapics`,
    // and its callers hold `ioapic_lock`, but for those at boot and on the way to another kernel.
    pins::read(unsafe { LockedIoApic::new(apic) }, reg)
}

/// See [`pins::write`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_amd_iommu_ioapic_update_ire(apic: c_uint, pin: c_uint, rte: u64) {
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
unsafe extern "C" fn xen_irq_amd_iommu_msi_msg_update_ire(
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
unsafe extern "C" fn xen_irq_amd_setup_hpet_msi(msi_desc: *const sys::msi_desc) -> c_int {
    to_c(messages::set_up_hpet(view!(MsiDesc, msi_desc)))
}

/// See [`dump::all`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_amd_iommu_dump_intremap_tables() {
    dump::all();
}

/// See [`dump::one`]; called by the shim for each requester.
///
/// # Safety
///
/// The IOMMU is one of Xen's, and the requester, if there is one, is that of the ID.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_amd_iommu_dump_intremap_table(
    iommu: *const sys::amd_iommu,
    ivrs_mapping: *mut sys::ivrs_mappings,
    bdf: u32,
) {
    // SAFETY: The shim passes on what `iterate_ivrs_entries()` calls it with.
    if let Some(requester) = unsafe { Requester::from_raw(ivrs_mapping, bdf as u16) } {
        dump::one(view!(Iommu, iommu), requester);
    }
}
