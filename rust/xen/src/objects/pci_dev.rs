//! PCI devices and their MSI (`xen/pci.h`, `asm/msi.h`).

use crate::arch::nospec;
use crate::base::errno::Errno;
use crate::base::list;
use crate::base::units::MSI_IN_RUST;
use crate::base::view::{Word, deref, element, field, fixed};
use crate::objects::msi_desc::KeptMsi;
use crate::objects::pci_sbdf::Sbdf;
use crate::objects::views::Domain;
use crate::objects::views::MsiDesc;
use crate::objects::views::Msix;
pub use crate::objects::views::PciDev;
use crate::sync::lock::{Guard, Pcidevs, Read};
use crate::sync::rcu;
use core::ffi::c_int;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ptr;
use irq_core::remap::source::{Kind, Upstream};
use xen_sys as sys;

/// Which function something belongs to, where that is kept for longer than the function may live:
/// its structure's address, which is compared and never followed, and where it is on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId {
    structure: u64,
    sbdf: u32,
}

impl DeviceId {
    /// The address of the structure, as a number.
    #[inline]
    pub fn structure(self) -> u64 {
        self.structure
    }
}

/// A function that a lock keeps, with the list of its interrupts, for as long as the value may
/// live: `pcidevs_lock`, or the `pci_lock` of its owner.
#[derive(Clone, Copy)]
pub struct KeptDev<'a>(PciDev<'a>);

impl<'a> KeptDev<'a> {
    /// Stands for the lock that the caller of an export holds.
    ///
    /// # Safety
    ///
    /// `pcidevs_lock` or the `pci_lock` of its owner is held, and for longer than the result lives.
    pub const unsafe fn new(device: PciDev<'a>) -> Self {
        Self(device)
    }

    /// The same by `pcidevs_lock`.
    pub const fn of(device: PciDev<'a>, _: PcidevsLocked<'a>) -> Self {
        Self(device)
    }

    /// The domain that owns it, if any does.
    pub fn owner(self) -> Option<Domain<'a>> {
        // SAFETY: A domain is freed after its functions were taken from it
        // (`pci_release_devices()`, `reassign_device()`), for which both locks are taken, one of
        // which `new` and `of` ask for.
        unsafe { Domain::from_raw(field!(self.0, domain)) }
    }

    /// The MSI and MSI-X entries that are set up.
    pub fn msi_descs(self) -> impl Iterator<Item = KeptMsi<'a>> {
        // SAFETY: `new` asks for a lock under which the list changes.
        unsafe { self.0.entries().map(|msi| KeptMsi::new(msi)) }
    }
}

deref!(KeptDev, 0: PciDev);

/// The functions of a domain. None goes while this is held, and of none does the list of interrupts
/// lead to freed memory.
///
/// With RUST_MSI that takes the domain's `pci_lock`, for reading, which `pci_remove_device()` and
/// `reassign_device()` take to have a function leave the domain's list, and an RCU section, because
/// MSI descriptors are freed after a grace period. C's msi.c frees them at once, under
/// `pcidevs_lock`; then this takes that lock instead. With posted interrupts its holder may wait
/// for this vCPU to stop running (`vmx_pi_hooks_deassign()`, and nothing else), so this gives up
/// then when the vCPU is about to be paused.
///
/// Context: IRQs on; neither lock is held, nor any that is taken inside.
#[must_use = "the locks are dropped where this is dropped"]
pub struct Devices<'d> {
    domain: Domain<'d>,
    _list: Option<Guard<'d, Read>>,
    _all: Option<Guard<'d, Pcidevs>>,
    _rcu: Option<rcu::ReadGuard>,
}

