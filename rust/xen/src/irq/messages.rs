//! A function's messages that are mapped to pirqs. `msi.c` sets them up and frees them, in C or in
//! Rust.
//!
//! From `pci_enable_msi()` on, a block of messages has one owner: a mapping that is being made
//! ([`NewMessages`]), then the IRQ of its first message, from which [`take`] takes it to be freed.

use crate::base::errno::Errno;
use crate::base::view::{field, set_field};
use crate::irq::create::CreatedIrq;
use crate::irq::pirqs::Pirqs;
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use crate::objects::msi_desc::{KeptMsi, MsiDesc, Sender};
use crate::objects::msi_info::Request;
use crate::objects::pci_dev::{DeviceList, KeptDev};
use irq_core::irq::pirqs::{Link, PirqNumber};
use xen_sys as sys;

/// Why messages are not enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The function has this many, and more were asked for.
    TooMany(u32),
    /// Another reason.
    Error(Errno),
}

/// A block of messages that is being mapped; its IRQs have it when that is done.
#[must_use = "they have to be mapped or freed"]
pub struct NewMessages<'l> {
    device: KeptDev<'l>,
    first: MsiDesc<'l>,
}

impl<'l> NewMessages<'l> {
    /// Enables the messages of a function, one or a block, as the request says.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// Those of `pci_enable_msi()`.
    pub fn enable(device: KeptDev<'l>, request: Request<'_>) -> Result<Self, Refused> {
        let mut first = core::ptr::null_mut();
        // SAFETY: `device` stands for a lock that keeps the function and its list, and the request
        // is alive as a view's.
        let result =
            unsafe { sys::pci_enable_msi(device.as_ptr(), request.as_ptr(), &raw mut first) };
        match result {
            0 => {}
            1.. => return Err(Refused::TooMany(result.cast_unsigned())),
            _ => return Err(Refused::Error(Errno::of(result))),
        }
        // SAFETY: Where it succeeds, the function has returned the first of the descriptors, which
        // stay until `free_but_first`, or until `take` has taken them.
        let first = unsafe { MsiDesc::from_raw(first) };
        let first = first.ok_or(Refused::Error(Errno::NODEV))?;
        Ok(Self { device, first })
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.first.messages()
    }

    fn nth(&self, number: u32) -> Option<MsiDesc<'l>> {
        // SAFETY: The number is below that of the messages.
        (number < self.count()).then(|| unsafe { self.first.nth(number as usize) })
    }

    /// The IRQ of a message; `None` before it has one.
    pub fn irq(&self, number: u32) -> Option<IrqDesc<'static>> {
        self.nth(number)?.irq_desc()
    }

    /// Has a message use an IRQ that was created for it, which is destroyed with the message.
    pub fn use_irq(&self, number: u32, irq: CreatedIrq) {
        let message = self.nth(number);
        xen_assert!(message.is_some());
        if let Some(message) = message {
            set_field!(message, irq)(irq.into_number());
        }
    }

    /// Has a message use an IRQ, and programs it (`setup_msi_irq()`).
    ///
    /// # Errors
    ///
    /// Those of `setup_msi_irq()`; then the IRQ is as it was.
    pub fn set_up(&self, number: u32, desc: HeldDesc<'_>) -> Result<(), Errno> {
        let message = self.nth(number).ok_or(Errno::INVAL)?;
        // SAFETY: The descriptor is locked, and the message stays until its IRQ has been destroyed,
        // or has been taken from it (`free_but_first`, `take`).
        Errno::check(unsafe { sys::setup_msi_irq(desc.as_ptr(), message.as_ptr()) })
    }

    /// Has the function send none of them any more.
    pub fn disable(&self) {
        // SAFETY: `device` stands for a lock that keeps the function, and the descriptors stay.
        unsafe { sys::pci_disable_msi(self.first.as_ptr()) };
    }

    /// Frees them, when nothing uses the IRQs but the first, which is its creator's: the others are
    /// destroyed. The function was told to send none ([`Self::disable`]).
    ///
    /// Context: IRQs on.
    pub fn free_but_first(self) {
        let irq = self.irq(0);
        xen_assert!(irq.is_some());
        if let Some(irq) = irq {
            let locked = irq.lock();
            let held = locked.held();
            if held
                .msi_desc()
                .is_some_and(|msi| msi.as_ptr() == self.first.as_ptr())
            {
                held.unbind_msi();
            }
        }
        set_field!(self.first, irq)(-1);
        // SAFETY: `pci_enable_msi()` returned the first descriptor, which this alone has: no IRQ
        // leads to it any more, and those of the others are destroyed. `device` stands for the lock
        // under which the function's list changes.
        unsafe { sys::msi_free_irq(self.first.as_ptr()) };
    }

    /// The function.
    pub fn device(&self) -> KeptDev<'l> {
        self.device
    }
}

