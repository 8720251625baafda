//! What lies in memory in front of a block of descriptors: what Xen knows of its MSIs besides what
//! C's descriptors say. That is the domain that they were set up for; whether the device's
//! registers hold the message that was programmed last; and what the mask register of an MSI holds.
//!
//! What the device's registers hold is known until configuration space may have changed, as by a
//! reset or in S3. The descriptor of an IOMMU's MSI is a part of another structure: nothing is
//! known of it.

use super::config;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::IrqDesc;
use crate::objects::msi_desc::MsiDesc;
use crate::objects::pci_dev::PcidevsLocked;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use irq_core::msi::generation::Seen;
use static_assertions::{const_assert, const_assert_eq};
use xen_sys as sys;

/// What [`super::new`] allocates in front of the descriptors of a block. Zero bytes are one of
/// which nothing is known.
#[repr(C)]
pub(super) struct Head {
    /// First, because C frees a block by its address: readers in an RCU section may still have the
    /// descriptors when they are freed.
    pub(super) rcu: UnsafeCell<sys::rcu_head>,
    /// What the mask register holds, as it was read or written last; used under the register lock
    /// alone, like the next.
    pub(super) register: AtomicU32,
    /// The generation in which that register was read; 0 for none.
    pub(super) register_known: AtomicU32,
    /// The generation in which the message was written; 0 for none.
    programmed: AtomicU32,
    /// The number of the function's owner when they were set up, if it had one; set once, before
    /// any list has them.
    pub(super) owner: Option<u16>,
    /// Whether guests handled the first message's IRQ when the function began to leave.
    was_for_guests: AtomicBool,
}

// The descriptors begin where this ends.
const_assert_eq!(size_of::<Head>() % align_of::<sys::msi_desc>(), 0);
const_assert_eq!(core::mem::offset_of!(Head, rcu), 0);

/// The flag of a descriptor, among those that C does not use, which says that there is a head in
/// front of it: of the first of a block.
pub(super) const HAS_HEAD: u8 = 1 << 7;

const_assert!(
    HAS_HEAD as sys::xen_irq_bit_fields
        & (sys::XEN_IRQ_MSI_IS_64
            | sys::XEN_IRQ_MSI_MASKBIT
            | sys::XEN_IRQ_MSI_HOST_MASKED
            | sys::XEN_IRQ_MSI_GUEST_MASKED)
        == 0
);

/// Where the head of a block is.
///
/// # Safety
///
/// This is the first descriptor of a block that [`super::new`] has allocated.
#[inline]
pub(super) const unsafe fn head_of(first: *mut sys::msi_desc) -> *mut Head {
    // SAFETY: `NewMsi::allocate` has made space for it in front of the descriptors.
    unsafe { first.cast::<Head>().sub(1) }
}

impl<'a> MsiDesc<'a> {
    /// Returns whether the device's registers are known to hold the message that was programmed
    /// last. Of a block of messages, the first alone is in registers.
    ///
    /// Context: the lock of its IRQ's descriptor is held.
    #[inline]
    pub fn is_programmed(self) -> bool {
        self.head()
            .is_some_and(|head| config::still_holds(head.programmed.load(Ordering::Relaxed)))
    }

    /// Notes that the registers hold the message, written in a generation that had begun before; or
    /// with `None` that this is not known.
    ///
    /// Context: as for [`Self::is_programmed`].
    #[inline]
    pub fn note_programmed(self, generation: Option<Seen>) {
        if let Some(head) = self.head() {
            let number = generation.map_or(0, Seen::number);
            head.programmed.store(number, Ordering::Relaxed);
        }
    }

    /// Notes whether guests handle its IRQ, before a function that leaves has it unbound.
    ///
    /// This is the first of its block.
    pub(super) fn note_guests(self, _: PcidevsLocked) {
        if let Some(head) = self.head() {
            let guests = self.irq_desc().is_some_and(IrqDesc::is_for_guests);
            head.was_for_guests.store(guests, Ordering::Relaxed);
        }
    }

    /// Returns whether guests handled its IRQ when its function began to leave.
    pub fn was_for_guests(self) -> bool {
        self.head()
            .is_some_and(|head| head.was_for_guests.load(Ordering::Relaxed))
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
        unsafe { Domain::from_raw(sys::knownalive_domain_from_domid(self.head()?.owner?)) }
    }

    /// What lies in front of its block; `None` where this is not the first of one that
    /// [`super::new`] has allocated.
    #[inline]
    pub(super) fn head(self) -> Option<&'a Head> {
        if self.flags().bits() & HAS_HEAD == 0 {
            return None;
        }
        // SAFETY: `NewMsi::publish` sets the flag of a first descriptor alone, in front of which
        // `NewMsi::allocate` made space for the head. It is freed with the descriptors, which live
        // as long as the view.
        Some(unsafe { &*head_of(self.as_ptr()) })
    }
}
