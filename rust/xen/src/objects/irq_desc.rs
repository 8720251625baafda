//! Interrupt descriptors (`struct irq_desc`, `xen/irq.h`).

use crate::base::units::MSI_IN_RUST;
use crate::base::view::{Word, deref, field, set_field};
use crate::objects::cpumask::{CpuMask, CpuMaskVar};
use crate::objects::hw_irq_controller::Handler;
use crate::objects::msi_desc::{HeldMsi, KeptMsi};
pub use crate::objects::views::IrqDesc;
use crate::objects::views::MsiDesc;
use crate::sync::irqs::{self, IrqsOff};
use crate::sync::lock::IrqLocked;
use core::marker::PhantomData;
use core::ptr;
use xen_sys as sys;

/// The IRQs that a PIC can have.
const LEGACY_IRQS: u32 = 16;

impl<'a> IrqDesc<'a> {
    /// Returns the descriptor of an IRQ whose number came from a descriptor.
    ///
    /// # Safety
    ///
    /// There is a descriptor of that number.
    #[inline]
    pub unsafe fn of(irq: u32) -> Self {
        // SAFETY: `init_irq_data()` allocates the array, and `of` asks for an index in it.
        unsafe { Self::from_raw(sys::irq_desc.add(irq as usize)).unwrap_unchecked() }
    }

    /// How many there are.
    #[inline]
    pub fn count() -> u32 {
        // SAFETY: The number is a variable that `ioapic_init()` or a boot option writes while Xen
        // boots on one CPU, before `init_irq_data()` allocates the array, and nothing after that.
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

    /// How many belong to pins of PICs and IO-APICs: the first ones.
    pub fn pins() -> u32 {
        // SAFETY: The number is written while Xen boots, before the array is allocated.
        unsafe { (&raw const sys::nr_irqs_gsi).read() }
    }

    /// Those of pins.
    pub fn of_pins() -> impl Iterator<Item = Self> {
        Self::all().take(Self::pins() as usize)
    }

    /// Those that a PIC can have.
    pub fn of_pics() -> impl Iterator<Item = Self> {
        Self::all().take(LEGACY_IRQS as usize)
    }

    /// Those of messages, and of what else creates IRQs.
    pub fn of_messages() -> impl Iterator<Item = Self> {
        Self::all().skip(Self::pins() as usize)
    }

    /// Returns whether it belongs to no pin.
    pub fn is_of_message(self) -> bool {
        self.number() >= Self::pins()
    }

    /// Returns whether an IO-APIC handles it, and no PIC (`IO_APIC_IRQ()`).
    pub fn is_of_io_apic(self) -> bool {
        if self.number() < LEGACY_IRQS {
            // SAFETY: The variable is written in one piece.
            let irqs = unsafe { u32::load(&raw const sys::io_apic_irqs) };
            irqs >> self.number() & 1 != 0
        } else {
            !self.is_of_message()
        }
    }

    /// Its number.
    #[inline]
    pub fn irq(self) -> i32 {
        field!(self, irq)
    }

    /// Its number, which is never negative.
    #[inline]
    pub fn number(self) -> u32 {
        self.irq() as u32
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

    /// Returns whether something handles it.
    pub fn has_action(self) -> bool {
        !field!(self, action).is_null()
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
    pub unsafe fn look_at_msi<R>(self, look: impl FnOnce(MsiDesc<'_>) -> Option<R>) -> Option<R> {
        let _locked = (!MSI_IN_RUST).then(|| self.lock());
        // SAFETY: The RCU section, or the lock, keeps the descriptor.
        look(unsafe { MsiDesc::from_raw(field!(self, msi_desc)) }?)
    }

    /// Destroys an IRQ that was created for an MSI.
    ///
    /// Context: IRQs on.
    ///
    /// # Safety
    ///
    /// It was created so, is destroyed once, and nothing but its MSI refers to it any more.
    pub unsafe fn destroy(self) {
        // SAFETY: The number is that of a descriptor, which `destroy` asks to be unused.
        unsafe { sys::destroy_irq(self.irq() as u32) };
    }

    /// Takes its lock, with IRQs off until it is dropped.
    #[inline]
    pub fn lock(self) -> LockedDesc<'a> {
        LockedDesc {
            desc: self,
            // SAFETY: Descriptors are allocated at boot and stay, and so do their locks.
            _lock: unsafe { IrqLocked::take(&raw mut (*self.as_ptr()).lock) },
        }
    }
}

/// An MSI that an IRQ is about to be bound to. It is not freed before that IRQ was destroyed.
#[derive(Clone, Copy)]
pub struct NewUser<'a>(KeptMsi<'a>);

impl<'a> NewUser<'a> {
    /// Takes one.
    ///
    /// # Safety
    ///
    /// Before it is freed, the IRQ that it is bound to is cleared (`destroy_irq()`); or it is never
    /// freed.
    pub const unsafe fn new(msi: KeptMsi<'a>) -> Self {
        Self(msi)
    }

    /// The MSI.
    pub fn msi(self) -> KeptMsi<'a> {
        self.0
    }
}

/// A descriptor that this CPU alone may change, for as long as the value may live: it holds the
/// lock, or nothing else can reach the IRQ yet.
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
    pub fn msi_desc(self) -> Option<HeldMsi<'a>> {
        // SAFETY: Before an MSI is freed, its IRQ's descriptor is cleared under the lock
        // (`unmap_domain_pirq()`, `dynamic_irq_cleanup()`). That is held, or nothing else changes
        // the descriptor.
        unsafe {
            let msi = MsiDesc::from_raw(field!(self.desc, msi_desc))?;
            Some(HeldMsi::new(KeptMsi::new(msi)))
        }
    }

    /// The CPUs that its vector is for; `None` before it is initialized.
    pub fn cpus(self) -> Option<CpuMask<'a>> {
        if !self.is_initialized() {
            return None;
        }
        // SAFETY: The variable is a part of the descriptor. `init_one_irq_desc()` allocates the set
        // of an IRQ that only the caller can reach, and frees it only where it fails, which leaves
        // the IRQ not initialized.
        unsafe { CpuMask::from_raw(CpuMaskVar::set(&raw mut (*self.as_ptr()).arch.cpu_mask)) }
    }

    /// Binds it to an MSI, which stays until the IRQ is destroyed or [`Self::unbind_msi`].
    pub fn bind_msi(self, msi: NewUser<'a>, handler: Handler) -> HeldMsi<'a> {
        set_field!(self, msi_desc)(msi.0.as_ptr());
        set_field!(self, handler)(handler.as_ptr());
        // SAFETY: The IRQ is the MSI's now. `new` asks for the IRQ's lock, or that nothing else can
        // reach the IRQ.
        unsafe { HeldMsi::new(msi.0) }
    }

    /// Undoes that.
    pub fn unbind_msi(self) {
        set_field!(self, handler)(&raw const sys::no_irq_type);
        set_field!(self, msi_desc)(ptr::null_mut());
    }

    /// Chooses a vector and a destination among some CPUs, or among all; `None` where there is
    /// none. The vector stays where it serves.
    pub fn choose_destination(self, among: Option<CpuMask>) -> Option<u32> {
        let among = among.map_or(ptr::null_mut(), CpuMask::as_ptr);
        // SAFETY: The descriptor's lock is held, which `set_desc_affinity()` asks for, or nothing
        // else can reach the IRQ. It takes a null pointer for all CPUs, and a set of CPUs lives as
        // long as its view.
        let destination = unsafe { sys::set_desc_affinity(self.as_ptr(), among) };
        (destination != sys::XEN_IRQ_BAD_APICID as u32).then_some(destination)
    }
}

