//! Interrupt descriptors and what a domain sees of them (`xen/irq.h`).

use crate::arch::nospec;
use crate::base::view::{field, view};
use crate::objects::domain::Domain;
use crate::objects::msi_desc::{KeptMsi, MsiDesc};
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;
use xen_sys as sys;

view! {
    /// A descriptor of an IRQ; they are allocated at boot, one for each IRQ, and stay.
    IrqDesc, sys::irq_desc
}

view! {
    /// A domain's name for an IRQ. For a PV domain the object is shorter than its type.
    Pirq, sys::pirq
}

impl<'a> IrqDesc<'a> {
    /// Returns the descriptor of an IRQ whose number came from a descriptor.
    ///
    /// # Safety
    ///
    /// There is a descriptor of that number.
    #[inline]
    pub(crate) unsafe fn of(irq: u32) -> Self {
        // SAFETY: `init_irq_data()` allocates the array, and `of` asks for an index in it.
        unsafe { Self::from_raw(sys::irq_desc.add(irq as usize)).unwrap_unchecked() }
    }

    /// How many there are.
    #[inline]
    fn count() -> u32 {
        // SAFETY: `init_irq_data()` writes the number before it allocates the array, and nothing
        // writes it after that.
        unsafe { (&raw const sys::nr_irqs).read() }
    }

    /// Returns the descriptor of an IRQ; `None` for a number that no IRQ has.
    #[inline]
    pub fn numbered(irq: u32) -> Option<IrqDesc<'static>> {
        // SAFETY: The number is below that of the descriptors.
        (irq < Self::count()).then(|| unsafe { IrqDesc::of(irq) })
    }

    /// All of them, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        // SAFETY: There are as many.
        (0..Self::count()).map(|irq| unsafe { Self::of(irq) })
    }

    /// The same for longer: descriptors stay as long as Xen.
    #[inline]
    pub fn for_good(self) -> IrqDesc<'static> {
        IrqDesc {
            raw: self.raw,
            life: PhantomData,
        }
    }

    /// Its number.
    #[inline]
    pub fn irq(self) -> i32 {
        field!(self, irq)
    }

    /// The vector that was chosen for it.
    #[inline]
    pub fn vector(self) -> u8 {
        field!(self, arch.vector) as u8
    }

    /// Returns whether guests handle it.
    #[inline]
    pub fn is_for_guests(self) -> bool {
        field!(self, status) & sys::XEN_IRQ_GUEST as u32 != 0
    }

    /// Returns whether it is in use at all.
    pub fn is_initialized(self) -> bool {
        !field!(self, handler).is_null()
    }

    /// Returns whether its lock is held, by whichever CPU; debug builds ask.
    pub fn is_locked(self) -> bool {
        // SAFETY: Descriptors are allocated at boot and stay, and so do their locks.
        unsafe { sys::shim_spin_is_locked(&raw const (*self.as_ptr()).lock) }
    }

    /// Looks at the MSI that it belongs to, if any.
    ///
    /// With RUST_MSI an MSI's descriptor is freed after a grace period, and no lock is taken. C's
    /// msi.c frees it at once, after the IRQ's descriptor was cleared under its lock, which is then
    /// taken here.
    ///
    /// # Safety
    ///
    /// The caller is in an RCU section.
    #[inline]
    pub(crate) unsafe fn look_at_msi<R>(
        self,
        look: impl FnOnce(MsiDesc<'_>) -> Option<R>,
    ) -> Option<R> {
        #[cfg(not(feature = "msi"))]
        let _locked = self.lock();
        // SAFETY: The RCU section, or the lock, keeps the descriptor.
        look(unsafe { MsiDesc::from_raw(field!(self, msi_desc)) }?)
    }

    /// Takes its lock, with IRQs off until it is dropped.
    #[inline]
    pub fn lock(self) -> LockedDesc<'a> {
        // SAFETY: The descriptor has a lock.
        let flags = unsafe { sys::_spin_lock_irqsave(&raw mut (*self.as_ptr()).lock) };
        nospec::block_lock_speculation();
        LockedDesc {
            desc: self,
            flags: Some(flags),
            local: PhantomData,
        }
    }
}

/// A descriptor that this CPU alone may change, for as long as the value may live: it holds the
/// lock, with IRQs off, or nothing else can reach the IRQ yet.
#[derive(Clone, Copy)]
pub struct HeldDesc<'a> {
    desc: IrqDesc<'a>,
    local: PhantomData<*mut ()>,
}

