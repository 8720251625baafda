//! Descriptors of MSIs that are being set up, and their end.

use super::head::{HAS_HEAD, Head, head_of};
use super::pages::Mapped;
use crate::arch::fixmap::index_of;
use crate::base::list;
use crate::base::memory;
use crate::base::view::field;
use crate::objects::domain::Domain;
use crate::objects::msi_desc::{KeptMsi, MsiDesc};
use crate::objects::pci_dev::{KeptDev, PciDev, PcidevsLocked};
use crate::sync::rcu;
use crate::sync::rwlock::EventLock;
use core::alloc::Layout;
use core::num::NonZero;
use core::ptr::{NonNull, null};
use irq_hw::pci::{MsiControl, MsiRegisters};
use xen_sys as sys;

/// Descriptors that are in no list yet; dropped, they are freed.
pub struct NewMsi<'a> {
    device: KeptDev<'a>,
    first: NonNull<sys::msi_desc>,
    count: u32,
}

impl<'a> NewMsi<'a> {
    /// Allocates descriptors of a function's messages, side by side.
    ///
    /// Context: IRQs on.
    #[doc(alias = "alloc_msi_entry")]
    pub fn allocate(device: KeptDev<'a>, count: NonZero<u32>) -> Option<Self> {
        let count = count.get();
        let descs = Layout::array::<sys::msi_desc>(count as usize).ok()?;
        let (layout, offset) = Layout::new::<Head>().extend(descs).ok()?;
        let block = memory::zalloc(layout)?;
        // SAFETY: The descriptors' place in the memory that was just allocated, behind the head;
        // zero bytes are one.
        let first = unsafe { block.byte_add(offset) }.cast::<sys::msi_desc>();
        let new = Self {
            device,
            first,
            count,
        };
        // SAFETY: The head lies in front of the descriptors, in memory that is `new`'s.
        unsafe { (*head_of(first.as_ptr())).owner = device.owner().map(Domain::id) };
        for desc in new.all() {
            // SAFETY: The memory is `new`'s, and nothing else has its address.
            unsafe {
                (*desc).dev = device.as_ptr();
                (*desc).irq = -1;
                (*desc).remap_index = -1;
                (*desc).pi_desc = null();
            }
        }
        // SAFETY: As for the fields above.
        unsafe {
            let node = &raw mut (*first.as_ptr()).list;
            (*node).next = node;
            (*node).prev = node;
        }
        Some(new)
    }

    /// The descriptors.
    fn all(&self) -> impl Iterator<Item = *mut sys::msi_desc> + use<> {
        let first = self.first.as_ptr();
        (0..self.count as usize).map(move |number| first.wrapping_add(number))
    }

    /// Makes them those of an MSI capability, masked by the host where they can be, and adds the
    /// first to the function's list.
    pub fn become_msi(self, registers: MsiRegisters, control: MsiControl, irq: i32) -> MsiDesc<'a> {
        let mut bits = 0;
        if control.is_64_bit() {
            bits |= sys::XEN_IRQ_MSI_IS_64;
        }
        if control.is_maskable() {
            bits |= sys::XEN_IRQ_MSI_MASKBIT | sys::XEN_IRQ_MSI_HOST_MASKED;
        }
        for (number, desc) in self.all().enumerate() {
            // SAFETY: `all` gives the descriptors of a block that is in no list yet.
            unsafe {
                let position = registers.position();
                describe(desc, sys::PCI_CAP_ID_MSI, position, number as u16, bits);
                let msi = &raw mut (*desc).__bindgen_anon_1.msi;
                (*msi).nvec = if number == 0 { self.count } else { 0 };
                (*msi).mpos = if control.is_maskable() {
                    registers.mask().into()
                } else {
                    0
                };
            }
        }
        self.publish(irq)
    }

    /// Makes it that of an entry of an MSI-X table, masked by both, and adds it to the function's
    /// list. `None` where the entry lies in two pages, or the page is another function's.
    pub fn become_msix(
        self,
        position: u16,
        entry: u16,
        page: Mapped,
        irq: i32,
    ) -> Option<MsiDesc<'a>> {
        if !page.is_of(*self.device) {
            return None;
        }
        let at = page.entry()?.address();
        page.keep();
        let bits = sys::XEN_IRQ_MSI_IS_64
            | sys::XEN_IRQ_MSI_MASKBIT
            | sys::XEN_IRQ_MSI_HOST_MASKED
            | sys::XEN_IRQ_MSI_GUEST_MASKED;
        let first = self.first.as_ptr();
        // SAFETY: The block is in no list yet.
        unsafe {
            describe(first, sys::PCI_CAP_ID_MSIX, position, entry, bits);
            (*first).__bindgen_anon_1.mask_base = at as *mut _;
        }
        Some(self.publish(irq))
    }

    fn publish(self, irq: i32) -> MsiDesc<'a> {
        let (device, first) = (self.device, self.first.as_ptr());
        core::mem::forget(self);
        // SAFETY: The block is in no list until `append`, for which `device` stands for the lock
        // under which the list changes; from then on only `free` ends it.
        unsafe {
            let flags = (&raw mut (*first).msi_attrib._bitfield_1).cast::<u8>();
            flags.write(flags.read() | HAS_HEAD);
            (*first).irq = irq;
            list::append(&raw mut (*device.as_ptr()).msi_list, &raw mut (*first).list);
            MsiDesc::from_raw(first).unwrap_unchecked()
        }
    }
}

