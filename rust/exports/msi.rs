//! What `arch/x86/msi.c` offers to the rest of Xen. Prototypes: `asm/msi.h`, `asm/pci.h`, and
//! c-shim/shim.h for what Xen reaches through pointers.
//!
//! What the unit irq calls is not inlined there: its twin has a model in the place of this one.

use core::ffi::{c_int, c_uint};
use msi::enable::{self, Refused};
use msi::intercept::{self, Write};
use msi::{control, disable, dump, mask, message, restore};
use xen::base::errno::{Errno, to_c};
use xen::msi::config::{self, Writing};
use xen::msi::new::{Leaving, MsiBlock};
use xen::msi::options;
use xen::objects::cpumask::CpuMask;
use xen::objects::hw_irq_controller::Handler;
use xen::objects::irq_desc::{HeldDesc, IrqDesc, NewUser};
use xen::objects::msi_desc::{KeptMsi, MsiDesc};
use xen::objects::msi_info::Request;
use xen::objects::msi_msg::MsiMsg;
use xen::objects::pci_dev::{KeptDev, PciDev, PcidevsLocked};
use xen::objects::pci_sbdf::Sbdf;
use xen_sys as sys;

/// Makes what stands for a descriptor that the caller alone may change.
macro_rules! held {
    ($raw:expr) => {{
        let desc = view!(IrqDesc, $raw);
        // SAFETY: Xen calls the functions of a `hw_interrupt_type`, `setup_msi_irq()` and
        // `guest_mask_msi_irq()` with the lock of the IRQ's descriptor held. Only
        // `set_iommu_interrupt_handler()` of AMD's driver calls `__setup_msi_irq()`, without the
        // lock, for an IRQ that it has created and not requested yet.
        unsafe { HeldDesc::new(desc) }
    }};
}

/// See [`options::decide`].
#[unsafe(no_mangle)]
extern "C" fn early_msi_init() {
    options::decide();
}

/// See [`message::compose`].
///
/// # Safety
///
/// The message is one of C's; no set of CPUs stands for none.
#[unsafe(no_mangle)]
unsafe extern "C" fn msi_compose_msg(
    vector: c_uint,
    cpu_mask: *const sys::cpumask_t,
    msg: *mut sys::msi_msg,
) {
    // SAFETY: C passes none, or a set that lives for the call.
    let cpus = unsafe { CpuMask::from_raw(cpu_mask.cast_mut()) };
    view!(MsiMsg, msg.cast_const()).write(message::compose(vector, cpus));
}

/// See [`control::enable_msi`].
#[unsafe(no_mangle)]
extern "C" fn __msi_set_enable(
    seg: u32,
    bus: u32,
    slot: u32,
    func: u32,
    pos: c_int,
    enable: c_int,
) {
    let id = (bus as u8 as u16) << 8 | (slot as u16 & 0x1f) << 3 | func as u16 & 7;
    let function = Sbdf::of(seg as u16, id);
    control::enable_msi(function, pos as u16, enable != 0);
}

/// See [`message::set_up`].
///
/// # Safety
///
/// Both descriptors are Xen's, and that of the IRQ is locked.
#[inline(never)]
#[unsafe(no_mangle)]
unsafe extern "C" fn setup_msi_irq(
    desc: *const sys::irq_desc,
    msidesc: *const sys::msi_desc,
) -> c_int {
    let msi = view!(MsiDesc, msidesc);
    // SAFETY: `map_domain_pirq()` and `ns16550_init_postirq()` hold `pcidevs_lock` or the owner's
    // `pci_lock`. `msi_free_irq()` destroys the IRQ before it frees the MSI.
    let msi = unsafe { NewUser::new(KeptMsi::new(msi)) };
    to_c(message::set_up(held!(desc), msi))
}

/// See [`message::bind`].
///
/// # Safety
///
/// Both descriptors are Xen's, and that of the IRQ is locked or was just created by the caller; the
/// handler lives as long as Xen.
#[unsafe(no_mangle)]
unsafe extern "C" fn __setup_msi_irq(
    desc: *const sys::irq_desc,
    msidesc: *const sys::msi_desc,
    handler: *const sys::hw_interrupt_type,
) -> c_int {
    let msi = view!(MsiDesc, msidesc);
    // SAFETY: The handlers of IRQs are static variables of C, and the MSIs that are passed here,
    // those of IOMMUs and HPETs, are never freed.
    let (msi, handler) = unsafe {
        let msi = NewUser::new(KeptMsi::new(msi));
        (msi, Handler::from_raw(handler))
    };
    to_c(message::bind(held!(desc), msi, handler))
}

