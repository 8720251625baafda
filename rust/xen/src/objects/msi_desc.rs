//! Descriptors of MSIs (`asm/msi.h`).

use crate::base::view::{Word, field, fixed, view};
use crate::objects::domain::Domain;
use crate::objects::irq::IrqDesc;
use crate::objects::pci::PciDev;
use core::ops::Deref;
use irq_core::msi::mask::Masks;
use xen_sys as sys;

view! {
    /// One MSI, or one entry of an MSI-X table, that is set up.
    MsiDesc, sys::msi_desc
}

impl<'a> MsiDesc<'a> {
    /// The function that sends it.
    #[inline]
    pub fn device(self) -> Option<PciDev<'a>> {
        // SAFETY: The function outlives its interrupts; the HPET's have none.
        unsafe { PciDev::from_raw(fixed!(self, dev)) }
    }

    /// Returns whether the function sends it whose structure is at an address.
    #[inline]
    pub(crate) fn is_at(self, structure: u64) -> bool {
        fixed!(self, dev) as u64 == structure
    }

    /// Returns whether a domain owns the function that sends it.
    #[inline]
    pub fn is_owned_by(self, domain: Domain) -> bool {
        self.device()
            .is_some_and(|device| device.is_owned_by(domain))
    }

    /// Returns whether it is an entry of an MSI-X table.
    #[inline]
    pub fn is_msix(self) -> bool {
        self.is_of_kind(Sender::Msix)
    }

    /// The number of its entry in the table.
    #[inline]
    pub fn entry(self) -> u16 {
        fixed!(self, msi_attrib.entry_nr)
    }

    /// What sends it.
    #[inline]
    pub fn sender(self) -> Sender {
        match u32::from(fixed!(self, msi_attrib.type_)) {
            sys::PCI_CAP_ID_MSI => Sender::Msi,
            sys::PCI_CAP_ID_MSIX => Sender::Msix,
            0 => match u32::from(fixed!(self, msi_attrib.pos)) {
                sys::MSI_TYPE_HPET => Sender::Hpet,
                sys::MSI_TYPE_IOMMU => Sender::Iommu,
                _ => Sender::Unknown,
            },
            _ => Sender::Unknown,
        }
    }

    /// Returns whether a capability of a kind, MSI or MSI-X, sends it.
    #[inline]
    pub fn is_of_kind(self, kind: Sender) -> bool {
        let capability = match kind {
            Sender::Msi => sys::PCI_CAP_ID_MSI,
            Sender::Msix => sys::PCI_CAP_ID_MSIX,
            Sender::Hpet | Sender::Iommu | Sender::Unknown => return false,
        };
        u32::from(fixed!(self, msi_attrib.type_)) == capability
    }

    /// Where its capability is in the function's configuration space.
    #[inline]
    pub fn position(self) -> u16 {
        fixed!(self, msi_attrib.pos).into()
    }

    /// Returns whether its address has 64 bits.
    #[inline]
    pub fn is_64_bit(self) -> bool {
        self.bits() & sys::XEN_IRQ_MSI_IS_64 as u8 != 0
    }

    /// Returns whether the device has a mask bit for it.
    #[inline]
    pub fn has_mask_bit(self) -> bool {
        self.bits() & sys::XEN_IRQ_MSI_MASKBIT as u8 != 0
    }

    /// Returns whether the guest has it masked.
    #[inline]
    pub fn guest_masked(self) -> bool {
        self.masks().guest
    }

    /// Who wants it masked.
    #[inline]
    pub fn masks(self) -> Masks {
        let bits = self.bits();
        Masks {
            host: bits & sys::XEN_IRQ_MSI_HOST_MASKED as u8 != 0,
            guest: bits & sys::XEN_IRQ_MSI_GUEST_MASKED as u8 != 0,
        }
    }

    /// The byte of bit-fields, which layout.c checks.
    #[inline]
    pub(crate) fn bits(self) -> u8 {
        // SAFETY: The byte is a part of the descriptor, which is alive as a view's.
        unsafe { u8::load((&raw const (*self.as_ptr()).msi_attrib._bitfield_1).cast()) }
    }

    /// The number of its IRQ; negative before it has one.
    #[inline]
    pub fn irq(self) -> i32 {
        field!(self, irq)
    }

    /// The descriptor of its IRQ; `None` before it has one.
    #[inline]
    pub fn irq_desc(self) -> Option<IrqDesc<'static>> {
        IrqDesc::numbered(u32::try_from(field!(self, irq)).ok()?)
    }

    /// One of the descriptors of an MSI's messages, which lie side by side.
    ///
    /// # Safety
    ///
    /// This is the first of them, or the number is 0; and there are more messages than the number.
    #[inline]
    pub(crate) unsafe fn nth(self, number: usize) -> Self {
        // SAFETY: `nth` asks for the number of a message of the block.
        unsafe { Self::from_raw(self.as_ptr().add(number)).unwrap_unchecked() }
    }
}

/// An MSI that a lock keeps set up for as long as the value may live: that of its IRQ's descriptor,
/// or the one that keeps its function's list. If it is an entry of a table, that stays mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeptMsi<'a>(MsiDesc<'a>);

impl<'a> KeptMsi<'a> {
    /// Stands for that lock.
    ///
    /// # Safety
    ///
    /// The lock of the descriptor of the MSI's IRQ is held, `pcidevs_lock`, or the `pci_lock` of
    /// the owner of its function, and for longer than the result lives; or the MSI is an IOMMU's,
    /// which is never freed, and nothing else can reach its IRQ for so long.
    #[inline]
    pub const unsafe fn new(desc: MsiDesc<'a>) -> Self {
        Self(desc)
    }

    /// Its descriptor.
    #[inline]
    pub fn desc(self) -> MsiDesc<'a> {
        self.0
    }
}

impl<'a> Deref for KeptMsi<'a> {
    type Target = MsiDesc<'a>;

    #[inline]
    fn deref(&self) -> &MsiDesc<'a> {
        &self.0
    }
}

/// What sends an MSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A function with an MSI capability.
    Msi,
    /// A function with an MSI-X table.
    Msix,
    /// An HPET.
    Hpet,
    /// An IOMMU.
    Iommu,
    /// Something else.
    Unknown,
}