impl Drop for NewMsi<'_> {
    fn drop(&mut self) {
        // SAFETY: `allocate` allocated the block, and no list has led to it.
        unsafe { sys::xfree(head_of(self.first.as_ptr()).cast()) };
    }
}

/// Says what a descriptor is of.
///
/// # Safety
///
/// The descriptor is one of a block that is in no list yet.
unsafe fn describe(
    desc: *mut sys::msi_desc,
    kind: u32,
    position: u16,
    entry: u16,
    bits: sys::xen_irq_bit_fields,
) {
    // SAFETY: Nothing else has the descriptor's address, as this function asks.
    unsafe {
        let attributes = &raw mut (*desc).msi_attrib;
        (*attributes).type_ = kind as u8;
        (*attributes).pos = position as u8;
        (*attributes).entry_nr = entry;
        (&raw mut (*attributes)._bitfield_1)
            .cast::<u8>()
            .write(bits as u8);
    }
}

/// A block of descriptors that only who frees it refers to, but for readers in RCU sections.
pub struct MsiBlock<'a>(MsiDesc<'a>);

impl<'a> MsiBlock<'a> {
    /// Takes the first descriptor of one.
    ///
    /// # Safety
    ///
    /// `pci_enable_msi()` returned it, and this is the only time that it is freed: nothing but the
    /// function's list and its IRQs leads to it. `pcidevs_lock` or the `pci_lock` of the function's
    /// owner is held for as long as the result lives.
    pub unsafe fn new(first: MsiDesc<'a>) -> Self {
        Self(first)
    }

    /// The first descriptor, for as long as the block is not freed.
    pub fn first(&self) -> KeptMsi<'_> {
        // SAFETY: `new` asks for the lock that keeps the function's list.
        unsafe { KeptMsi::new(self.0) }
    }

    /// Destroys the IRQs of its messages, from the last on, and frees their entries of the
    /// remapping table. Takes it out of its function's list, drops the mapping of its entry, and
    /// has it freed after a grace period: readers in an RCU section may still look at it.
    ///
    /// Context: as for `msi::disable::disable()`, which was called before.
    #[doc(alias = "msi_free_irq")]
    pub fn free(self) {
        for desc in self.first().block().rev() {
            if let Some(irq) = desc.irq_desc() {
                // SAFETY: The IRQ was created for this message. `new` asks for what nothing else
                // refers to, which is freed once.
                unsafe { irq.destroy() };
            }
            desc.release_remapping();
        }
        let first = self.0.as_ptr();
        if self.0.is_msix()
            && let Some(msix) = self.first().device().and_then(PciDev::msix)
        {
            let entry = field!(self.0, __bindgen_anon_1.mask_base) as usize;
            // SAFETY: `become_msix` kept the page for this descriptor, of which there is no other
            // user than `self`.
            unsafe { msix.unmap(index_of(entry)) };
        }
        // SAFETY: `publish` added the node, and the lock that `new` asks for keeps the list. No new
        // reader finds the block.
        unsafe {
            list::remove(&raw mut (*first).list);
            sys::shim_call_rcu_xfree((*head_of(first)).rcu.get());
        }
    }
}

