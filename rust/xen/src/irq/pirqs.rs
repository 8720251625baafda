//! A domain's pirqs: the tree of their structures, and the map from IRQs to pirqs.
//!
//! The domain's event lock, held for writing, guards both ([`Pirqs`]); the link from a pirq to its
//! IRQ, and back, changes with the lock of the IRQ's descriptor as well. A pirq that stands for
//! nothing any more leaves the tree and is freed a grace period later. No grace period ends while
//! the event lock is held, so that what was found in the tree may be looked at until then.
//!
//! A guest of an IRQ refers to its pirq, which therefore stands for the IRQ, or is held by it,
//! until the guest has unbound: [`Pirqs::unlink`] sees to it.

use crate::base::errno::Errno;
use crate::base::radix_tree::NumberTree;
use crate::irq::guests::LockedGuest;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use crate::objects::pirq::{HvmPirq, PirqView};
use crate::sync::rwlock::EventLock;
use core::marker::PhantomData;
use core::ptr::NonNull;
use irq_core::irq::pirqs::{self, Emuirq, Link, PirqNumber};
use xen_sys as sys;

/// The pirqs of a domain whose event lock is held for writing.
#[derive(Clone, Copy)]
pub struct Pirqs<'l> {
    domain: Domain<'l>,
    local: PhantomData<*mut ()>,
}

/// The root of one of a domain's trees.
macro_rules! root {
    ($domain:expr, $($path:tt)+) => {
        // SAFETY: The domain is alive as a view's, and the root is a part of it.
        unsafe { NonNull::new_unchecked(&raw mut (*$domain.as_ptr()).$($path)+) }
    };
}

impl<'l> Pirqs<'l> {
    /// Those of the domain whose lock it is.
    pub fn of(lock: &'l EventLock<'_>) -> Self {
        Self {
            domain: lock.domain(),
            local: PhantomData,
        }
    }