impl<'a> HeldDesc<'a> {
    /// Stands for the lock that the caller of an export holds.
    ///
    /// # Safety
    ///
    /// For longer than the result lives, this CPU holds the descriptor's lock, or the caller has
    /// created the IRQ and nothing else can reach it: it has no action, and no device sends it.
    #[inline]
    pub const unsafe fn new(desc: IrqDesc<'a>) -> Self {
        Self {
            desc,
            local: PhantomData,
        }
    }

    /// The MSI that the IRQ belongs to, if any.
    #[inline]
    pub fn msi_desc(self) -> Option<KeptMsi<'a>> {
        // SAFETY: Before an MSI is freed, its IRQ's descriptor is cleared under the lock
        // (`unmap_domain_pirq()`, `dynamic_irq_cleanup()`). That is held, or nothing else changes
        // the descriptor.
        unsafe { MsiDesc::from_raw(field!(self.desc, msi_desc)).map(|msi| KeptMsi::new(msi)) }
    }
}

impl<'a> Deref for HeldDesc<'a> {
    type Target = IrqDesc<'a>;

    #[inline]
    fn deref(&self) -> &IrqDesc<'a> {
        &self.desc
    }
}

/// A descriptor whose lock is held, with IRQs off.
#[must_use = "the lock is dropped where this is dropped"]
pub struct LockedDesc<'a> {
    desc: IrqDesc<'a>,
    /// What the flags register was before, or nothing where IRQs were on.
    flags: Option<u64>,
    local: PhantomData<*mut ()>,
}

impl<'a> LockedDesc<'a> {
    /// The descriptor, for what asks for its lock.
    #[inline]
    pub fn held(&self) -> HeldDesc<'_> {
        // SAFETY: The lock is held until this is dropped, which the result borrows.
        unsafe { HeldDesc::new(self.desc) }
    }

    /// The descriptor.
    #[inline]
    pub fn desc(&self) -> IrqDesc<'a> {
        self.desc
    }

    /// The MSI that the IRQ belongs to, if any. It stays for as long as the lock is held: before an
    /// MSI's descriptor is freed, this is cleared under the lock (`unmap_domain_pirq()`,
    /// `dynamic_irq_cleanup()`).
    #[inline]
    pub fn msi_desc(&self) -> Option<MsiDesc<'_>> {
        self.held().msi_desc().map(KeptMsi::desc)
    }

    /// Masks or unmasks the MSI on behalf of the guest; the descriptor has an MSI.
    #[inline]
    pub fn guest_mask_msi(&self, mask: bool) {
        // SAFETY: The descriptor is locked.
        unsafe { sys::guest_mask_msi_irq(self.desc.as_ptr(), mask) };
    }
}

impl Drop for LockedDesc<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock is held, and was taken in the way that is undone here.
        unsafe {
            let lock = &raw mut (*self.desc.as_ptr()).lock;
            match self.flags {
                Some(flags) => sys::_spin_unlock_irqrestore(lock, flags),
                None => sys::_spin_unlock_irq(lock),
            }
        }
    }
}

impl<'a> Pirq<'a> {
    /// Locks the descriptor of the IRQ that it stands for; `None` where it stands for none.
    ///
    /// Context: IRQs on; the domain's event lock is held.
    pub fn lock_desc(self) -> Option<LockedDesc<'a>> {
        // SAFETY: The object is alive; no flags are wanted, because IRQs are on.
        let desc = unsafe {
            IrqDesc::from_raw(sys::pirq_spin_lock_irq_desc(self.as_ptr(), ptr::null_mut()))
        }?;
        Some(LockedDesc {
            desc,
            flags: None,
            local: PhantomData,
        })
    }
}

/// Locks the descriptor of the IRQ that a domain's pirq stands for; `None` where it stands for
/// none.
///
/// Context: any; the pirq's structure is kept by a lock or an RCU section that the caller holds.
pub fn lock_domain_pirq<'a>(domain: Domain<'a>, pirq: i32) -> Option<LockedDesc<'a>> {
    let mut flags = 0;
    // SAFETY: The domain is alive as a view's, and `domain_spin_lock_irq_desc()` takes any number.
    let desc = unsafe {
        IrqDesc::from_raw(sys::domain_spin_lock_irq_desc(
            domain.as_ptr(),
            pirq,
            &raw mut flags,
        ))
    }?;
    Some(LockedDesc {
        desc,
        flags: Some(flags),
        local: PhantomData,
    })
}

/// Lets softirqs that are pending run.
///
/// Context: IRQs on, no lock held.
pub fn process_pending_softirqs() {
    // SAFETY: The caller is where softirqs may run.
    unsafe { sys::process_pending_softirqs() };
}