/// The MSI of the IRQ that a pirq stands for, if a message of a function is mapped to it.
///
/// It stays for as long as both locks are held: who frees it unmaps the pirq before, with the event
/// lock held, or removes the function with `pcidevs_lock` and the owner's `pci_lock` held for
/// writing. The toolstack has to unmap the pirqs of a function before it gives that to another
/// domain, as for upstream: nothing here keeps the locks of two domains apart.
pub fn of<'l>(pirqs: Pirqs<'l>, number: PirqNumber, list: DeviceList<'l>) -> Option<KeptMsi<'l>> {
    let Link::To(irq) = pirqs.link(number) else {
        return None;
    };
    xen_assert!(list.domain() == pirqs.domain());
    let desc = IrqDesc::numbered(irq)?;
    // SAFETY: The event lock and `pcidevs_lock` or the domain's `pci_lock` are held, without which
    // nothing frees the MSI of a function that the domain has. A pirq of a function that it has no
    // more may lead to another domain's MSI, whose locks are others; `of` relies on the toolstack
    // there, as upstream does.
    unsafe { MsiDesc::from_raw(field!(desc, msi_desc)).map(|msi| KeptMsi::new(msi)) }
}

/// Has the function that sends an MSI send it, and those of its block, no more.
pub fn disable(msi: KeptMsi<'_>) {
    // SAFETY: What `msi` stands for keeps the function and the descriptors.
    unsafe { sys::pci_disable_msi(msi.as_ptr()) };
}

/// Takes a message that is not the first of its block from the IRQ that has it, before
/// [`TakenMessages::free`] frees the block.
pub fn take_further(desc: HeldDesc<'_>, first: KeptMsi<'_>, number: u32) {
    let message = first.block().nth(number as usize);
    let own = desc.msi_desc().map(|own| own.kept());
    let has_it = own.is_some() && own == message;
    xen_assert!(has_it);
    if has_it {
        desc.unbind_msi();
    }
}

/// Messages that their IRQs do not have any more.
#[must_use = "they have to be freed"]
pub struct TakenMessages<'l>(KeptMsi<'l>);

/// Takes a message, or with the first of a block all of them, from the IRQ that has it. `None`
/// where the IRQ has another, or the message is not the first.
pub fn take<'l>(desc: HeldDesc<'_>, msi: KeptMsi<'l>) -> Option<TakenMessages<'l>> {
    let has_it = desc
        .msi_desc()
        .is_some_and(|own| own.as_ptr() == msi.as_ptr());
    let is_first = msi.sender() != Sender::Msi || msi.entry() == 0;
    xen_assert!(has_it && is_first);
    if !has_it || !is_first {
        return None;
    }
    desc.unbind_msi();
    Some(TakenMessages(msi))
}

impl TakenMessages<'_> {
    /// Destroys their IRQs and frees them.
    ///
    /// Context: IRQs on.
    pub fn free(self) {
        // SAFETY: `pci_enable_msi()` returned the first descriptor, and the one IRQ that led to it
        // leads there no more, so that it is freed once. Those of the others are destroyed. The
        // function was found with a lock held under which its list changes.
        unsafe { sys::msi_free_irq(self.0.as_ptr()) };
    }
}
