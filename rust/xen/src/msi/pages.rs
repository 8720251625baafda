//! The pages of an MSI-X table that are mapped for Xen: one mapping for all entries that lie in a
//! page.

use super::fixmap;
use crate::arch::fixmap::{Page, Register, Word32};
use crate::base::errno::Errno;
use crate::base::view::element;
use crate::msi::table::MsixTable;
use crate::objects::arch_msix::{Msix, SharedPage};
use crate::objects::pci_dev::PciDev;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicI32, AtomicU16};
use irq_hw::msix::ENTRY_SIZE;
use xen_sys as sys;

/// A page of a table that is mapped for one more user. Dropped, it is given back.
#[must_use = "the page is given back where this is dropped"]
pub struct Mapped<'a> {
    msix: Msix<'a>,
    /// Its index in the fixed mappings.
    index: u32,
    /// The physical address of the entry that it is mapped for.
    address: u64,
}

impl Mapped<'_> {
    /// The entry that it is mapped for; `None` where that lies in two pages, of which this is the
    /// first. An entry of a well-made table may, for a table is aligned to 8 bytes; and where a
    /// device answers anything when it is asked for its table, any entry may.
    pub fn entry(&self) -> Option<Register<'_>> {
        // SAFETY: The page is mapped until its users are gone, and this is one.
        let page = unsafe { Page::new(self.index) };
        // SAFETY: The address is that of 16 bytes in the page.
        (self.address % 4096 <= 4096 - ENTRY_SIZE)
            .then(|| unsafe { Register::new(page.at::<u8>(self.address) as usize) })
    }

    /// The 32-bit word at a physical address; `None` where that does not lie in the page.
    pub fn word(&self, address: u64) -> Option<Word32<'_>> {
        let is_here = address >> 12 == self.address >> 12 && address.is_multiple_of(4);
        // SAFETY: The page is mapped until its users are gone, and this is one.
        let page = unsafe { Page::new(self.index) };
        // SAFETY: The four bytes lie in the page, and the result borrows this user.
        is_here.then(|| unsafe { Word32::new(page.at(address)) })
    }

    /// Returns whether it is a page of a function's table.
    pub(super) fn is_of(&self, device: PciDev) -> bool {
        device.msix() == Some(self.msix)
    }

    /// Keeps it for the descriptor of the entry, with which [`Msix::unmap`] gives it back.
    pub(super) fn keep(self) {
        core::mem::forget(self);
    }
}

impl Drop for Mapped<'_> {
    fn drop(&mut self) {
        // SAFETY: `map` counted this as a user, and what it lent ends with it.
        unsafe { self.msix.unmap(self.index) };
    }
}

impl<'a> MsixTable<'a> {
    /// Maps the page that a byte of the table lies in, or adds a user to it.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// [`Errno::INVAL`] where the byte is not in the table, or no table has so many pages,
    /// [`Errno::NXIO`] where the memory map has its page as RAM,
    /// [`Errno::NOMEM`] where there is no place to map it.
    #[doc(alias = "msix_get_fixmap")]
    pub fn map(self, address: u64) -> Result<Mapped<'a>, Errno> {
        if !self.holds(address) {
            return Err(Errno::INVAL);
        }
        let msix = self.msix();
        let number = (address >> 12).wrapping_sub(self.address >> 12) as usize;
        let slot = Slot::of(msix, number).ok_or(Errno::INVAL)?;
        let _locked = msix.lock();
        let index = match slot.users.load(Relaxed) {
            0 => {
                // SAFETY: Any number of a page may be asked for.
                if unsafe { sys::shim_is_memory(address >> 12) } {
                    return Err(Errno::NXIO);
                }
                let index = fixmap::map(address).ok_or(Errno::NOMEM)?;
                slot.page.store(index as u16, Relaxed);
                index
            }
            _ => slot.page.load(Relaxed).into(),
        };
        slot.users.fetch_add(1, Relaxed);
        Ok(Mapped {
            msix,
            index,
            address,
        })
    }
}

impl Msix<'_> {
    /// Takes a user away from a page, which is unmapped with the last.
    ///
    /// Context: IRQs on.
    ///
    /// # Safety
    ///
    /// The page was mapped for that user, who uses it no more.
    #[doc(alias = "msix_put_fixmap")]
    pub(super) unsafe fn unmap(self, index: u32) {
        let _locked = self.lock();
        // SAFETY: `unmap` asks for the same, and the lock is held.
        unsafe { self.unmap_locked(index) };
    }

    /// The same with the lock held.
    ///
    /// # Safety
    ///
    /// As for [`Self::unmap`]; the lock of the table's pages is held.
    unsafe fn unmap_locked(self, index: u32) {
        let slot = (0..)
            .map_while(|number| Slot::of(self, number))
            .find(|slot| u32::from(slot.page.load(Relaxed)) == index);
        let Some(slot) = slot else {
            return;
        };
        if slot.users.fetch_sub(1, Relaxed) == 1 {
            slot.page.store(0, Relaxed);
            // SAFETY: `map` mapped the page and counted its users under the lock that is held; this
            // was the last.
            unsafe { fixmap::unmap(index) };
        }
    }

    /// Notes the mapping of one of the pages that the table shares with other registers, which it
    /// keeps.
    pub fn share(self, which: SharedPage, page: Mapped) {
        // SAFETY: The page is kept below, and unmapped in `unshare`.
        unsafe { self.set_shared_page(which, page.index) };
        page.keep();
    }

    /// Gives that up.
    pub fn unshare(self, which: SharedPage) {
        if self.shared_page(which).is_none() {
            return;
        }
        let _locked = self.lock();
        // Another call may have given it up before the lock was taken.
        let Some(index) = self.shared_page(which) else {
            return;
        };
        // SAFETY: Zero is none, and the lock of the table's pages is held.
        unsafe { self.set_shared_page(which, 0) };
        // SAFETY: `share` kept the page for this user; accesses to it find its index under the
        // lock, and end before it is dropped.
        unsafe { self.unmap_locked(index) };
    }
}

/// What is kept of one page, under the lock of the table's pages: its mapping and how many use it.
struct Slot<'a> {
    users: &'a AtomicI32,
    /// The index of the mapping, or 0.
    page: &'a AtomicU16,
}

impl<'a> Slot<'a> {
    fn of(msix: Msix<'a>, number: usize) -> Option<Self> {
        // SAFETY: The arrays are parts of the structure, which lives as long as the result, and all
        // use their elements as atomics.
        unsafe {
            let users = &raw const (*msix.as_ptr()).table_refcnt;
            let pages = &raw const (*msix.as_ptr()).__bindgen_anon_1.rust.table_page;
            Some(Self {
                users: AtomicI32::from_ptr(element(users, number)?.cast_mut()),
                page: AtomicU16::from_ptr(element(pages, number)?.cast_mut()),
            })
        }
    }
}
