//! What Xen keeps of a function's MSI-X table while interrupts are set up in it.
//!
//! Some of it is private to Rust: `rust` in `struct arch_msix`, which C allocates zeroed, and never
//! copies.

use super::register_lock::RegisterLock;
use super::{bar, config};
use crate::base::errno::Errno;
use crate::base::view::{field, set_field};
use crate::objects::arch_msix::Msix;
use crate::objects::msi_info::Request;
use crate::objects::pci_dev::PciDev;
use core::ops::Deref;
use irq_core::msi::generation::Seen;
use irq_core::msi::place::{Pages, Table};
use irq_core::msi::window::Windows;
use irq_hw::pci::{Location, MsixRegisters};
use static_assertions::const_assert;
use xen_sys as sys;

// So that the index of a mapping has room.
const_assert!(sys::XEN_IRQ_FIXED_PAGES <= 1 << u16::BITS);

/// A function's MSI-X table, where configuration space says that it is, or dom0 does where that
/// says nothing. Its pages, and no others, may be mapped.
#[derive(Clone, Copy)]
pub struct MsixTable<'a> {
    msix: Msix<'a>,
    place: Table,
}

impl<'a> MsixTable<'a> {
    /// What Xen keeps of the capability.
    pub(super) fn msix(self) -> Msix<'a> {
        self.msix
    }

    /// Notes that the table, and the pending bits, are there.
    pub fn note(self, pending: Pages) {
        self.msix.set_table_pages(self.pages());
        let offset = (self.address % 4096) as u16;
        set_field!(self.msix, __bindgen_anon_1.rust.table_offset)(offset);
        self.msix.set_pending_pages(pending);
    }
}

impl Deref for MsixTable<'_> {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.place
    }
}

impl<'a> Msix<'a> {
    /// Looks for the table of `device`, whose capability this is. Where dom0 asks, `request` has
    /// the address that it believes the table's base address register to hold.
    ///
    /// # Errors
    ///
    /// [`Errno::NXIO`] where the function does not answer, or has no memory there and dom0 names
    /// none; [`Errno::INVAL`] for another function.
    pub fn locate(self, device: PciDev, request: Option<Request>) -> Result<MsixTable<'a>, Errno> {
        if device.msix() != Some(self) {
            return Err(Errno::INVAL);
        }
        let registers = MsixRegisters::new(device.msix_position().ok_or(Errno::NXIO)?);
        let place = Location::new(device.config().read32(registers.table()));
        if place.is_no_answer() {
            return Err(Errno::NXIO);
        }
        let base = request.map(Request::table_base);
        let found = bar::address(device, place.base_address());
        if base.is_some_and(|base| base != found.unwrap_or(0)) {
            xen_warn!();
        }
        let found = found
            .or(base.filter(|&base| base != 0))
            .ok_or(Errno::NXIO)?;
        Ok(MsixTable {
            msix: self,
            place: Table {
                address: found.wrapping_add(place.offset().into()),
                entries: self.entries(),
            },
        })
    }

    /// What is kept of its windows.
    pub fn windows(self, _: &RegisterLock) -> Windows {
        Windows::from_bits(field!(self, __bindgen_anon_1.rust.windows))
    }

    /// Keeps it.
    pub fn set_windows(self, windows: Windows, _: &RegisterLock) {
        set_field!(self, __bindgen_anon_1.rust.windows)(windows.to_bits());
    }

    /// Where the table is, as it was found when the first interrupt was set up; `None` while none
    /// is. What the device says of it since then does not matter.
    pub fn table(self) -> Option<MsixTable<'a>> {
        let first = field!(self, table.first);
        (first != 0).then(|| MsixTable {
            msix: self,
            place: Table {
                address: first << 12 | u64::from(field!(self, __bindgen_anon_1.rust.table_offset)),
                entries: self.entries(),
            },
        })
    }

    /// Notes that the table is not known any more.
    pub fn forget_table(self) {
        self.set_table_pages(Pages::default());
    }

    /// Notes the pages of the table; none for page 0.
    fn set_table_pages(self, pages: Pages) {
        set_field!(self, table.first)(pages.first);
        set_field!(self, table.last)(pages.last);
    }

    /// Returns whether the function was seen enabled and decoding memory, and nothing has been
    /// written to configuration space since.
    #[inline]
    pub fn is_known_ready(self) -> bool {
        config::still_holds(field!(self, __bindgen_anon_1.rust.ready))
    }

    /// Notes that it was seen so in a generation that had begun before.
    pub fn note_ready(self, generation: Seen) {
        set_field!(self, __bindgen_anon_1.rust.ready)(generation.number());
    }

    /// The next that asks looks at the device.
    pub fn forget_ready(self) {
        // The number 0 never holds.
        set_field!(self, __bindgen_anon_1.rust.ready)(0);
    }
}