/// See [`MsiBlock::free`].
///
/// # Safety
///
/// The descriptor is one of Xen's, and no other reference to it exists.
#[inline(never)]
#[unsafe(no_mangle)]
unsafe extern "C" fn msi_free_irq(entry: *const sys::msi_desc) -> c_int {
    let first = view!(MsiDesc, entry);
    // SAFETY: `map_domain_pirq()`, `unmap_domain_pirq()` and ns16550.c free what `pci_enable_msi()`
    // returned, once, with the lock held that keeps the function; the driver does so while Xen
    // boots.
    unsafe { MsiBlock::new(first) }.free();
    0
}

/// See [`mask::is_maskable`].
///
/// # Safety
///
/// The descriptor is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn msi_maskable_irq(entry: *const sys::msi_desc) -> c_int {
    mask::is_maskable(view!(MsiDesc, entry)).into()
}

/// See [`mask::mask_for_guest`].
///
/// # Safety
///
/// The descriptor is one of Xen's, and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn guest_mask_msi_irq(desc: *const sys::irq_desc, mask: u32) {
    mask::mask_for_guest(held!(desc), mask as u8 != 0);
}

/// See [`enable::enable`].
///
/// # Safety
///
/// The function is one of Xen's or none; the other arguments are C's.
#[inline(never)]
#[unsafe(no_mangle)]
unsafe extern "C" fn pci_enable_msi(
    pdev: *const sys::pci_dev,
    msi: *const sys::msi_info,
    desc: *mut *mut sys::msi_desc,
) -> c_int {
    // SAFETY: `map_domain_pirq()` and `ns16550_init_irq()` pass what `pci_get_pdev()` found, or
    // NULL, and hold the lock that keeps it.
    let Some(device) = (unsafe { PciDev::from_raw(pdev.cast_mut()) }) else {
        return Errno::NODEV.negative();
    };
    // SAFETY: That lock is `pcidevs_lock` or the owner's `pci_lock`.
    let device = unsafe { KeptDev::new(device) };
    match enable::enable(device, view!(Request, msi)) {
        Ok(msi) => {
            // SAFETY: The callers pass the address of a local variable.
            unsafe { desc.write(msi.as_ptr()) };
            0
        }
        Err(Refused::TooMany(messages)) => messages as c_int,
        Err(Refused::Error(errno)) => errno.negative(),
    }
}

/// See [`disable::disable`].
///
/// # Safety
///
/// The descriptor is one of Xen's.
#[inline(never)]
#[unsafe(no_mangle)]
unsafe extern "C" fn pci_disable_msi(msi_desc: *const sys::msi_desc) {
    let msi = view!(MsiDesc, msi_desc);
    // SAFETY: `map_domain_pirq()` and `unmap_domain_pirq()` hold `pcidevs_lock` or the owner's
    // `pci_lock`, which debug builds check there, and `ns16550_init_postirq()` holds the former.
    disable::disable(unsafe { KeptMsi::new(msi) });
}

/// See [`enable::prepare`].
#[unsafe(no_mangle)]
extern "C" fn pci_prepare_msix(seg: u32, bus: u32, devfn: u32, off: u32) -> c_int {
    let id = (bus as u8 as u16) << 8 | devfn as u8 as u16;
    to_c(enable::prepare(seg as u16, id, off as u8 != 0))
}

/// See [`disable::clean_up`].
///
/// # Safety
///
/// The function is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pci_cleanup_msi(pdev: *const sys::pci_dev) {
    let device = view!(PciDev, pdev);
    // SAFETY: `pci_remove_device()` holds the lock.
    let lock = unsafe { PcidevsLocked::held_by_caller() };
    #[cfg(feature = "vmsi")]
    vmsi::register::forget(device, lock);
    // SAFETY: What else refers to a descriptor holds `pcidevs_lock`, which is held here, or has
    // found the function in its owner's list and holds the owner's `pci_lock`. That lock was taken
    // for writing when `pci_remove_device()` took the function out of the list, so those have
    // ended.
    disable::clean_up(unsafe { Leaving::new(device, lock) });
}

/// See [`disable::stop_all`].
#[unsafe(no_mangle)]
extern "C" fn pci_disable_msi_all() {
    disable::stop_all();
}