impl<'d> Devices<'d> {
    /// Runs with the locks held, on behalf of the current vCPU; `None` where that is about to be
    /// paused and the lock is not to be had, or where `run` returns so.
    ///
    /// `run` is called where it is decided that the lock was taken: returned instead, that would be
    /// branched on once more, without a fence against speculation.
    #[inline(always)]
    pub fn with<R>(domain: Domain<'d>, run: impl FnOnce(&Self) -> Option<R>) -> Option<R> {
        if MSI_IN_RUST {
            // SAFETY: The domain is alive as a view's, and its `pci_lock` is a part of it.
            let lock = unsafe { Guard::take(&raw mut (*domain.as_ptr()).pci_lock) };
            return run(&Self {
                domain,
                _list: Some(lock),
                _all: None,
                _rcu: Some(rcu::read()),
            });
        }
        // SAFETY: The flag and `pcidevs_lock` are variables of Xen's; the flag is written while Xen
        // boots. The lock is adopted once, after it was taken.
        let lock: Guard<'_, Pcidevs> = unsafe {
            if sys::shim_iommu_intpost() {
                let vcpu = crate::arch::cpu::current();
                while !nospec::evaluate_lock(sys::pcidevs_trylock_unsafe()) {
                    if vcpu.is_being_paused() {
                        return None;
                    }
                    core::hint::spin_loop();
                }
                Guard::adopt(ptr::null_mut(), ())
            } else {
                Guard::take(ptr::null_mut())
            }
        };
        run(&Self {
            domain,
            _list: None,
            _all: Some(lock),
            _rcu: None,
        })
    }

    /// Finds a function; `None` where it is not one of the domain's, or not any more.
    pub fn find(&self, id: DeviceId) -> Option<PciDev<'_>> {
        // SAFETY: `with` took what keeps the list, and the result lives no longer than this.
        unsafe { find(self.domain, id) }
    }

    /// The MSI and MSI-X entries of a function; `None` where it is not one of the domain's.
    pub fn msi_descs(&self, id: DeviceId) -> Option<impl Iterator<Item = MsiDesc<'_>>> {
        // SAFETY: `with` took the RCU section that keeps them, or, where `msi.c` frees them at
        // once, the lock under which it does; the result lives no longer than this.
        Some(unsafe { self.find(id)?.entries() })
    }
}

/// `pcidevs_lock`, which this CPU holds for as long as the value may live.
#[derive(Clone, Copy)]
pub struct PcidevsLocked<'a>(PhantomData<(&'a (), *mut ())>);

impl PcidevsLocked<'_> {
    /// Stands for the lock that the caller of an export holds; debug builds check that it does.
    ///
    /// # Safety
    ///
    /// This CPU holds the lock, and for longer than the result lives.
    pub unsafe fn held_by_caller() -> Self {
        // SAFETY: Asks about a lock that lives as long as Xen.
        xen_assert!(unsafe { sys::pcidevs_locked() });
        Self(PhantomData)
    }
}

/// The functions of a domain, which a lock keeps with the lists of their interrupts for as long as
/// the value may live: `pcidevs_lock`, or the domain's `pci_lock` in either mode.
#[derive(Clone, Copy)]
pub struct DeviceList<'a> {
    domain: Domain<'a>,
    local: PhantomData<*mut ()>,
}

impl<'a> DeviceList<'a> {
    /// Stands for the lock that the caller of an export holds; debug builds check that one is.
    ///
    /// # Safety
    ///
    /// One of both is held, and for longer than the result lives.
    pub unsafe fn held_by_caller(domain: Domain<'a>) -> Self {
        xen_assert!(domain.device_list_is_locked());
        Self {
            domain,
            local: PhantomData,
        }
    }

    /// The domain.
    pub fn domain(self) -> Domain<'a> {
        self.domain
    }

    /// Finds the function at an address; `None` where it is not one of the domain's.
    pub fn find(self, address: Sbdf) -> Option<KeptDev<'a>> {
        // SAFETY: The domain is alive as a view's, and one of the locks that `held_by_caller` asks
        // for is held: both keep the domain's functions.
        unsafe {
            let device = sys::pci_get_pdev(self.domain.as_ptr(), address.to_c());
            PciDev::from_raw(device).map(|device| KeptDev::new(device))
        }
    }
}

/// All functions, locked: none comes, goes, or changes its owner.
pub struct AllDevices(#[allow(dead_code)] Guard<'static, Pcidevs>);

impl AllDevices {
    /// Those of a domain.
    pub fn of<'a>(&'a self, domain: Domain<'a>) -> DeviceList<'a> {
        DeviceList {
            domain,
            local: PhantomData,
        }
    }

    /// Finds a function by its segment and ID.
    pub fn find(&self, segment: u16, id: u16) -> Option<PciDev<'_>> {
        let address = Sbdf::of(segment, id).to_c();
        // SAFETY: `with_devices_locked` holds the lock that `pci_get_pdev()` asks for, and that
        // keeps the function, for as long as there is a value of this type. No domain stands for
        // any.
        unsafe { PciDev::from_raw(sys::pci_get_pdev(core::ptr::null(), address)) }
    }
}

/// Runs with all functions locked.
pub fn with_devices_locked<R>(run: impl FnOnce(&AllDevices) -> R) -> R {
    // SAFETY: `pcidevs_lock` lives as long as Xen, and may be taken again by the CPU that has it.
    run(&AllDevices(unsafe { Guard::take(ptr::null_mut()) }))
}

