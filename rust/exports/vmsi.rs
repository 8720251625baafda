//! What `arch/x86/hvm/vmsi.c` offers to the rest of Xen. Prototypes: `asm/hvm/hvm.h`,
//! `asm/hvm/io.h`, `xen/pci.h`, `xen/vpci.h`, and c-shim/shim.h for the operations of the MSI-X
//! table.

use core::ffi::{c_int, c_uint};
use core::ptr::NonNull;
use vmsi::{complete, deliver, emulate, register, vpci};
use xen::arch::cpu::{CurrentHvm, CurrentVcpu};
use xen::base::errno::to_c;
use xen::base::narrow::Narrow;
use xen::objects::domain::{Domain, HvmDomain};
use xen::objects::hvm_pirq_dpci::PirqDpci;
use xen::objects::ioreq::Ioreq;
use xen::objects::pci_dev::{KeptDev, PciDev, PcidevsLocked};
use xen::objects::pirq::Pirq;
use xen::objects::vcpu::Vcpu;
use xen::objects::vlapic::Destination;
use xen::objects::vpci::{LockedMsix, VpciMsi, VpciMsix, VpciMsixEntry};
use xen::sync::rwlock::EventLock;
use xen_sys as sys;

/// Makes the view of a domain of HVM.
macro_rules! hvm {
    ($raw:expr) => {{
        let domain = view!(Domain, $raw);
        // SAFETY: C delivers virtual MSIs, and binds them (`pt_irq_create_bind()`), for domains of
        // HVM alone.
        unsafe { HvmDomain::new(domain) }
    }};
}

/// Takes a pirq of the domain whose event lock is held.
macro_rules! pirq {
    ($raw:expr, $lock:expr) => {{
        // SAFETY: `pt_irq_create_bind()` and `pt_irq_destroy_bind()` pass what they have found in
        // the domain's tree (`pirq_get_info()`, `pirq_info()`) under the event lock, and not null.
        unsafe { Pirq::of(NonNull::new_unchecked($raw.cast_mut()), &$lock) }
    }};
}

/// Stands for the vCPU whose access C emulates.
macro_rules! current {
    () => {
        // SAFETY: `hvm_process_io_intercept()` and `hvm_mmio_internal()`, which call the operations
        // of the table, emulate accesses of vCPUs of HVM alone.
        unsafe { CurrentHvm::new() }
    };
}

/// Stands for the function whose capability vPCI emulates.
macro_rules! kept {
    ($raw:expr) => {{
        let device = view!(PciDev, $raw);
        // SAFETY: `vpci_read()`, `vpci_write()` and the handlers of the table hold the `pci_lock`
        // of the domain whose access they emulate, which owns the function. Or that is dom0, and
        // DomXEN owns the function: DomXEN is never freed, and only dom0 could have the function
        // removed meanwhile, which C does not survive either.
        unsafe { KeptDev::new(device) }
    }};
}

/// The outcome of an emulation step, as C has it.
fn emulated(done: bool) -> c_int {
    if done {
        sys::X86EMUL_OKAY as c_int
    } else {
        sys::X86EMUL_UNHANDLEABLE as c_int
    }
}

/// The destination that two narrow arguments name.
fn destination(id: u32, logical: u32) -> Destination {
    Destination {
        id: Narrow::new(id),
        logical: Narrow::new(logical),
    }
}

/// See [`deliver::deliver`].
///
/// # Safety
///
/// `d` is an HVM domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn vmsi_deliver(
    d: *const sys::domain,
    vector: c_int,
    dest: u32,
    dest_mode: u32,
    delivery_mode: u32,
    trig_mode: u32,
) -> c_int {
    let to = destination(dest, dest_mode);
    to_c(deliver::deliver(
        hvm!(d),
        Narrow::new(vector as u32),
        to,
        Narrow::new(delivery_mode),
        Narrow::new(trig_mode),
    ))
}

