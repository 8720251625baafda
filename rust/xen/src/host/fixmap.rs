//! Places among the fixed mappings for pages of MSI-X tables (`asm/fixmap.h`).

use core::sync::atomic::{AtomicU64, Ordering};
use xen_sys as sys;

/// How many pages of MSI-X tables may be mapped at one time.
const PAGES: usize = sys::FIX_MSIX_MAX_PAGES as usize;

/// Which of them are taken, a bit for each.
static TAKEN: [AtomicU64; PAGES / 64] = [const { AtomicU64::new(0) }; PAGES / 64];

/// The first of their indexes in the fixed mappings.
const FIRST: u32 = sys::FIX_MSIX_IO_RESERV_BASE;

/// Maps the page of a table that a physical address lies in, and returns its index in the fixed
/// mappings; `None` where as many are mapped as may be.
///
/// Context: IRQs on.
#[doc(alias = "msix_fixmap_alloc")]
pub(super) fn map(address: u64) -> Option<u32> {
    let index = FIRST + take()?;
    // SAFETY: `take` gave this place among the fixed mappings to nothing else.
    unsafe { sys::shim_map_device_page(index, address) };
    Some(index)
}

/// Unmaps it.
///
/// Context: IRQs on.
///
/// # Safety
///
/// [`map`] mapped it, and no [`crate::fixmap::Page`] or [`crate::fixmap::Register`] of it lives.
#[doc(alias = "msix_fixmap_free")]
pub(super) unsafe fn unmap(index: u32) {
    // SAFETY: `unmap` asks for a mapping that nothing uses.
    unsafe { sys::shim_unmap_device_page(index) };
    give_back(index.wrapping_sub(FIRST));
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