/// Finds a function in the list of a domain's.
///
/// # Safety
///
/// The domain's `pci_lock` or `pcidevs_lock` is held, and for longer than the result lives.
pub unsafe fn find<'a>(domain: Domain<'_>, id: DeviceId) -> Option<PciDev<'a>> {
    // SAFETY: The head is a part of the domain.
    let head = unsafe { &raw mut (*domain.as_ptr()).pdev_list };
    // SAFETY: `find` asks for a lock that keeps the list and its functions; its nodes are members
    // of functions' structures.
    let mut devices = unsafe { list::nodes(head) }.filter_map(|node| unsafe {
        PciDev::from_raw(list::container(node, offset_of!(sys::pci_dev, domain_list)))
    });
    devices.find(|device| device.identity() == id)
}

impl<'a> PciDev<'a> {
    /// Which function it is.
    #[inline]
    pub fn identity(self) -> DeviceId {
        // SAFETY: Any bits are an address.
        let sbdf = unsafe { self.sbdf_value().sbdf };
        DeviceId {
            structure: self.as_ptr() as u64,
            sbdf,
        }
    }

    /// Returns whether a domain owns it.
    #[inline]
    pub fn is_owned_by(self, domain: Domain) -> bool {
        field!(self, domain) == domain.as_ptr()
    }

