//! Interrupts as a domain names them (`struct pirq`, `xen/irq.h`).
//!
//! A pirq leaves its domain's tree, which `pirq_cleanup_check()` sees to, with the domain's event
//! lock held for writing, and is freed a grace period later (`free_pirq_struct()`). So the event
//! lock keeps it. Without that lock it is kept while the CPU that found it processes no softirqs.

use crate::base::memory::zalloc;
use crate::base::view::{field, set_field, view};
use crate::objects::domain::Domain;
use crate::objects::irq_desc::{HeldDesc, IrqDesc, LockedDesc};
use crate::sync::rwlock::EventLock;
use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ptr::NonNull;
use irq_core::irq::pirqs::{Emuirq, Link};
use static_assertions::const_assert_eq;
use xen_sys as sys;

/// The bytes of a pirq of a PV domain, which has none of the fields for HVM domains.
const BYTES_OF_PV: usize = offset_of!(sys::pirq, arch.__bindgen_anon_1);

const_assert_eq!(Emuirq::UNBOUND, sys::XEN_IRQ_UNBOUND);
const_assert_eq!(Emuirq::PASSED_THROUGH, sys::XEN_IRQ_PT);
const_assert_eq!(Emuirq::MESSAGE, sys::XEN_IRQ_MSI_EMU);

/// A domain's name for an IRQ, while the domain's event lock is held. For a PV domain the object is
/// shorter than its type.
#[derive(Clone, Copy)]
pub struct Pirq<'l> {
    raw: NonNull<sys::pirq>,
    lock: PhantomData<&'l ()>,
}

impl<'l> Pirq<'l> {
    /// Takes the pirq that the caller of an export names.
    ///
    /// # Safety
    ///
    /// It was found in the tree of the domain whose event lock this is, with the lock held.
    pub unsafe fn of(raw: NonNull<sys::pirq>, _: &'l EventLock) -> Self {
        Self {
            raw,
            lock: PhantomData,
        }
    }

    /// Locks the descriptor of the IRQ that it stands for; `None` where it stands for none.
    pub fn lock_desc(self) -> Option<LockedDesc<'static>> {
        // SAFETY: The event lock keeps the pirq, as `of` asks. C locks the descriptor that it
        // returns, with IRQs off, and leaves the lock to its caller.
        unsafe { take_over(|flags| sys::pirq_spin_lock_irq_desc(self.raw.as_ptr(), flags)) }
    }
}

/// Takes over the descriptor that `lock` locks, if it finds one.
///
/// # Safety
///
/// `lock` returns null, or a descriptor whose lock it took, with IRQs off; it writes what the flags
/// register was before, and leaves the lock to its caller.
unsafe fn take_over(
    lock: impl FnOnce(*mut u64) -> *mut sys::irq_desc,
) -> Option<LockedDesc<'static>> {
    let mut flags = 0;
    // SAFETY: Descriptors are allocated at boot and stay; `take_over` asks for one that is locked.
    unsafe { IrqDesc::from_raw(lock(&raw mut flags)).map(|desc| LockedDesc::from_c(desc, flags)) }
}

/// Locks the descriptor of the IRQ that a domain's pirq stands for; `None` where it stands for
/// none.
pub fn lock_domain_pirq(domain: Domain, pirq: i32) -> Option<LockedDesc<'static>> {
    // SAFETY: The domain is alive as a view's; `domain_spin_lock_irq_desc()` takes any number and
    // looks for it in the tree, whose nodes are freed a grace period after they left it, as pirqs
    // are. No grace period ends meanwhile: a CPU lets one end where it processes softirqs or idles,
    // which that function does not. It locks the descriptor that it returns, with IRQs off, and
    // leaves the lock to its caller.
    unsafe { take_over(|flags| sys::domain_spin_lock_irq_desc(domain.as_ptr(), pirq, flags)) }
}

view! {
    /// A domain's name for an IRQ, which something keeps for as long as the view. For a PV domain
    /// the object ends behind the number of the IRQ: none is read beyond that.
    PirqView, sys::pirq
}