/// See [`deliver::deliver_pirq`].
///
/// # Safety
///
/// `d` is an HVM domain, and `pirq_dpci` one of its pirqs'.
#[unsafe(no_mangle)]
unsafe extern "C" fn vmsi_deliver_pirq(
    d: *const sys::domain,
    pirq_dpci: *const sys::hvm_pirq_dpci,
) {
    deliver::deliver_pirq(hvm!(d), view!(PirqDpci, pirq_dpci));
}

/// See [`deliver::sole_vcpu`].
///
/// # Safety
///
/// `d` is an HVM domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn hvm_girq_dest_2_vcpu_id(
    d: *const sys::domain,
    dest: u32,
    dest_mode: u32,
) -> c_int {
    deliver::sole_vcpu(hvm!(d), destination(dest, dest_mode))
}

/// See [`register::set_up`].
///
/// # Safety
///
/// `pcidevs_lock` is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn msixtbl_init(d: *const sys::domain) {
    // SAFETY: `assign_device()` calls `pdev_msix_assign()`, and that this, with the lock held.
    let lock = unsafe { PcidevsLocked::held_by_caller() };
    register::set_up(view!(Domain, d), lock);
}

/// See [`register::register`].
///
/// # Safety
///
/// The domain's event lock is held for writing, and `pcidevs_lock` or its `pci_lock`.
#[unsafe(no_mangle)]
unsafe extern "C" fn msixtbl_pt_register(
    d: *const sys::domain,
    pirq: *const sys::pirq,
    gtable: u64,
) -> c_int {
    let domain = view!(Domain, d);
    // SAFETY: `pt_irq_create_bind()` holds the lock for writing over the call.
    let lock = unsafe { EventLock::held_by_caller(domain) };
    to_c(register::register(&lock, pirq!(pirq, lock), gtable))
}

/// See [`register::unregister`].
///
/// # Safety
///
/// The domain's event lock is held for writing, and `pcidevs_lock` or its `pci_lock`.
#[unsafe(no_mangle)]
unsafe extern "C" fn msixtbl_pt_unregister(d: *const sys::domain, pirq: *const sys::pirq) {
    let domain = view!(Domain, d);
    // SAFETY: `pt_irq_destroy_bind()` holds the lock for writing over the call.
    let lock = unsafe { EventLock::held_by_caller(domain) };
    register::unregister(&lock, pirq!(pirq, lock));
}

/// See [`register::clean_up`].
///
/// # Safety
///
/// The domain is dying, and its event lock is not held.
#[unsafe(no_mangle)]
unsafe extern "C" fn msixtbl_pt_cleanup(d: *const sys::domain) {
    register::clean_up(view!(Domain, d));
}

/// See [`complete::complete`].
///
/// # Safety
///
/// `v` is the current vCPU, and one of an HVM domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn msix_write_completion(v: *const sys::vcpu) {
    let vcpu = view!(Vcpu, v);
    // SAFETY: `hvm_do_resume()`, which runs for the current vCPU where that is one of HVM, calls
    // `vcpu_ioreq_handle_completion()`, and that this.
    complete::complete(unsafe { CurrentVcpu::new(vcpu) });
}

/// See [`emulate::accept`]; called by the shim.
///
/// # Safety
///
/// The current vCPU is one of an HVM domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_msixtbl_accept(r: *const sys::ioreq) -> bool {
    emulate::accept(current!(), view!(Ioreq, r))
}

/// See [`emulate::read`]; called by the shim.
///
/// # Safety
///
/// The current vCPU is one of an HVM domain; `pval` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_msixtbl_read(address: u64, len: u32, pval: *mut u64) -> c_int {
    let value = emulate::read(current!(), address, len);
    if let Some(value) = value {
        // SAFETY: c-shim/vmsi.c hands on the buffer of `hvm_process_io_intercept()`, a local
        // variable of 8 bytes.
        unsafe { pval.write(value) };
    }
    emulated(value.is_some())
}

/// See [`emulate::write`]; called by the shim.
///
/// # Safety
///
/// The current vCPU is one of an HVM domain.
#[unsafe(no_mangle)]
unsafe extern "C" fn xen_irq_msixtbl_write(address: u64, len: u32, val: u64) -> c_int {
    emulated(emulate::write(current!(), address, len, val))
}