/// See [`enable::reset`].
///
/// # Safety
///
/// The function is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pci_reset_msix_state(pdev: *const sys::pci_dev) -> c_int {
    to_c(enable::reset(view!(PciDev, pdev)))
}

/// See [`restore::restore`].
///
/// # Safety
///
/// The function is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pci_restore_msi_state(pdev: *const sys::pci_dev) -> c_int {
    let device = view!(PciDev, pdev);
    // SAFETY: `PHYSDEVOP_restore_msi` and its like hold the lock.
    to_c(restore::restore(device, unsafe {
        PcidevsLocked::held_by_caller()
    }))
}

/// See [`intercept::intercept`].
///
/// # Safety
///
/// The function is one of Xen's, or none for one that Xen does not know, and the value is C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn pci_msi_conf_write_intercept(
    pdev: *const sys::pci_dev,
    reg: c_uint,
    size: c_uint,
    data: *mut u32,
) -> c_int {
    // SAFETY: C passes a function that `pcidevs_lock` or its owner's `pci_lock` keeps, or NULL.
    let device = unsafe { PciDev::from_raw(pdev.cast_mut()).map(|device| KeptDev::new(device)) };
    // SAFETY: `pci_conf_write_intercept()` and vPCI pass the address of a local variable.
    let value = unsafe { data.read() };
    let writing = Writing::begin();
    let result = match intercept::intercept(device, reg, size, value) {
        Ok(Write::Other) => 0,
        Ok(Write::Allowed) => 1,
        Ok(Write::Done(value)) => {
            // SAFETY: The same variable as was read above, of which no reference was made.
            unsafe { data.write(value) };
            // C carries out nothing where the result is negative, and tells the domain nothing of
            // it.
            Errno::EXIST.negative()
        }
        Err(errno) => errno.negative(),
    };
    if result >= 0 {
        writing.leave_to_c();
    }
    result
}

/// See [`mask::mask`]; called by the shim.
///
/// # Safety
///
/// The descriptor is one of Xen's, and locked.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_mask_msi_irq(desc: *const sys::irq_desc) {
    mask::mask(held!(desc));
}

/// See [`mask::unmask`]; called by the shim.
///
/// # Safety
///
/// As for [`xen_irq_mask_msi_irq`].
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_unmask_msi_irq(desc: *const sys::irq_desc) {
    mask::unmask(held!(desc));
}

/// See [`mask::start`]; called by the shim.
///
/// # Safety
///
/// As for [`xen_irq_mask_msi_irq`].
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_startup_msi_irq(desc: *const sys::irq_desc) {
    mask::start(held!(desc));
}

/// See [`mask::stop`]; called by the shim.
///
/// # Safety
///
/// As for [`xen_irq_mask_msi_irq`].
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_shutdown_msi_irq(desc: *const sys::irq_desc) {
    mask::stop(held!(desc));
}

/// See [`message::retarget`]; called by the shim.
///
/// # Safety
///
/// As for [`xen_irq_mask_msi_irq`]; the set of CPUs lives until this returns, or is null for any
/// CPU, as AMD's driver has it at boot and after S3.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_set_msi_affinity(
    desc: *const sys::irq_desc,
    mask: *const sys::cpumask_t,
) {
    // SAFETY: `move_masked_irq()`, `pirq_guest_bind()` and `fixup_irqs()` pass a set of the
    // descriptor's, or one that they alone use meanwhile; AMD's driver passes NULL.
    let cpus = unsafe { CpuMask::from_raw(mask.cast_mut()) };
    message::retarget(held!(desc), cpus);
}

/// See [`dump::dump`]; called by the shim.
#[unsafe(no_mangle)]
extern "C" fn xen_irq_dump_msi() {
    dump::dump();
}

/// See [`disable::stop_sending`]; called by the shim.
///
/// # Safety
///
/// The function is one of Xen's.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_disable_msi(pdev: *const sys::pci_dev) {
    disable::stop_sending(view!(PciDev, pdev));
}

/// See [`config::written`]; called where a write has been carried out that
/// [`pci_msi_conf_write_intercept`] left to C.
#[unsafe(no_mangle)]
extern "C" fn pci_msi_conf_written() {
    config::written();
}

/// See [`config::changed`]: the machine has woken from S3; called by `enter_state()`, with one CPU
/// and IRQs off.
#[unsafe(no_mangle)]
extern "C" fn msi_resume() {
    config::changed();
}
