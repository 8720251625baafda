//! Places among the fixed mappings for pages of MSI-X tables (`asm/fixmap.h`).

use crate::fixmap::Page;
use core::sync::atomic::{AtomicU64, Ordering};
use xen_sys as sys;

/// How many pages of MSI-X tables may be mapped at one time.
const PAGES: usize = sys::FIX_MSIX_MAX_PAGES as usize;

/// Which of them are taken, a bit for each.
static TAKEN: [AtomicU64; PAGES / 64] = [const { AtomicU64::new(0) }; PAGES / 64];

/// The first of their indexes in the fixed mappings.
const FIRST: u32 = sys::FIX_MSIX_IO_RESERV_BASE;

impl Page {
    /// Maps the page of a table that a physical address lies in; `None` where as many are mapped as may be.
    ///
    /// Context: IRQs on.
    pub fn map(address: u64) -> Option<Self> {
        let page = Self::new(FIRST + take()?);
        // SAFETY: The index is free, and ours now.
        unsafe { sys::shim_map_device_page(page.index(), address) };
        Some(page)
    }

    /// Unmaps it.
    ///
    /// Context: IRQs on; nobody uses it any more.
    pub fn unmap(self) {
        // SAFETY: The caller says so.
        unsafe { sys::shim_unmap_device_page(self.index()) };
        give_back(self.index().wrapping_sub(FIRST));
    }
}

/// Takes the lowest number that is free.
fn take() -> Option<u32> {
    for (index, word) in TAKEN.iter().enumerate() {
        let mut bits = word.load(Ordering::Relaxed);
        while bits != u64::MAX {
            let free = bits.trailing_ones();
            match word.compare_exchange(
                bits,
                bits | 1 << free,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(index as u32 * 64 + free),
                Err(other) => bits = other,
            }
        }
    }
    None
}

fn give_back(number: u32) {
    if let Some(word) = TAKEN.get(number as usize / 64) {
        word.fetch_and(!(1 << (number % 64)), Ordering::Release);
    }
}
