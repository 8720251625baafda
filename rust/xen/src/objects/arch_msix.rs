//! What Xen keeps of a function's MSI-X capability (`struct arch_msix`).

use crate::arch::fixmap::Page;
use crate::base::units::MSI_IN_RUST;
use crate::base::view::{field, fixed, set_field};
use crate::objects::pci_dev::Devices;
use crate::objects::views::Domain;
pub use crate::objects::views::Msix;
use crate::objects::views::PciDev;
use crate::sync::lock::Locked;
use irq_core::msi::mask::Masks;
use irq_core::msi::place::Pages;
use irq_core::vmsi::beside::{Bytes, offset_in_page};
use irq_hw::pci::{BASE_ADDRESS_0, Location, MsixRegisters};
use xen_sys as sys;

/// Base address registers of a function with MSI-X.
const BASE_ADDRESSES: u8 = 6;

/// One of the two pages that a table may share with other registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedPage {
    /// The page where the table begins.
    First,
    /// The page where it ends.
    Last,
}

/// Something that is worth a line in the log once for each owner of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// All messages of the function had to be masked, because one could not be.
    AllMasked,
    /// Registers beside the table were accessed, and their page is not mapped.
    AdjacentNotInitialized,
    /// The pending bits, in the table's page, were written.
    AdjacentPba,
}

impl<'a> Msix<'a> {
    /// How many entries the table has, 1 to 2048.
    #[inline]
    pub fn entries(self) -> u32 {
        fixed!(self, nr_entries)
    }

    /// How many entries are set up, and one more while dom0 keeps the function prepared.
    #[inline]
    pub fn used(self) -> u32 {
        field!(self, used_entries)
    }

    /// The mapping of one of the pages that the table shares with other registers; `None` where
    /// there is none.
    #[inline]
    pub fn shared_page(self, page: SharedPage) -> Option<u32> {
        let index = match page {
            SharedPage::First => field!(self, adj_access_idx[sys::ADJ_IDX_FIRST as usize]),
            SharedPage::Last => field!(self, adj_access_idx[sys::ADJ_IDX_LAST as usize]),
        };
        (index != 0).then_some(index)
    }

    /// Uses the mapping of one of those pages; `None` where there is none.
    ///
    /// With RUST_MSI the lock of the table's pages keeps the mapping: the page is unmapped after
    /// its index was cleared under the lock. C's msi.c unmaps it under `pcidevs_lock`, which
    /// [`Devices`] holds then.
    pub fn with_shared_page<R>(
        self,
        _: &Devices,
        which: SharedPage,
        access: impl FnOnce(&Page) -> R,
    ) -> Option<R> {
        let _locked = MSI_IN_RUST.then(|| self.lock());
        // SAFETY: The lock keeps the mapping, as said above.
        self.shared_page(which)
            .map(|index| access(&unsafe { Page::new(index) }))
    }

    /// The number of that page.
    pub fn page_number(self, page: SharedPage) -> u64 {
        match page {
            SharedPage::First => field!(self, table.first),
            SharedPage::Last => field!(self, table.last),
        }
    }

    /// The bytes of the table of `device`, whose structure this is, and those of its pending bits;
    /// `None` where the device does not say where they are.
    ///
    /// Context: any; reads configuration space.
    pub fn protected(self, device: PciDev) -> Option<[Bytes; 2]> {
        let registers = MsixRegisters::new(device.msix_position()?);
        let function = device.config();
        let offset = |register| {
            let location = Location::new(function.read32(register));
            let base_address = location.base_address();
            (base_address < BASE_ADDRESSES).then(|| {
                let register = BASE_ADDRESS_0 + 4 * u16::from(base_address);
                offset_in_page(location, function.read32(register))
            })
        };
        let (table, pending) = (offset(registers.table())?, offset(registers.pending())?);
        let entries = self.entries();
        Some([
            Bytes::of_table(field!(self, table.first), table, entries),
            Bytes::of_pending_bits(field!(self, pba.first), pending, entries),
        ])
    }

    /// Returns whether a warning is due: it was not given yet for the owner, which is noted.
    pub fn should_warn(self, owner: Domain, warning: Warning) -> bool {
        let bit = match warning {
            Warning::AllMasked => sys::XEN_IRQ_WARNED_MASKALL,
            Warning::AdjacentNotInitialized => sys::XEN_IRQ_WARNED_ADJACENT_NOT_INITIALIZED,
            Warning::AdjacentPba => sys::XEN_IRQ_WARNED_ADJACENT_PBA,
        } as u8;
        if field!(self, warned_domid) != owner.id() {
            set_field!(self, warned_domid)(owner.id());
            set_field!(self, warned_kind.all)(0);
        }
        let given = field!(self, warned_kind.all);
        set_field!(self, warned_kind.all)(given | bit);
        given & bit == 0
    }

    /// Who wants all messages of the function masked.
    #[inline]
    pub fn mask_all(self) -> Masks {
        Masks {
            host: field!(self, host_maskall),
            guest: field!(self, guest_maskall),
        }
    }

    /// Notes whether the host does.
    pub fn set_host_mask_all(self, mask: bool) {
        set_field!(self, host_maskall)(mask);
    }

    /// Notes whether the owner does.
    pub fn set_guest_mask_all(self, mask: bool) {
        set_field!(self, guest_maskall)(mask);
    }

    /// Notes that one more entry is set up, or that the function is prepared.
    pub fn add_user(self) {
        set_field!(self, used_entries)(self.used().wrapping_add(1));
    }

    /// Notes that there is one less; returns whether it was the last.
    pub fn remove_user(self) -> bool {
        let left = self.used().wrapping_sub(1);
        set_field!(self, used_entries)(left);
        left == 0
    }

    /// The pages of the table, and those of the pending bits.
    pub fn pages(self) -> [Pages; 2] {
        [
            Pages {
                first: field!(self, table.first),
                last: field!(self, table.last),
            },
            Pages {
                first: field!(self, pba.first),
                last: field!(self, pba.last),
            },
        ]
    }

    /// Notes the pages of the pending bits; none for page 0.
    pub fn set_pending_pages(self, pages: Pages) {
        set_field!(self, pba.first)(pages.first);
        set_field!(self, pba.last)(pages.last);
    }

    /// Notes the mapping of one of those pages; 0 for none.
    ///
    /// # Safety
    ///
    /// A device's page is mapped at the index until another is noted in its place, with the lock of
    /// the table's pages held ([`Self::lock`]).
    pub unsafe fn set_shared_page(self, which: SharedPage, index: u32) {
        match which {
            SharedPage::First => {
                set_field!(self, adj_access_idx[sys::ADJ_IDX_FIRST as usize])(index)
            }
            SharedPage::Last => set_field!(self, adj_access_idx[sys::ADJ_IDX_LAST as usize])(index),
        }
    }

    /// Takes the lock of the mappings of its table's pages.
    pub fn lock(self) -> Locked<'a> {
        // SAFETY: The lock is a part of the structure, and no interrupt takes it.
        unsafe { Locked::take(&raw mut (*self.as_ptr()).table_lock) }
    }
}
