//! Descriptors of MSIs (`asm/msi.h`).

use crate::arch::fixmap::Register;
use crate::base::view::{Word, deref, field, fixed, set_field};
use crate::objects::msi_msg::Message;
use crate::objects::views::IrqDesc;
pub use crate::objects::views::MsiDesc;
use crate::objects::views::PciDev;
use irq_core::msi::mask::Masks;
use xen_sys as sys;

impl MsiDesc<'_> {
    /// Returns whether the function sends it whose structure is at an address.
    #[inline]
    pub fn is_at(self, structure: u64) -> bool {
        fixed!(self, dev) as u64 == structure
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
        self.flags().0 & sys::XEN_IRQ_MSI_IS_64 as u8 != 0
    }

    /// Returns whether the device has a mask bit for it.
    #[inline]
    pub fn has_mask_bit(self) -> bool {
        self.flags().has_mask_bit()
    }

    /// Who wants it masked.
    #[inline]
    pub fn masks(self) -> Masks {
        self.flags().masks()
    }

    /// Its flags.
    #[inline]
    pub fn flags(self) -> Flags {
        // SAFETY: The byte is a part of the descriptor, which is alive as a view's.
        Flags(unsafe { u8::load((&raw const (*self.as_ptr()).msi_attrib._bitfield_1).cast()) })
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
    pub unsafe fn nth(self, number: usize) -> Self {
        // SAFETY: `nth` asks for the number of a message of the block.
        unsafe { Self::from_raw(self.as_ptr().add(number)).unwrap_unchecked() }
    }

    /// Where its mask register is in the function's configuration space; for an MSI with mask bits.
    #[inline]
    pub fn mask_register(self) -> u16 {
        fixed!(self, __bindgen_anon_1.msi.mpos) as u16
    }

    /// The descriptors of an MSI's messages, from the first on, which this is one of; of any other
    /// this alone.
    #[inline]
    pub fn block(self) -> impl DoubleEndedIterator<Item = Self> {
        let first = self.first_of_block();
        // SAFETY: The numbers are below that of the messages, which the first alone has.
        (0..first.messages() as usize).map(move |number| unsafe { first.nth(number) })
    }

    /// The first of the descriptors of an MSI's messages, of which this is one.
    #[inline]
    pub fn first_of_block(self) -> Self {
        if !self.is_of_kind(Sender::Msi) {
            return self;
        }
        let first = self.as_ptr().wrapping_sub(self.entry().into());
        // SAFETY: `become_msi` makes the descriptors of a block side by side, and their entries are
        // their numbers.
        unsafe { Self::from_raw(first).unwrap_unchecked() }
    }

    /// How many messages are set up with it: those of an MSI, at the first of them; none at the
    /// others; else one.
    #[inline]
    pub fn messages(self) -> u32 {
        if self.is_of_kind(Sender::Msi) {
            fixed!(self, __bindgen_anon_1.msi.nvec)
        } else {
            1
        }
    }

    /// Its number among the messages of an MSI; 0 for all others.
    #[inline]
    pub fn number_in_block(self) -> usize {
        // Only the first knows how many there are, and it has the number 0.
        if self.messages() == 0 {
            fixed!(self, msi_attrib.entry_nr).into()
        } else {
            0
        }
    }

    /// The number of the HPET that sends it; no function does.
    pub fn hpet(self) -> u32 {
        fixed!(self, __bindgen_anon_1.hpet_id)
    }

    /// The entry of the remapping table that it uses; `None` where it has none, or what stands
    /// there cannot be one.
    #[inline]
    pub fn entry_in_use(self) -> Option<usize> {
        usize::try_from(field!(self, remap_index)).ok()
    }

    /// Notes the entry that it uses, and the ones after that for the messages that are set up with
    /// it.
    #[inline]
    pub fn use_entries(self, first: Option<usize>) {
        for number in 0..self.messages() as usize {
            let index = first.map_or(-1, |first| (first + number) as i32);
            // SAFETY: The number is below that of the block's messages, which the first alone has.
            let message = unsafe { self.nth(number) };
            set_field!(message, remap_index)(index);
        }
    }

    /// Notes whether its entry has been written, and those of the `count` messages from it on that
    /// are set up with it.
    #[inline]
    pub fn mark_written(self, written: bool, count: u32) {
        if count == 1 {
            return set_field!(self, irte_initialized)(written);
        }
        for number in 0..count.min(self.messages()) as usize {
            // SAFETY: The number is below that of the block's messages, which the first alone has.
            let message = unsafe { self.nth(number) };
            set_field!(message, irte_initialized)(written);
        }
    }

    /// Whom it is posted to, if it is.
    #[inline]
    pub fn posting(self) -> Option<Posting> {
        let descriptor = field!(self, pi_desc);
        (!descriptor.is_null()).then(|| Posting {
            // SAFETY: The descriptor is a part of a vCPU's structure, which Xen maps.
            descriptor: unsafe { sys::shim_virt_to_maddr(descriptor.cast()) },
            vector: field!(self, gvec),
        })
    }

    /// The message that it was last given, before it was remapped.
    #[inline]
    pub fn message(self) -> Message {
        Message {
            address: field!(self, msg.__bindgen_anon_1.address),
            data: field!(self, msg.data),
            destination: field!(self, msg.dest32),
        }
    }

    /// Notes the message that it is given, before it is remapped.
    #[inline]
    pub fn set_message(self, message: Message) {
        set_field!(self, msg.__bindgen_anon_1.address)(message.address);
        set_field!(self, msg.data)(message.data);
        set_field!(self, msg.dest32)(message.destination);
    }
}