    /// The domain.
    pub fn domain(self) -> Domain<'l> {
        self.domain
    }

    /// The numbers that they may have.
    pub fn numbers(self) -> pirqs::Pirqs {
        pirqs::Pirqs::new(IrqDesc::pins(), self.domain.pirqs())
    }

    /// The pirq of a number; `None` for one that the domain cannot have.
    pub fn numbered(self, number: i32) -> Option<PirqNumber> {
        self.numbers().numbered(number)
    }

    /// The structure of a pirq, if it has one.
    pub fn get(self, number: PirqNumber) -> Option<PirqView<'l>> {
        self.find(number.get())
    }

    fn find(self, number: i32) -> Option<PirqView<'l>> {
        let root = root!(self.domain, pirq_tree);
        // SAFETY: The event lock keeps the tree from changing, and any number may be looked for.
        // Its items are pirqs: no grace period ends while the lock is held, after which those are
        // freed that leave the tree.
        unsafe {
            let found = sys::radix_tree_lookup(root.as_ptr(), number as u64);
            PirqView::from_raw(found.cast())
        }
    }

    /// The same, allocated if there is none; `None` where there is no memory.
    ///
    /// Context: IRQs on.
    pub fn get_or_allocate(self, number: PirqNumber) -> Option<PirqView<'l>> {
        // SAFETY: The domain is alive as a view's, and its event lock is held for writing, as the
        // function asks. See `get` for what it returns.
        unsafe { PirqView::from_raw(sys::pirq_get_info(self.domain.as_ptr(), number.get())) }
    }

    /// What a pirq stands for.
    pub fn link(self, number: PirqNumber) -> Link {
        self.get(number).map_or(Link::None, PirqView::link)
    }

    /// The map from IRQs to pirqs.
    fn irqs(self) -> NumberTree<'l> {
        let root = root!(self.domain, arch.irq_pirq);
        // SAFETY: `init_domain_irq_mapping()` initializes it before others can reach the domain,
        // and all who change it hold the event lock for writing. Its items are numbers.
        unsafe { NumberTree::new(root) }
    }

    /// The pirq that stands for an IRQ.
    pub fn link_of(self, irq: IrqDesc<'_>) -> Link {
        self.irqs().get(irq.irq()).map_or(Link::None, Link::of)
    }

    /// Returns whether a pirq stands for nothing.
    #[doc(alias = "is_free_pirq")]
    pub fn is_free(self, number: PirqNumber) -> bool {
        self.get(number).is_none_or(|pirq| {
            pirq.link() == Link::None && self.hvm(pirq).is_none_or(|pirq| pirq.emuirq().is_none())
        })
    }

    /// A pirq of the domain's tree, with what HVM adds; `None` where it is not an HVM domain.
    fn hvm(self, pirq: PirqView<'l>) -> Option<HvmPirq<'l>> {
        // SAFETY: What is passed was found in the domain's tree, and that domain is of HVM.
        self.emulated().map(|_| unsafe { HvmPirq::new(pirq) })
    }

    /// Allocates what a mapping of a pirq to an IRQ needs. Returns the pirq, and whether the IRQ
    /// was added to the map.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`]; then all is as it was.
    #[doc(alias = "prepare_domain_irq_pirq")]
    pub fn prepare(
        self,
        irq: IrqDesc<'_>,
        number: PirqNumber,
    ) -> Result<(PirqView<'l>, bool), Errno> {
        let is_new = match self.irqs().insert(irq.irq(), Link::None.word()) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno),
        };
        let Some(pirq) = self.get_or_allocate(number) else {
            if is_new {
                self.irqs().remove(irq.irq());
            }
            return Err(Errno::NOMEM);
        };
        Ok((pirq, is_new))
    }

    /// Has a pirq, which was prepared and stands for no other IRQ, stand for an IRQ.
    #[doc(alias = "set_domain_irq_pirq")]
    pub fn link_to(self, desc: HeldDesc<'_>, pirq: PirqView<'_>) {
        let is_other = matches!(pirq.link(), Link::To(irq) if irq != desc.number());
        xen_assert!(!is_other);
        if is_other {
            return;
        }
        self.irqs().replace(desc.irq(), pirq.number());
        pirq.set_link(Link::To(desc.number()), desc);
    }

    /// Has a pirq stand for an IRQ no longer: both are as they were before, or, where a guest was
    /// unbound by force that has yet to unbind, they hold each other's numbers until then.
    #[doc(alias = "clear_domain_irq_pirq")]
    pub fn unlink(self, desc: HeldDesc<'_>, pirq: PirqView<'_>, after: After) {
        let is_own = matches!(pirq.link(), Link::To(irq) | Link::Held(irq) if irq == desc.number());
        xen_assert!(is_own);
        if !is_own {
            return;
        }
        let is_guest = desc
            .guests()
            .is_some_and(|guests| guests.guests().any(|guest| guest.pirq() == pirq));
        xen_assert!(!is_guest);
        let (link, irq) = match after {
            After::AsBefore(link, irq) if !is_guest => (link, irq),
            _ => (
                Link::Held(desc.number()),
                Link::Held(pirq.number().cast_unsigned()),
            ),
        };
        pirq.set_link(link, desc);
        self.irqs().replace(desc.irq(), irq.word());
    }

    /// Removes an IRQ from the map, and frees its pirq if that stands for nothing.
    #[doc(alias = "cleanup_domain_irq_pirq")]
    pub fn forget(self, irq: IrqDesc<'_>, pirq: PirqView<'_>) {
        self.clean_up(pirq);
        self.irqs().remove(irq.irq());
    }

    /// Frees a pirq that stands for nothing, and that no event channel and no passthrough uses. It
    /// is freed a grace period later.
    #[doc(alias = "pirq_cleanup_check")]
    pub fn clean_up(self, pirq: PirqView<'_>) {
        if pirq.event_channel() != 0 || pirq.link() != Link::None {
            return;
        }
        let own = self.find(pirq.number()).filter(|own| *own == pirq);
        xen_assert!(own.is_some());
        let Some(own) = own else { return };
        let is_used = |pirq: HvmPirq<'_>| pirq.emuirq().is_some() || !pirq.is_left_by_passthrough();
        if self.hvm(own).is_some_and(is_used) {
            return;
        }
        let root = root!(self.domain, pirq_tree);
        // SAFETY: The event lock keeps others from changing the tree. The pirq is in it, and is
        // freed once, a grace period after it left; an event channel does not refer to it, and no
        // guest of an IRQ, as it stands for none (`unlink`).
        unsafe {
            sys::radix_tree_delete(root.as_ptr(), own.number() as u64);
            sys::free_pirq_struct(own.as_ptr().cast());
        }
    }

    /// What the pirqs stand for of the domain's own hardware; `None` where the domain is not
    /// an HVM domain.
    pub fn emulated(self) -> Option<EmulatedPirqs<'l>> {
        #[cfg(hvm)]
        if self.domain.hvm().is_some() {
            return Some(EmulatedPirqs(self));
        }
        None
    }
}

/// A pirq as a guest of the IRQ that it stands for; `None` where it has no structure.
pub fn guest_of<'l>(lock: &'l EventLock<'_>, number: PirqNumber) -> Option<LockedGuest<'l>> {
    let pirq = Pirqs::of(lock).get(number)?;
    // SAFETY: The pirq is one of the domain's. It is freed only where it stands for no IRQ, and
    // that is not before the domain was unbound from it (`unlink`). A domain's pirqs are unmapped
    // before it is freed.
    Some(unsafe { LockedGuest::new(lock, pirq) })
}

impl LockedGuest<'_> {
    /// Takes the pirq from the IRQ from which its guest was unbound by force, after it was
    /// unmapped: nothing of it may be left when the channel is closed. Returns whether there is
    /// such an IRQ.
    ///
    /// Context: IRQs on.
    pub fn forget(self) -> bool {
        let Link::Held(irq) = self.pirq().link() else {
            return false;
        };
        let Some(desc) = IrqDesc::numbered(irq) else {
            return false;
        };
        let pirqs = Pirqs {
            domain: self.domain(),
            local: PhantomData,
        };
        let locked = desc.lock();
        pirqs.unlink(
            locked.held(),
            self.pirq(),
            After::AsBefore(Link::None, Link::None),
        );
        drop(locked);
        pirqs.forget(desc, self.pirq());
        true
    }
}

