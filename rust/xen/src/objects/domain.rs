//! Domains (`xen/sched.h`, `asm/hvm/domain.h`).

use crate::arch::nospec;
#[cfg(feature = "irq")]
use crate::base::errno::Errno;
use crate::base::view::{Word, field, fixed};
#[cfg(hvm)]
use crate::base::view::{deref, set_field};
#[cfg(feature = "irq")]
use crate::objects::msi_info::Request;
#[cfg(hvm)]
use crate::objects::pci_dev::PcidevsLocked;
pub use crate::objects::views::Domain;
#[cfg(hvm)]
pub use crate::objects::views::HvmDomain;
#[cfg(hvm)]
use crate::objects::views::HvmVcpu;
#[cfg(feature = "irq")]
use crate::objects::views::PciDev;
use crate::objects::views::Vcpu;
use crate::sync::rcu;
use core::iter::successors;
#[cfg(feature = "irq")]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::{AtomicUsize, Ordering};
use xen_sys as sys;

impl<'a> Domain<'a> {
    /// The ID of no domain (`DOMID_INVALID`).
    pub const NO_ID: u16 = sys::XEN_IRQ_DOMID_INVALID as u16;

    /// Finds the domain of an ID, and runs something with it, which stays meanwhile; `None` where
    /// there is none.
    #[cfg(feature = "irq")]
    pub fn with_id<R>(id: u16, run: impl FnOnce(Domain<'_>) -> R) -> Option<R> {
        // SAFETY: The function takes any number. It leaves an RCU section open where it finds a
        // domain that is not the current vCPU's: that or the vCPU keeps the domain.
        let domain = unsafe { Domain::from_raw(sys::rcu_lock_domain_by_id(id)) }?;
        let result = run(domain);
        // SAFETY: The domain is the one that was found, and this ends the section, if there is one.
        unsafe { sys::shim_rcu_unlock_domain(domain.as_ptr()) };
        Some(result)
    }

    /// All domains but those that are still being created, for as long as an RCU section lasts.
    fn all(_: &'a rcu::ReadGuard) -> impl Iterator<Item = Self> {
        // SAFETY: The head is a pointer of Xen's data. `domlist_insert()` adds what was created
        // whole, and `domlist_remove()` has what it takes out freed after a grace period.
        let first = unsafe { Self::from_raw(<*mut _>::load(&raw const sys::domain_list)) };
        // SAFETY: As for the first; one that is taken out meanwhile still leads on.
        successors(first, |domain| unsafe {
            Self::from_raw(field!(domain, next_in_list))
        })
    }

    /// Its ID.
    #[inline]
    pub fn id(self) -> u16 {
        fixed!(self, domain_id)
    }

    /// How many vCPUs it may have.
    #[inline]
    pub fn max_vcpus(self) -> u32 {
        fixed!(self, max_vcpus)
    }

    /// Its first vCPU; [`Vcpu::next`] leads to the others, in the order of their numbers.
    #[inline]
    pub fn first_vcpu(self) -> Option<Vcpu<'a>> {
        let array = fixed!(self, vcpu);
        if array.is_null() {
            return None;
        }
        // SAFETY: The array has at least one slot, and vCPUs live as long as their domain.
        unsafe { Vcpu::from_raw(*array) }
    }