deref!(HeldDesc, desc: IrqDesc);

/// A descriptor whose lock is held, with IRQs off.
#[must_use = "the lock is dropped where this is dropped"]
pub struct LockedDesc<'a> {
    desc: IrqDesc<'a>,
    _lock: IrqLocked<'a>,
}

impl<'a> LockedDesc<'a> {
    /// Takes over a lock that C took, with what the flags register was before.
    ///
    /// # Safety
    ///
    /// This CPU holds the descriptor's lock, with IRQs off, and nothing else drops it.
    pub unsafe fn from_c(desc: IrqDesc<'a>, flags: u64) -> Self {
        Self {
            desc,
            // SAFETY: `from_c` asks for the lock, which lives as long as the descriptor.
            _lock: unsafe { IrqLocked::adopt(&raw mut (*desc.as_ptr()).lock, flags) },
        }
    }

    /// Leaves the lock to C, with what the flags register was before.
    pub fn into_c(self) -> (*mut sys::irq_desc, u64) {
        (self.desc.as_ptr(), self._lock.into_state())
    }

    /// IRQs are off while the lock is held.
    #[inline]
    pub fn irqs(&self) -> IrqsOff<'_> {
        // SAFETY: The lock was taken so, and is held until this is dropped, which the result
        // borrows.
        unsafe { IrqsOff::new() }
    }

    /// Drops the lock, and runs something before IRQs are as they were when it was taken.
    #[inline]
    pub fn unlock_and(self, run: impl FnOnce(IrqsOff<'_>)) {
        let flags = self._lock.into_state();
        // SAFETY: The lock is held, and its guard was forgotten. IRQs stay off until they are
        // restored, which nothing of the run outlives.
        unsafe {
            sys::_spin_unlock(&raw mut (*self.desc.as_ptr()).lock);
            run(IrqsOff::new());
            irqs::restore(flags);
        }
    }

    /// The descriptor, for what asks for its lock.
    #[inline]
    pub fn held(&self) -> HeldDesc<'_> {
        // SAFETY: The lock is held until this is dropped, which the result borrows.
        unsafe { HeldDesc::new(self.desc) }
    }

    /// The MSI that the IRQ belongs to, if any. It stays for as long as the lock is held: before an
    /// MSI's descriptor is freed, this is cleared under the lock (`unmap_domain_pirq()`,
    /// `dynamic_irq_cleanup()`).
    #[inline]
    pub fn msi_desc(&self) -> Option<KeptMsi<'_>> {
        self.held().msi_desc().map(HeldMsi::kept)
    }

    /// Masks or unmasks the MSI on behalf of the guest; nothing happens where the IRQ has none.
    #[inline]
    pub fn guest_mask_msi(&self, mask: bool) {
        // C's msi.c does not ask.
        if !MSI_IN_RUST && self.msi_desc().is_none() {
            return;
        }
        // SAFETY: The descriptor is locked, and has an MSI, or Rust asks whether it has.
        unsafe { sys::guest_mask_msi_irq(self.desc.as_ptr(), mask) };
    }
}
