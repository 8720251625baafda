//! What Xen keeps of a function's MSI-X capability (`struct arch_msix`).

use crate::domain::Domain;
use crate::view::{field, set_field, view};
use xen_sys as sys;

view! {
    /// What Xen keeps of a function's MSI-X capability.
    Msix, sys::arch_msix
}

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
    /// Registers beside the table were written, and the pending bits are among them.
    AdjacentPba,
}

impl Msix<'_> {
    /// How many entries the table has, 1 to 2048.
    #[inline]
    pub fn entries(self) -> u32 {
        field!(self, nr_entries)
    }

    /// How many entries are set up, and one more while dom0 keeps the function prepared.
    #[inline]
    pub fn used(self) -> u32 {
        field!(self, used_entries)
    }

    /// The mapping of one of the pages that the table shares with other registers; `None` where there is none.
    #[inline]
    pub fn shared_page(self, page: SharedPage) -> Option<u32> {
        let index = match page {
            SharedPage::First => field!(self, adj_access_idx[sys::ADJ_IDX_FIRST as usize]),
            SharedPage::Last => field!(self, adj_access_idx[sys::ADJ_IDX_LAST as usize]),
        };
        (index != 0).then_some(index)
    }

    /// Returns whether the pending bits lie in that page, too.
    #[inline]
    pub fn pending_bits_in(self, page: SharedPage) -> bool {
        match page {
            SharedPage::First => field!(self, table.first) == field!(self, pba.last),
            SharedPage::Last => field!(self, table.last) == field!(self, pba.first),
        }
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
}
