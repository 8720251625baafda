//! Descriptors of MSIs that are being set up, and their end.

use super::reserved::{HAS_OWN, Own, Reserved};
use crate::fixmap::Register;
use crate::list;
use crate::memory;
use crate::msi_desc::MsiDesc;
use crate::pci::PciDev;
use core::alloc::Layout;
use core::ptr::{addr_of_mut, null};
use irq_hw::pci::{MsiControl, MsiRegisters};
use xen_sys as sys;

/// Descriptors that are in no list yet; dropped, they are freed.
pub struct NewMsi<'a> {
    first: MsiDesc<'a>,
    count: u32,
}

impl<'a> NewMsi<'a> {
    /// Allocates descriptors of a function's messages, side by side; at least one.
    ///
    /// Context: IRQs on.
    pub fn allocate(device: PciDev<'a>, count: u32) -> Option<Self> {
        let descriptors = Layout::array::<sys::msi_desc>(count as usize).ok()?;
        let (layout, _) = descriptors.extend(Layout::new::<Own>()).ok()?;
        let raw = memory::zalloc(layout)?.cast::<sys::msi_desc>();
        // SAFETY: The memory is that of one descriptor at least, of zero bytes, which are one, as they are an `Own`.
        let first = unsafe { MsiDesc::from_raw(raw.as_ptr()) }?;
        for number in 0..count as usize {
            let desc = first.nth(number).as_ptr();
            // SAFETY: The memory is ours.
            unsafe {
                (*desc).dev = device.as_ptr();
                (*desc).irq = -1;
                (*desc).remap_index = -1;
                (*desc).pi_desc = null();
            }
        }
        let node = first.node();
        // SAFETY: As above.
        unsafe {
            (*node).next = node;
            (*node).prev = node;
        }
        Some(Self { first, count })
    }

    /// Makes them those of an MSI capability, masked by the host where they can be, and adds the first to the function's list.
    ///
    /// Context: `pcidevs_lock` or the owner's PCI lock is held.
    pub fn become_msi(self, registers: MsiRegisters, control: MsiControl, irq: i32) -> MsiDesc<'a> {
        let mut bits = 0;
        if control.is_64_bit() {
            bits |= sys::XEN_IRQ_MSI_IS_64;
        }
        if control.is_maskable() {
            bits |= sys::XEN_IRQ_MSI_MASKBIT | sys::XEN_IRQ_MSI_HOST_MASKED;
        }
        for number in 0..self.count {
            let desc = self.first.nth(number as usize);
            describe(
                desc,
                sys::PCI_CAP_ID_MSI,
                registers.position(),
                number as u16,
                bits,
            );
            // SAFETY: The memory is ours.
            unsafe {
                let msi = addr_of_mut!((*desc.as_ptr()).__bindgen_anon_1.msi);
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

    /// Makes it that of an entry of an MSI-X table, masked by both, with bits 31:1 of its vector control as read, and adds it to the
    /// function's list.
    ///
    /// Context: as for [`Self::become_msi`].
    pub fn become_msix(
        self,
        position: u16,
        entry: u16,
        (at, reserved): (Register, Reserved),
        irq: i32,
    ) -> MsiDesc<'a> {
        let bits = sys::XEN_IRQ_MSI_IS_64
            | sys::XEN_IRQ_MSI_MASKBIT
            | sys::XEN_IRQ_MSI_HOST_MASKED
            | sys::XEN_IRQ_MSI_GUEST_MASKED;
        describe(self.first, sys::PCI_CAP_ID_MSIX, position, entry, bits);
        // SAFETY: The memory is ours.
        unsafe { (*self.first.as_ptr()).__bindgen_anon_1.mask_base = at.address() as *mut _ };
        self.first.keep_reserved(reserved);
        self.publish(irq)
    }

    fn publish(self, irq: i32) -> MsiDesc<'a> {
        let first = self.first;
        core::mem::forget(self);
        // SAFETY: The memory is ours until the descriptor is in the list.
        unsafe { (*first.as_ptr()).irq = irq };
        if let Some(device) = first.device() {
            device.append(first);
        }
        first
    }
}

impl Drop for NewMsi<'_> {
    fn drop(&mut self) {
        // SAFETY: Nobody else has seen the memory.
        unsafe { sys::xfree(self.first.as_ptr().cast()) };
    }
}

fn describe(desc: MsiDesc, kind: u32, position: u16, entry: u16, bits: sys::xen_irq_bit_fields) {
    // SAFETY: The descriptor is not in use yet.
    unsafe {
        let attributes = addr_of_mut!((*desc.as_ptr()).msi_attrib);
        (*attributes).type_ = kind as u8;
        (*attributes).pos = position as u8;
        (*attributes).entry_nr = entry;
        addr_of_mut!((*attributes)._bitfield_1)
            .cast::<u8>()
            .write(bits as u8 | HAS_OWN);
    }
}

impl MsiDesc<'_> {
    /// Takes it out of the function's list and frees it, with those of the other messages of its block.
    ///
    /// Context: as for [`NewMsi::become_msi`]; nothing refers to it any more.
    pub fn free(self) {
        // SAFETY: The caller says so.
        unsafe {
            list::remove(self.node());
            sys::xfree(self.as_ptr().cast());
        }
    }
}