impl PirqView<'_> {
    /// Its number in the domain.
    pub fn number(self) -> i32 {
        field!(self, pirq)
    }

    /// The event channel that it is bound to; 0 for none.
    pub fn event_channel(self) -> u32 {
        field!(self, evtchn)
    }

    /// The IRQ that it stands for. Zero for none, and negative where the guest was unbound by
    /// force.
    #[inline(always)]
    pub fn irq(self) -> i32 {
        field!(self, arch.irq)
    }

    /// The same as an entry of the domain's map.
    pub fn link(self) -> Link {
        Link::of(self.irq())
    }

    /// Has it stand for something else. Who holds the lock of the descriptor of an IRQ that it
    /// stands for, and the domain's event lock, writes this.
    pub fn set_link(self, link: Link, _: HeldDesc<'_>) {
        set_field!(self, arch.irq)(link.word());
    }

    /// Returns whether the guest's EOI is waited for.
    pub fn is_masked(self) -> bool {
        field!(self, masked)
    }

    /// Has the guest's EOI waited for; returns whether it was. Only who holds the lock of the IRQ's
    /// descriptor writes this.
    #[inline(always)]
    pub fn mask(self, _: HeldDesc<'_>) -> bool {
        let was = self.is_masked();
        set_field!(self, masked)(true);
        was
    }

    /// Has the guest's EOI no longer waited for; returns whether it was.
    #[inline(always)]
    pub fn unmask(self, _: HeldDesc<'_>) -> bool {
        let was = self.is_masked();
        set_field!(self, masked)(false);
        was
    }

    /// Locks the descriptor of the IRQ that it stands for; `None` where it stands for none
    /// (`pirq_spin_lock_irq_desc()`).
    #[doc(alias = "pirq_spin_lock_irq_desc")]
    #[inline]
    pub fn lock_own_desc(self) -> Option<LockedDesc<'static>> {
        loop {
            let irq = u32::try_from(self.irq()).ok().filter(|irq| *irq != 0)?;
            let locked = IrqDesc::numbered(irq)?.lock();
            // It stands for the same one as long as that is locked.
            if self.irq() == locked.held().irq() {
                return Some(locked);
            }
        }
    }
}

/// Locks the descriptor of the IRQ that a domain's pirq stands for; `None` where it stands for none
/// (`domain_spin_lock_irq_desc()`).
#[cfg(feature = "irq")]
#[doc(alias = "domain_spin_lock_irq_desc")]
pub fn lock_desc_of(domain: Domain<'_>, pirq: i32) -> Option<LockedDesc<'static>> {
    // SAFETY: The domain is alive as a view's. A pirq that leaves the tree is freed a grace period
    // later, and none ends meanwhile: the CPU processes no softirqs.
    let pirq = unsafe { PirqView::from_raw(sys::shim_pirq_info(domain.as_ptr(), pirq)) };
    pirq?.lock_own_desc()
}

/// A pirq of an HVM domain, which has all fields of its type.
#[derive(Clone, Copy)]
pub struct HvmPirq<'a>(PirqView<'a>);

impl<'a> HvmPirq<'a> {
    /// Takes one.
    ///
    /// # Safety
    ///
    /// It is a pirq of a domain of HVM (or PVH), which `alloc_pirq_struct()` has allocated.
    pub const unsafe fn new(pirq: PirqView<'a>) -> Self {
        Self(pirq)
    }

    /// The same without what HVM adds.
    pub fn pirq(self) -> PirqView<'a> {
        self.0
    }

    /// What it stands for of the domain's own hardware.
    pub fn emuirq(self) -> Option<Emuirq> {
        Emuirq::of(field!(self.0, arch.__bindgen_anon_1.hvm.emuirq))
    }

    /// Has it stand for something of the domain's own hardware, or for nothing. Who holds the
    /// domain's event lock writes this.
    pub fn set_emuirq(self, emuirq: Option<Emuirq>) {
        let word = emuirq.map_or(Emuirq::UNBOUND, Emuirq::word);
        set_field!(self.0, arch.__bindgen_anon_1.hvm.emuirq)(word);
    }

    /// Returns whether passthrough has nothing to do with it any more.
    ///
    /// Context: the domain's event lock is held for writing.
    #[cfg(hvm)]
    pub fn is_left_by_passthrough(self) -> bool {
        // SAFETY: The pirq is one of HVM, as `new` asks, so that it has the part that is passed.
        unsafe {
            let dpci = &raw mut (*self.0.as_ptr()).arch.__bindgen_anon_1.hvm.dpci;
            sys::pt_pirq_cleanup_check(dpci)
        }
    }

    /// The same where there is no HVM, and no such pirq.
    #[cfg(not(hvm))]
    pub fn is_left_by_passthrough(self) -> bool {
        true
    }
}

/// Allocates a pirq of a domain that stands for nothing. `free_pirq_struct()` frees it.
///
/// Context: IRQs on.
#[doc(alias = "alloc_pirq_struct")]
#[cfg_attr(not(hvm), allow(unused_variables))]
pub fn allocate(domain: Domain<'_>) -> Option<NonNull<sys::pirq>> {
    #[cfg(hvm)]
    if domain.hvm().is_some() {
        let pirq = zalloc(Layout::new::<sys::pirq>())?.cast::<sys::pirq>();
        // SAFETY: The memory was just allocated, and is large enough for all fields. The domain is
        // alive as a view's.
        unsafe {
            let hvm = &raw mut (*pirq.as_ptr()).arch.__bindgen_anon_1.hvm;
            (&raw mut (*hvm).emuirq).write(Emuirq::UNBOUND);
            sys::pt_pirq_init(domain.as_ptr(), &raw mut (*hvm).dpci);
        }
        return Some(pirq);
    }
    let layout = Layout::from_size_align(BYTES_OF_PV, align_of::<sys::pirq>()).ok()?;
    zalloc(layout).map(NonNull::cast)
}