/// A function of which no interrupt is to stay.
pub struct Leaving<'a> {
    device: PciDev<'a>,
    lock: PcidevsLocked<'a>,
}

impl<'a> Leaving<'a> {
    /// Takes the function.
    ///
    /// # Safety
    ///
    /// Nothing else refers to descriptors of the function's MSIs than its list, their IRQs and
    /// readers in RCU sections.
    pub unsafe fn new(device: PciDev<'a>, lock: PcidevsLocked<'a>) -> Self {
        Self { device, lock }
    }

    /// The function.
    pub fn device(&self) -> PciDev<'a> {
        self.device
    }

    /// Unbinds and unmaps the pirqs of the interrupts, and with that frees these: as a guest or its
    /// device model would, which may not be asked any more. An IRQ that is destroyed instead leaves
    /// the timer of irq.c's binding in its list; one that is unmapped while it is bound, its number
    /// with the domain. That is the domain that each was set up for: it may have lost the function.
    ///
    /// Returns a block that is still there, to be freed before the next is asked for: Xen's own, or
    /// one that XSM does not let go.
    ///
    /// Context: IRQs on; no domain's event lock is held.
    pub fn unmap_or_take(&mut self) -> Option<MsiBlock<'_>> {
        let next = || KeptDev::of(self.device, self.lock).msi_descs().next();
        loop {
            let first = next()?;
            let rcu = rcu::read();
            // SAFETY: `pcidevs_lock` is held, and bindings are used in the section alone.
            if let Some(domain) = unsafe { first.set_up_for() } {
                let pirqs = Pirqs(domain);
                first.note_guests(self.lock);
                first.block().for_each(|msi| pirqs.unbind(*msi));
                drop(rcu);
                pirqs.unmap(*first);
            }
            if next().is_some_and(|next| next.as_ptr() == first.as_ptr()) {
                // SAFETY: `new` asks for the lock, and for what nothing else refers to; a block
                // that is freed is not in the list any more.
                return Some(unsafe { MsiBlock::new(*first) });
            }
        }
    }
}

/// The pirqs of a domain that [`MsiDesc::set_up_for`] returned.
struct Pirqs<'a>(Domain<'a>);

impl Pirqs<'_> {
    /// Undoes the binding of an MSI to a virtual one, if it is bound.
    fn unbind(&self, msi: MsiDesc) {
        let pirq = self.of(msi, &EventLock::write(self.0));
        if let Some(pirq) = pirq {
            // SAFETY: The domain is alive as a view's, and its event lock is not held.
            unsafe { sys::shim_unbind_msi(self.0.as_ptr(), pirq) };
        }
    }

    /// Unmaps the pirqs of a block, which frees it. Their numbers stay reserved, as those are that
    /// `PHYSDEVOP_get_free_pirq` returned: the domain, or its device model, may still unbind and
    /// unmap them, which must not reach another interrupt. Where there is no memory to note a
    /// number, it is free.
    fn unmap(&self, first: MsiDesc) {
        let lock = EventLock::write(self.0);
        let Some(pirq) = self.of(first, &lock) else {
            return;
        };
        let count = first.messages();
        // SAFETY: The domain is alive as a view's, and its event lock is held, as is
        // `pcidevs_lock`. What is freed is not followed again.
        unsafe { sys::unmap_domain_pirq(self.0.as_ptr(), pirq as i32) };
        for number in pirq..pirq.saturating_add(count) {
            // SAFETY: The domain is alive as a view's, and its event lock is held. A pirq that is
            // still mapped stays as it is.
            unsafe { sys::shim_reserve_pirq(self.0.as_ptr(), number) };
        }
    }

    /// The pirq of an MSI's IRQ.
    fn of(&self, msi: MsiDesc, _: &EventLock) -> Option<u32> {
        // SAFETY: The domain is alive as a view's, and its event lock is held; any number may be
        // asked for.
        let pirq = unsafe { sys::shim_domain_irq_to_pirq(self.0.as_ptr(), msi.irq()) };
        u32::try_from(pirq).ok().filter(|pirq| *pirq != 0)
    }
}