/// The flags of an MSI: a byte of bit-fields, which layout.c checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

const HOST_MASKED: u8 = sys::XEN_IRQ_MSI_HOST_MASKED as u8;
const GUEST_MASKED: u8 = sys::XEN_IRQ_MSI_GUEST_MASKED as u8;

impl Flags {
    /// The byte.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the device has a mask bit for it.
    #[inline]
    pub const fn has_mask_bit(self) -> bool {
        self.0 & sys::XEN_IRQ_MSI_MASKBIT as u8 != 0
    }

    /// Who wants it masked.
    #[inline]
    pub const fn masks(self) -> Masks {
        Masks {
            host: self.0 & HOST_MASKED != 0,
            guest: self.0 & GUEST_MASKED != 0,
        }
    }

    /// Returns them with a change of who wants it masked.
    #[must_use]
    #[inline]
    pub const fn with(self, change: MaskChange) -> Self {
        Self(self.0 & !change.clears | change.sets)
    }
}

/// A change of who wants an MSI masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskChange {
    clears: u8,
    sets: u8,
}

impl MaskChange {
    /// Nothing changes.
    pub const NONE: Self = Self { clears: 0, sets: 0 };

    /// Whether Xen wants it masked; its owner's wish stays.
    pub const fn host(mask: bool) -> Self {
        Self::of(HOST_MASKED, mask)
    }

    /// Whether its owner does; Xen's wish stays.
    pub const fn guest(mask: bool) -> Self {
        Self::of(GUEST_MASKED, mask)
    }

    /// Both changes, of which one is the host's and the other the guest's.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            clears: self.clears | other.clears,
            sets: self.sets | other.sets,
        }
    }

    const fn of(flag: u8, set: bool) -> Self {
        Self {
            clears: flag,
            sets: if set { flag } else { 0 },
        }
    }
}

/// A posted-interrupt descriptor that an MSI goes to, and the vector that it sets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Physical address of the descriptor.
    pub descriptor: u64,
    /// The virtual vector.
    pub vector: u8,
}

/// An MSI that a lock keeps set up for as long as the value may live: that of its IRQ's descriptor,
/// or the one that keeps its function's list. So its function stays, and if it is an entry of a
/// table, that stays mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeptMsi<'a>(MsiDesc<'a>);

impl<'a> KeptMsi<'a> {
    /// Stands for that lock.
    ///
    /// # Safety
    ///
    /// The lock of the descriptor of the MSI's IRQ is held, `pcidevs_lock`, or the `pci_lock` of
    /// the owner of its function, and for longer than the result lives; or the MSI is an IOMMU's or
    /// an HPET's, which is never freed.
    #[inline]
    pub const unsafe fn new(desc: MsiDesc<'a>) -> Self {
        Self(desc)
    }

    /// The function that sends it; `None` for an HPET's.
    #[inline]
    pub fn device(self) -> Option<PciDev<'a>> {
        // SAFETY: A function is freed after its MSIs (`pci_remove_device()` calls
        // `pci_cleanup_msi()`), for which each of the locks that `new` names is taken. That of an
        // IOMMU stays: it is there before dom0, which is not to remove it.
        unsafe { PciDev::from_raw(fixed!(self, dev)) }
    }

    /// The descriptors of an MSI's messages, from the first on, which this is one of.
    #[inline]
    pub fn block(self) -> impl DoubleEndedIterator<Item = Self> {
        // They are freed together.
        self.0.block().map(Self)
    }

    /// Its entry in the function's memory; `None` where it is none of a table.
    #[inline]
    pub fn table_entry(self) -> Option<Register<'a>> {
        if !self.is_msix() {
            return None;
        }
        // SAFETY: `become_msix` mapped the entry, and only `MsiBlock::free` drops the mapping,
        // after its IRQ was cleared and with the lock of the list held, one of which `self` keeps.
        Some(unsafe { Register::new(fixed!(self, __bindgen_anon_1.mask_base) as usize) })
    }
}

deref!(KeptMsi, 0: MsiDesc);

/// The MSI of an IRQ whose descriptor this CPU alone may change, for as long as the value may live:
/// it may be given another message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HeldMsi<'a>(KeptMsi<'a>);

impl<'a> HeldMsi<'a> {
    /// Stands for the descriptor of its IRQ.
    ///
    /// # Safety
    ///
    /// For longer than the result lives, this CPU holds the lock of the descriptor of the MSI's
    /// IRQ, or nothing else can reach that IRQ.
    #[inline]
    pub(super) const unsafe fn new(msi: KeptMsi<'a>) -> Self {
        Self(msi)
    }

    /// The same for what does not change its message.
    #[inline]
    pub fn kept(self) -> KeptMsi<'a> {
        self.0
    }
}

deref!(HeldMsi, 0: KeptMsi);

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
