//! The pages of an MSI-X table that are mapped for Xen: one mapping for all entries that lie in a page.

use crate::errno::Errno;
use crate::fixmap::Page;
use crate::msix::{Msix, SharedPage};
use crate::spin::Locked;
use crate::view::{element, set_field};
use irq_core::host::place::Table;
use xen_sys as sys;

/// A page of a table that is mapped for one more user. Dropped, it is given back.
#[must_use = "the page is given back where this is dropped"]
pub struct Mapped<'a> {
    msix: Msix<'a>,
    page: Page,
}

impl Mapped<'_> {
    /// The page.
    pub fn page(&self) -> Page {
        self.page
    }

    /// Keeps it; [`Msix::unmap`] gives it back.
    pub fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        self.msix.unmap(self.page);
    }
}

impl<'a> Msix<'a> {
    /// Maps the page that a byte of the table lies in, or adds a user to it.
    ///
    /// Context: IRQs on. Replaces `msix_get_fixmap()`.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] where no table has so many pages, [`Errno::NOMEM`] where there is no place to map it.
    pub fn map(self, table: Table, address: u64) -> Result<Mapped<'a>, Errno> {
        let number = (address >> 12).wrapping_sub(table.address >> 12) as usize;
        let slot = Slot::of(self, number).ok_or(Errno::INVAL)?;
        let _locked = self.lock();
        let page = match slot.users() {
            0 => {
                let page = Page::map(address).ok_or(Errno::NOMEM)?;
                slot.set_page(page.index());
                page
            }
            _ => Page::new(slot.page()),
        };
        slot.set_users(slot.users() + 1);
        Ok(Mapped { msix: self, page })
    }

    /// Takes a user away from a page, which is unmapped with the last.
    ///
    /// Context: IRQs on. Replaces `msix_put_fixmap()`.
    pub fn unmap(self, page: Page) {
        let _locked = self.lock();
        let slot = (0..)
            .map_while(|number| Slot::of(self, number))
            .find(|slot| slot.page() == page.index());
        let Some(slot) = slot else {
            return;
        };
        slot.set_users(slot.users() - 1);
        if slot.users() == 0 {
            page.unmap();
            slot.set_page(0);
        }
    }

    /// Notes the mapping of one of the pages that the table shares with other registers.
    pub fn share(self, which: SharedPage, page: Option<Page>) {
        let index = page.map_or(0, Page::index);
        match which {
            SharedPage::First => {
                set_field!(self, adj_access_idx[sys::ADJ_IDX_FIRST as usize])(index)
            }
            SharedPage::Last => set_field!(self, adj_access_idx[sys::ADJ_IDX_LAST as usize])(index),
        }
    }

    fn lock(self) -> Locked<'a> {
        // SAFETY: The lock is a part of the structure, and no interrupt takes it.
        unsafe { Locked::take(&raw mut (*self.as_ptr()).table_lock) }
    }
}

/// What is kept of one page: its mapping and how many use it.
#[derive(Clone, Copy)]
struct Slot {
    users: *mut i32,
    page: *mut u16,
}

impl Slot {
    fn of(msix: Msix, number: usize) -> Option<Self> {
        // SAFETY: The arrays are parts of the structure.
        let (users, pages) = unsafe {
            (
                &raw const (*msix.as_ptr()).table_refcnt,
                &raw const (*msix.own()).pages,
            )
        };
        Some(Self {
            users: element(users, number)?.cast_mut(),
            page: element(pages, number)?.cast_mut(),
        })
    }

    fn users(self) -> i32 {
        // SAFETY: The slot is one of the structure's.
        unsafe { self.users.read_volatile() }
    }

    fn set_users(self, users: i32) {
        // SAFETY: As above.
        unsafe { self.users.write_volatile(users) };
    }

    fn page(self) -> u32 {
        // SAFETY: As above.
        unsafe { self.page.read_volatile().into() }
    }

    fn set_page(self, index: u32) {
        // The index is that of a fixed mapping, or 0.
        // SAFETY: As above.
        unsafe { self.page.write_volatile(index as u16) };
    }
}