    /// The domain that owns it, if any does, for as long as the RCU section lasts.
    pub fn owner(self, _: &rcu::ReadGuard) -> Option<Domain<'_>> {
        // SAFETY: A domain is freed a grace period after its functions were reassigned
        // (`domain_relinquish_resources()`, then `domain_destroy()`).
        unsafe { Domain::from_raw(field!(self, domain)) }
    }

    /// The number of the domain that owns it, for a line of the log; that of none where none does.
    pub fn owner_id(self) -> c_int {
        let rcu = rcu::read();
        self.owner(&rcu).map_or(Domain::NO_ID, Domain::id).into()
    }

    /// Its MSI-X capability, if it has one.
    #[inline]
    pub fn msix(self) -> Option<Msix<'a>> {
        // SAFETY: The structure lives as long as the function.
        unsafe { Msix::from_raw(fixed!(self, msix)) }
    }

    /// Where it is, for the format `%pp`.
    #[inline]
    pub fn sbdf(self) -> *const sys::pci_sbdf_t {
        // SAFETY: The field is a part of the function's structure.
        unsafe { &raw const (*self.as_ptr()).__bindgen_anon_1.sbdf }
    }

    /// Returns the function's address as a value.
    pub fn sbdf_value(self) -> sys::pci_sbdf_t {
        // SAFETY: The address of a function never changes.
        unsafe { *self.sbdf() }
    }

    /// The MSI and MSI-X entries that are set up.
    ///
    /// # Safety
    ///
    /// A lock under which the list changes is held, or an RCU section lasts where entries are freed
    /// after a grace period; and for longer than the result and what it yields live.
    unsafe fn entries(self) -> impl Iterator<Item = MsiDesc<'a>> {
        // SAFETY: The head is a part of the function's structure, which is alive as a view's.
        let head = unsafe { &raw mut (*self.as_ptr()).msi_list };
        // SAFETY: The lock, or the RCU section, that `entries` asks for keeps the nodes, which are
        // members of MSI descriptors.
        unsafe { list::nodes(head) }.map(|node| unsafe {
            let msi = list::container(node, offset_of!(sys::msi_desc, list));
            MsiDesc::from_raw(msi).unwrap_unchecked()
        })
    }

    /// Returns whether no MSI or MSI-X entry is set up.
    pub fn has_no_msi(self) -> bool {
        // SAFETY: The head is a part of the function's structure, which is alive as a view's.
        let head = unsafe { &raw mut (*self.as_ptr()).msi_list };
        field!(self, msi_list.next) == head
    }

    /// Its ID on the bus: bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    #[inline]
    pub fn id(self) -> u16 {
        // SAFETY: The address of a function never changes.
        unsafe { self.sbdf_value().__bindgen_anon_1.__bindgen_anon_1.bdf }
    }

    /// The PCI segment that it is on.
    #[inline]
    pub fn segment(self) -> u16 {
        fixed!(self, __bindgen_anon_1.__bindgen_anon_1.seg)
    }

    /// What it is.
    pub fn kind(self) -> Kind {
        kind(fixed!(self, type_))
    }

    /// What it is, as Xen numbers that.
    pub fn raw_kind(self) -> u32 {
        fixed!(self, type_)
    }

    /// How far its phantom functions are apart; 0 where it has none.
    pub fn phantom_stride(self) -> u8 {
        field!(self, phantom_stride)
    }

    /// The bridge that requests of a function of PCI go through.
    pub fn upstream(self) -> Upstream {
        let segment = self.segment();
        let [mut devfn, mut bus] = self.id().to_le_bytes();
        let mut secondary = 0;
        // SAFETY: The variables are this function's own.
        let found = unsafe {
            sys::find_upstream_bridge(segment, &raw mut bus, &raw mut devfn, &raw mut secondary)
        };
        match found {
            0 => Upstream::Direct,
            1 => Upstream::Bridge {
                id: u16::from_le_bytes([devfn, bus]),
                // SAFETY: Any function may be asked for.
                kind: kind(unsafe { sys::pdev_type(segment, bus, devfn) }),
                secondary,
            },
            _ => Upstream::Unknown,
        }
    }

    /// Its configuration space.
    #[inline]
    pub fn config(self) -> Sbdf {
        Sbdf::new(self.sbdf_value())
    }

    /// Where its MSI capability is in configuration space, if it has one.
    pub fn msi_position(self) -> Option<u16> {
        let at = fixed!(self, msi_pos);
        (at != 0).then_some(at.into())
    }

    /// Where its MSI-X capability is in configuration space, if it has one.
    pub fn msix_position(self) -> Option<u16> {
        let at = fixed!(self, msix_pos);
        (at != 0).then_some(at.into())
    }

    /// How many messages its MSI capability has, 1 to 32.
    pub fn capable_messages(self) -> u32 {
        fixed!(self, msi_maxvec).into()
    }

    /// The physical function, where it is a virtual one.
    #[inline]
    pub fn physical(self) -> Option<Sbdf> {
        fixed!(self, info.is_virtfn).then(|| {
            let (bus, devfn) = (
                fixed!(self, info.physfn.bus),
                fixed!(self, info.physfn.devfn),
            );
            let id = u16::from_le_bytes([devfn, bus]);
            self.config().sibling(id)
        })
    }

    /// How many bytes of memory each virtual function has at a base address; `None` where this is
    /// not one of them.
    pub fn virtual_bytes(self, base_address: u8) -> Option<u64> {
        if !fixed!(self, info.is_virtfn) {
            return None;
        }
        // SAFETY: For a virtual function the union holds a pointer to its physical function, which
        // `pci_remove_device()` does not remove before it.
        let physical =
            unsafe { PciDev::from_raw(field!(self, __bindgen_anon_2.pf_pdev).cast_mut()) };
        xen_assert!(physical.is_some());
        let physical = physical?;
        // SAFETY: For a physical function the union holds the sizes.
        let sizes = unsafe { &raw const (*physical.as_ptr()).__bindgen_anon_2.physfn.vf_rlen };
        let size = element(sizes, base_address.into())?;
        // SAFETY: `element` gives a place in the array of the physical function, which lives longer
        // than this one.
        let size = unsafe { u64::load(size) };
        (size != 0).then_some(size)
    }

    /// Returns whether a lock is held that keeps its list of interrupts from changing; debug builds
    /// ask.
    pub fn list_is_locked(self) -> bool {
        // SAFETY: The owner is alive, or there is none.
        unsafe { sys::shim_pdev_list_is_read_locked(field!(self, domain)) }
    }

    /// Asks the security module whether this domain may set up the function.
    ///
    /// # Errors
    ///
    /// What it answers.
    pub fn check_set_up_permission(self) -> Result<(), Errno> {
        // SAFETY: The function is alive as a view's, and the security module reads its address.
        Errno::check(unsafe { sys::shim_resource_setup_pci(self.as_ptr()) })
    }

    /// Switches its INTx on or off.
    pub fn set_intx(self, on: bool) {
        // SAFETY: The function is alive as a view's; `pci_intx()` writes its configuration space.
        unsafe { sys::pci_intx(self.as_ptr(), on) };
    }
}

/// What Xen calls a kind of function.
fn kind(of: sys::pci_dev_pdev_type) -> Kind {
    match of {
        sys::DEV_TYPE_PCIe_ENDPOINT => Kind::Endpoint,
        sys::DEV_TYPE_PCIe_BRIDGE => Kind::Port,
        sys::DEV_TYPE_PCIe2PCI_BRIDGE => Kind::ExpressToPci,
        sys::DEV_TYPE_PCI2PCIe_BRIDGE => Kind::PciToExpress,
        sys::DEV_TYPE_LEGACY_PCI_BRIDGE => Kind::PciBridge,
        sys::DEV_TYPE_PCI_HOST_BRIDGE => Kind::HostBridge,
        sys::DEV_TYPE_PCI => Kind::Pci,
        _ => Kind::Unknown,
    }
}