/// See [`vpci::msi_init`].
///
/// # Safety
///
/// The vPCI lock of the function is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msi_arch_init(msi: *const sys::vpci_vpci_msi) {
    vpci::msi_init(view!(VpciMsi, msi));
}

/// See [`vpci::msi_mask`].
///
/// # Safety
///
/// As for [`vpci_msi_arch_enable`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msi_arch_mask(
    msi: *const sys::vpci_vpci_msi,
    pdev: *const sys::pci_dev,
    entry: c_uint,
    mask: u32,
) {
    vpci::msi_mask(view!(VpciMsi, msi), kept!(pdev), entry, mask as u8 != 0);
}

/// See [`vpci::msi_enable`].
///
/// # Safety
///
/// The vPCI lock of the function is held, and its domain's `pci_lock` or `pcidevs_lock`.
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msi_arch_enable(
    msi: *const sys::vpci_vpci_msi,
    pdev: *const sys::pci_dev,
    vectors: c_uint,
) -> c_int {
    to_c(vpci::msi_enable(view!(VpciMsi, msi), kept!(pdev), vectors))
}

/// See [`vpci::msi_update`].
///
/// # Safety
///
/// As for [`vpci_msi_arch_enable`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msi_arch_update(
    msi: *const sys::vpci_vpci_msi,
    pdev: *const sys::pci_dev,
) {
    vpci::msi_update(view!(VpciMsi, msi), kept!(pdev));
}

/// See [`vpci::msi_disable`].
///
/// # Safety
///
/// As for [`vpci_msi_arch_enable`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msi_arch_disable(
    msi: *const sys::vpci_vpci_msi,
    pdev: *const sys::pci_dev,
) {
    vpci::msi_disable(view!(VpciMsi, msi), kept!(pdev));
}

/// See [`vpci::msi_print`].
///
/// # Safety
///
/// The vPCI lock of the function is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msi_arch_print(msi: *const sys::vpci_vpci_msi) {
    vpci::msi_print(view!(VpciMsi, msi));
}

/// See [`vpci::msix_init`].
///
/// # Safety
///
/// The vPCI lock of the function is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msix_arch_init_entry(entry: *const sys::vpci_vpci_msix_vpci_msix_entry) {
    vpci::msix_init(view!(VpciMsixEntry, entry));
}

/// See [`vpci::msix_mask`].
///
/// # Safety
///
/// As for [`vpci_msi_arch_enable`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msix_arch_mask_entry(
    entry: *const sys::vpci_vpci_msix_vpci_msix_entry,
    pdev: *const sys::pci_dev,
    mask: u32,
) {
    vpci::msix_mask(view!(VpciMsixEntry, entry), kept!(pdev), mask as u8 != 0);
}

/// See [`vpci::msix_enable`].
///
/// # Safety
///
/// As for [`vpci_msi_arch_enable`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msix_arch_enable_entry(
    entry: *const sys::vpci_vpci_msix_vpci_msix_entry,
    pdev: *const sys::pci_dev,
    table_base: u64,
) -> c_int {
    to_c(vpci::msix_enable(
        view!(VpciMsixEntry, entry),
        kept!(pdev),
        table_base,
    ))
}

/// See [`vpci::msix_disable`].
///
/// # Safety
///
/// As for [`vpci_msi_arch_enable`].
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msix_arch_disable_entry(
    entry: *const sys::vpci_vpci_msix_vpci_msix_entry,
    pdev: *const sys::pci_dev,
) -> c_int {
    to_c(vpci::msix_disable(view!(VpciMsixEntry, entry), kept!(pdev)))
}

/// See [`vpci::msix_print`].
///
/// # Safety
///
/// The vPCI lock of the function and its domain's `pci_lock`, for reading, are held.
#[unsafe(no_mangle)]
unsafe extern "C" fn vpci_msix_arch_print(msix: *const sys::vpci_vpci_msix) -> c_int {
    let msix = view!(VpciMsix, msix);
    // SAFETY: `vpci_dump_msi()` holds both locks, and an RCU section that keeps the domain.
    to_c(vpci::msix_print(unsafe { LockedMsix::new(msix) }))
}