/// What a pirq of a domain stands for, whose event lock is not held: that may change at any time.
pub fn link_without_lock(domain: Domain<'_>, number: i32) -> Link {
    // SAFETY: The domain is alive as a view's, and any number may be looked for. A pirq that leaves
    // the tree is freed a grace period later, and none ends meanwhile: the CPU processes no
    // softirqs.
    let pirq = unsafe { PirqView::from_raw(sys::shim_pirq_info(domain.as_ptr(), number)) };
    pirq.map_or(Link::None, PirqView::link)
}

/// What a pirq and an IRQ lead to when neither leads to the other any more.
#[derive(Clone, Copy)]
pub enum After {
    /// To what they led before: the pirq, and the IRQ.
    AsBefore(Link, Link),
    /// To nothing, until a guest that was unbound by force has unbound.
    Held,
}

/// What the pirqs of an HVM domain stand for of the domain's own hardware.
#[derive(Clone, Copy)]
pub struct EmulatedPirqs<'l>(Pirqs<'l>);

impl<'l> EmulatedPirqs<'l> {
    /// The domain's pirqs.
    pub fn pirqs(self) -> Pirqs<'l> {
        self.0
    }

    fn hvm(self, pirq: PirqView<'l>) -> HvmPirq<'l> {
        // SAFETY: The pirqs that are passed are those of the domain's tree, and `emulated` makes
        // this for a domain of HVM.
        unsafe { HvmPirq::new(pirq) }
    }

    /// A pirq that has a structure.
    pub fn get(self, number: PirqNumber) -> Option<HvmPirq<'l>> {
        self.0.get(number).map(|pirq| self.hvm(pirq))
    }

    /// The same, allocated if there is none; `None` where there is no memory.
    ///
    /// Context: IRQs on.
    pub fn get_or_allocate(self, number: PirqNumber) -> Option<HvmPirq<'l>> {
        self.0.get_or_allocate(number).map(|pirq| self.hvm(pirq))
    }

    /// The map from the emulated interrupts to pirqs. What is passed through is not in it.
    fn map(self) -> NumberTree<'l> {
        let root = root!(self.0.domain, arch.__bindgen_anon_1.hvm.emuirq_pirq);
        // SAFETY: `init_domain_irq_mapping()` initializes it for a domain of HVM before others can
        // reach that, and all who change it hold the event lock for writing. Its items are numbers.
        unsafe { NumberTree::new(root) }
    }

    /// The number of the pirq that stands for an emulated interrupt.
    pub fn pirq_of(self, emuirq: Emuirq) -> Option<i32> {
        self.map().get(emuirq.word())
    }

    /// Has the map lead from an emulated interrupt to a pirq.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// [`Errno::NOMEM`].
    pub fn add(self, emuirq: Emuirq, number: PirqNumber) -> Result<(), Errno> {
        match self.map().insert(emuirq.word(), number.get()) {
            Err(Errno::EXIST) => {
                self.map().replace(emuirq.word(), number.get());
                Ok(())
            }
            result => result,
        }
    }

    /// Removes an emulated interrupt from the map.
    pub fn remove(self, emuirq: Emuirq) {
        self.map().remove(emuirq.word());
    }
}

/// The trees that lead to a domain's pirqs, before others can reach the domain, or when none can
/// any more.
pub struct PrivateMaps<'a>(Pirqs<'a>);

impl<'a> PrivateMaps<'a> {
    /// Takes them.
    ///
    /// # Safety
    ///
    /// Nothing else can reach the domain for as long as the result lives.
    pub unsafe fn new(domain: Domain<'a>) -> Self {
        Self(Pirqs {
            domain,
            local: PhantomData,
        })
    }

    /// The domain's pirqs: no lock is needed yet.
    pub fn pirqs(&self) -> Pirqs<'_> {
        self.0
    }

    /// The map from IRQs, and that from emulated interrupts where there is one.
    fn roots(&self) -> impl Iterator<Item = NonNull<sys::radix_tree_root>> {
        let domain = self.0.domain;
        let of_irqs = root!(domain, arch.irq_pirq);
        let emulated = self.0.emulated();
        let of_emulated = emulated.map(|_| root!(domain, arch.__bindgen_anon_1.hvm.emuirq_pirq));
        [Some(of_irqs), of_emulated].into_iter().flatten()
    }

    /// Initializes both: they are empty.
    pub fn initialize(&self) {
        for root in self.roots() {
            // SAFETY: The root is a part of the domain, which nothing else can reach. What it held
            // before is nothing: the domain is new.
            unsafe { sys::radix_tree_init(root.as_ptr()) };
        }
    }

    /// Empties both.
    pub fn destroy(&self) {
        for root in self.roots() {
            // SAFETY: The tree was initialized, or is all zero; nothing else can reach the domain.
            // Its items are numbers, of which nothing is to be freed.
            unsafe { sys::radix_tree_destroy(root.as_ptr(), None) };
        }
    }
}
