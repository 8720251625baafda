//! What Xen knows of an MSI besides what C's descriptors say: the domain that it was set up for;
//! whether the device's registers hold the message that was programmed last; and the bits of an
//! MSI's mask register beyond its messages, which are the device's.
//!
//! The bits are written as they were read last. They and the message hold until configuration
//! space may have changed, as by a reset or in S3. All lies behind the descriptors that
//! [`super::new`] allocates.
//! The descriptor of an IOMMU's MSI is a part of another structure: nothing is known of it.

use super::config;
use super::register_lock::RegisterLock;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::IrqDesc;
use crate::objects::msi_desc::MsiDesc;
use crate::objects::pci_dev::PcidevsLocked;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use irq_core::msi::generation::Seen;
use static_assertions::const_assert;
use xen_sys as sys;

/// What lies behind the descriptors of a block.
#[repr(C)]
pub(super) struct Own {
    reserved: AtomicU32,
    /// The generation in which they were read; 0 for none.
    known: AtomicU32,
    /// The generation in which the message was written; 0 for none.
    programmed: AtomicU32,
    /// The number of the function's owner when they were set up, if it had one; set once, before
    /// any list has them.
    owner: Option<u16>,
    /// Whether guests handled the first message's IRQ when the function began to leave.
    was_for_guests: AtomicBool,
}

impl Own {
    /// What is behind descriptors that were just allocated.
    pub(super) fn new(owner: Option<Domain>) -> Self {
        Self {
            reserved: AtomicU32::new(0),
            known: AtomicU32::new(0),
            programmed: AtomicU32::new(0),
            owner: owner.map(Domain::id),
            was_for_guests: AtomicBool::new(false),
        }
    }
}

/// The bit of a descriptor, among those that C does not use, which says that there is such a thing.
pub(super) const HAS_OWN: u8 = 1 << 7;

const_assert!(
    HAS_OWN as sys::xen_irq_bit_fields
        & (sys::XEN_IRQ_MSI_IS_64
            | sys::XEN_IRQ_MSI_MASKBIT
            | sys::XEN_IRQ_MSI_HOST_MASKED
            | sys::XEN_IRQ_MSI_GUEST_MASKED)
        == 0
);
const_assert!(align_of::<Own>() <= align_of::<sys::msi_desc>());

/// The device's bits, as they are read. By default none are set, which has to be looked at again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reserved {
    bits: u32,
    generation: Option<Seen>,
}

impl Reserved {
    /// Reads them by `read`.
    #[inline]
    pub fn read(read: impl FnOnce() -> u32) -> Self {
        // First, because what is read may change from here on.
        let generation = config::generation();
        let bits = read();
        Self { bits, generation }
    }

    /// The bits.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.bits
    }
}

impl MsiDesc<'_> {
    /// The device's bits, if nothing has changed since they were read.
    ///
    /// This is the first of its block.
    #[inline]
    pub fn reserved(self, _: &RegisterLock) -> Option<u32> {
        let own = self.own()?;
        let holds = config::still_holds(own.known.load(Ordering::Relaxed));
        holds.then(|| own.reserved.load(Ordering::Relaxed))
    }

    /// Keeps the device's bits. This is the first of its block.
    pub fn keep_reserved(self, reserved: Reserved, _: &RegisterLock) {
        let Some(own) = self.own() else { return };
        own.reserved.store(reserved.bits, Ordering::Relaxed);
        let known = reserved.generation.map_or(0, Seen::number);
        own.known.store(known, Ordering::Relaxed);
    }

    /// Returns whether the device's registers are known to hold the message that was programmed
    /// last. Of a block of messages, the first alone is in registers.
    ///
    /// Context: the lock of its IRQ's descriptor is held.
    #[inline]
    pub fn is_programmed(self) -> bool {
        self.own()
            .is_some_and(|own| config::still_holds(own.programmed.load(Ordering::Relaxed)))
    }

    /// Notes that the registers hold the message, written in a generation that had begun before; or
    /// with `None` that this is not known.
    ///
    /// Context: as for [`Self::is_programmed`].
    #[inline]
    pub fn note_programmed(self, generation: Option<Seen>) {
        if let Some(own) = self.own() {
            let number = generation.map_or(0, Seen::number);
            own.programmed.store(number, Ordering::Relaxed);
        }
    }

    /// Notes whether guests handle its IRQ, before a function that leaves has it unbound.
    ///
    /// This is the first of its block.
    pub(super) fn note_guests(self, _: PcidevsLocked) {
        if let Some(own) = self.own() {
            let guests = self.irq_desc().is_some_and(IrqDesc::is_for_guests);
            own.was_for_guests.store(guests, Ordering::Relaxed);
        }
    }

    /// Returns whether guests handled its IRQ when its function began to leave.
    pub fn was_for_guests(self) -> bool {
        self.own()
            .is_some_and(|own| own.was_for_guests.load(Ordering::Relaxed))
    }

    /// The domain that the block was set up for, which maps the pirqs, if there is one with its
    /// number. It may have lost the function. A new domain with the same number has not mapped the
    /// block's IRQs.
    ///
    /// # Safety
    ///
    /// `pcidevs_lock` is held for as long as the result is used: `complete_domain_destroy()` takes
    /// it in `free_domain_pirqs()`, before pirqs and the domain are freed. What it frees before
    /// that, as the bindings of an HVM domain, is used only in an RCU section that began before
    /// this call.
    pub(super) unsafe fn set_up_for(&self) -> Option<Domain<'_>> {
        // SAFETY: Any number may be asked for, and a domain that is found stays as said above.
        unsafe { Domain::from_raw(sys::knownalive_domain_from_domid(self.own()?.owner?)) }
    }

    /// What lies behind the block's descriptors, if `NewMsi` allocated them and this is the first.
    #[inline]
    fn own(&self) -> Option<&Own> {
        let messages = self.messages() as usize;
        if self.bits() & HAS_OWN == 0 || messages == 0 {
            return None;
        }
        let behind = self.as_ptr().wrapping_add(messages);
        // SAFETY: The bit says that `NewMsi::allocate` made space for it, of zero bytes, behind as
        // many descriptors as the first has messages. It is freed with them.
        Some(unsafe { &*behind.cast::<Own>() })
    }
}