    /// The same as a domain of HVM (or PVH), which its creator decided for good; `None` for others.
    #[cfg(hvm)]
    #[inline]
    pub fn hvm(self) -> Option<HvmDomain<'a>> {
        if nospec::evaluate(self.was_created_as_hvm()) {
            Some(HvmDomain(self))
        } else {
            None
        }
    }

    /// The same as one for which emulation of MSI-X tables was set up.
    #[cfg(hvm)]
    #[doc(alias = "msixtbl_initialised")]
    #[inline]
    pub fn with_msix_emulation(self) -> Option<HvmDomain<'a>> {
        self.hvm().filter(|domain| domain.has_msix_emulation())
    }

    /// Returns whether it is a domain of HVM (or PVH), where nothing depends on the answer that is
    /// not to be speculated past.
    #[inline]
    pub fn was_created_as_hvm(self) -> bool {
        fixed!(self, options) & sys::XEN_IRQ_CDF_HVM as u32 != 0
    }

    /// How many pirqs it may have.
    pub fn pirqs(self) -> u32 {
        fixed!(self, nr_pirqs)
    }

    /// Tells a PV domain whether it is to send an EOI for a pirq: by a page that it shares, if it
    /// has asked for that.
    #[cfg(feature = "irq")]
    pub fn set_pirq_eoi(self, pirq: i32, wanted: bool) {
        // SAFETY: The domain is alive as a view's. The pointer is set once, to a page that stays
        // mapped until the domain has ended and has no pirqs.
        let map: *mut u64 =
            unsafe { <*mut u64>::load(&raw const (*self.as_ptr()).arch.pirq_eoi_map) };
        let Some(pirq) = u32::try_from(pirq).ok().filter(|_| !map.is_null()) else {
            return;
        };
        let inside = pirq < sys::XEN_IRQ_EOI_MAP_BITS as u32;
        xen_assert!(inside);
        if !inside {
            return;
        }
        // SAFETY: The word is one of the page's; Xen and the guest change it by atomic
        // instructions.
        let word = unsafe { AtomicU64::from_ptr(map.add(pirq as usize / 64)) };
        let bit = 1 << (pirq % 64);
        if wanted {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// Returns whether it ends: nothing more is set up for it.
    pub fn is_dying(self) -> bool {
        field!(self, is_dying) != 0
    }

    /// Returns whether it may use an IRQ.
    #[cfg(feature = "irq")]
    pub fn may_use_irq(self, irq: i32) -> bool {
        // SAFETY: The domain is alive as a view's. Its set of IRQs has a lock of its own, and takes
        // any number.
        unsafe { sys::shim_irq_is_permitted(self.as_ptr(), irq) }
    }

    /// Lets it use an IRQ, or no longer.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    #[cfg(feature = "irq")]
    pub fn set_irq_access(self, irq: u32, allow: bool) -> Result<(), Errno> {
        // SAFETY: The domain is alive as a view's. Its set of IRQs has a lock of its own, and takes
        // any number.
        Errno::check(unsafe { sys::shim_irq_access(self.as_ptr(), irq, allow) })
    }

    /// Asks the security module whether the domain of the current vCPU may map an IRQ to a pirq of
    /// this one: that of a message, or of a pin.
    ///
    /// # Errors
    ///
    /// What it answers.
    #[cfg(feature = "irq")]
    pub fn check_map_permission(self, irq: u32, message: Option<Request<'_>>) -> Result<(), Errno> {
        let message = message.map_or(core::ptr::null_mut(), Request::as_ptr);
        // SAFETY: The domain and the request are alive as views. The security module takes a
        // request or null, and reads where the function is.
        Errno::check(unsafe {
            sys::shim_may_map_irq(self.as_ptr(), irq.cast_signed(), message.cast())
        })
    }

    /// Asks the same for an IRQ that is to be unmapped: that of a function's message, or another.
    ///
    /// # Errors
    ///
    /// What it answers.
    #[cfg(feature = "irq")]
    pub fn check_unmap_permission(self, irq: u32, device: Option<PciDev<'_>>) -> Result<(), Errno> {
        let device = device.map_or(core::ptr::null_mut(), PciDev::as_ptr);
        // SAFETY: The domain and the function are alive as views. The security module takes a
        // function or null, and reads where that is.
        Errno::check(unsafe {
            sys::shim_may_unmap_irq(self.as_ptr(), irq.cast_signed(), device.cast())
        })
    }

    /// Returns whether its vCPUs have local APICs.
    #[inline]
    pub fn has_vlapic(self) -> bool {
        fixed!(self, arch.emulation_flags) & sys::XEN_IRQ_EMU_LAPIC as u32 != 0
    }

    /// Returns whether a lock is held that keeps its list of PCI functions from changing:
    /// `pcidevs_lock`, or its `pci_lock` in either mode. Debug builds ask; others answer yes.
    pub fn device_list_is_locked(self) -> bool {
        // SAFETY: The view's domain is alive, and so is its lock.
        unsafe { sys::shim_pdev_list_is_read_locked(self.as_ptr()) }
    }

    /// Returns whether it owns the hardware.
    pub fn is_hardware(self) -> bool {
        nospec::evaluate(hardware_domain() == self.as_ptr())
    }

    /// Returns whether it stands for the owner of devices that dom0 has given up and that have no
    /// new owner.
    pub fn is_io(self) -> bool {
        // SAFETY: A pointer that is written while Xen boots.
        unsafe { (&raw const sys::dom_io).read_volatile() == self.as_ptr() }
    }

    /// Returns whether it has memory; a domain without has mapped nothing yet.
    pub fn has_memory(self) -> bool {
        // SAFETY: The domain is alive as a view's, and the number that is read is a part of it.
        unsafe { sys::shim_domain_has_memory(self.as_ptr()) }
    }

    /// Ends the domain: something that it cannot have done by itself went wrong.
    #[cold]
    pub fn crash(self) {
        // SAFETY: The domain is alive as a view's, and `domain_crash()` may be called in any
        // context.
        unsafe { sys::shim_domain_crash(self.as_ptr()) };
    }
}

/// The domain that owns the hardware, or null. With `CONFIG_LATE_HWDOM` another may take its place,
/// and then it may be freed.
fn hardware_domain() -> *mut sys::domain {
    // SAFETY: A pointer of Xen's data, which C reads and writes in one piece.
    unsafe { <*mut _>::load(&raw const sys::hardware_domain) }
}

/// Returns whether there is a domain that owns the hardware: not before Xen has built dom0.
pub fn hardware_domain_exists() -> bool {
    !hardware_domain().is_null()
}

/// The address of the domain that owned the hardware when that was looked for last, with
/// [`IS_HVM`]; no domain is at the first value.
static HARDWARE_DOMAIN: AtomicUsize = AtomicUsize::new(usize::MAX);

/// It was created as one of HVM (or PVH). Structures of domains are aligned to pages.
const IS_HVM: usize = 1;

/// Returns whether the domain that owns the hardware was created as one of HVM (or PVH); `None`
/// where there is none, or where it is not in the list of domains yet.
#[inline]
pub fn hardware_domain_is_hvm() -> Option<bool> {
    let address = hardware_domain() as usize;
    let known = HARDWARE_DOMAIN.load(Ordering::Relaxed);
    if known & !IS_HVM == address {
        Some(known & IS_HVM != 0)
    } else {
        look_for_hardware_domain(address)
    }
}

/// Looks for the domain at an address in the list of domains, and keeps what it is. A domain whose
/// creation may still fail is in no list: it would be freed without a grace period.
#[cold]
fn look_for_hardware_domain(address: usize) -> Option<bool> {
    let rcu = rcu::read();
    let domain = Domain::all(&rcu).find(|domain| domain.as_ptr() as usize == address)?;
    let is_hvm = domain.was_created_as_hvm();
    let flag = if is_hvm { IS_HVM } else { 0 };
    HARDWARE_DOMAIN.store(address | flag, Ordering::Relaxed);
    Some(is_hvm)
}

#[cfg(hvm)]
impl<'a> HvmDomain<'a> {
    /// Takes the domain that the caller of an export names; debug builds check its kind.
    ///
    /// # Safety
    ///
    /// It is a domain of HVM (or PVH).
    #[inline]
    pub unsafe fn new(domain: Domain<'a>) -> Self {
        xen_assert!(domain.was_created_as_hvm());
        Self(domain)
    }

    /// Its first vCPU; [`HvmVcpu::next`] leads to the others, in the order of their numbers.
    #[inline]
    pub fn first_vcpu(self) -> Option<HvmVcpu<'a>> {
        self.0.first_vcpu().map(HvmVcpu)
    }

    /// Its vCPUs, in the order of their numbers.
    #[inline]
    pub fn vcpus(self) -> impl Iterator<Item = HvmVcpu<'a>> {
        successors(self.first_vcpu(), |vcpu| vcpu.next())
    }

    /// Returns whether emulation of MSI-X tables was set up.
    #[inline]
    pub fn has_msix_emulation(self) -> bool {
        !field!(self, arch.__bindgen_anon_1.hvm.msixtbl_list.next).is_null()
    }

    /// The field that holds the domain's MSI-X tables. C only sets it to null, when it creates the
    /// domain, and gives it no other meaning; see [`crate::vmsi::tables`].
    #[inline]
    pub fn msix_tables(self) -> *mut *mut sys::list_head {
        // SAFETY: The field is a part of the domain.
        unsafe { &raw mut (*self.as_ptr()).arch.__bindgen_anon_1.hvm.msixtbl_list.prev }
    }

    /// Sets up emulation of MSI-X tables: accesses are offered to it from now on.
    ///
    /// Context: called once.
    pub fn set_up_msix_emulation(self, _: PcidevsLocked) {
        // An empty list is one that points to itself. It is never followed: its other field leads
        // to the tables.
        // SAFETY: The field is a part of the domain.
        let list = unsafe { &raw mut (*self.as_ptr()).arch.__bindgen_anon_1.hvm.msixtbl_list };
        set_field!(self, arch.__bindgen_anon_1.hvm.msixtbl_list.next)(list);
        // SAFETY: The domain is alive; a handler that is returned is the domain's own and not in
        // use yet.
        unsafe {
            let handler = sys::hvm_next_io_handler(self.as_ptr());
            if !handler.is_null() {
                (*handler).type_ = sys::IOREQ_TYPE_COPY as u8;
                (*handler).ops = &raw const sys::shim_msixtbl_ops;
            }
        }
    }
}

#[cfg(hvm)]
deref!(HvmDomain, 0: Domain);
