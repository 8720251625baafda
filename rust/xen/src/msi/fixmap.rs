//! Places among the fixed mappings for pages of MSI-X tables (`asm/fixmap.h`).

use irq_core::msi::numbers::Numbers;
use xen_sys as sys;

/// How many pages of MSI-X tables may be mapped at one time.
const PAGES: usize = sys::FIX_MSIX_MAX_PAGES as usize;

/// Which of them are in use.
static USED: Numbers<{ PAGES / 64 }> = Numbers::new();

/// The first of their indexes in the fixed mappings.
const FIRST: u32 = sys::FIX_MSIX_IO_RESERV_BASE;

/// Maps the page of a table that a physical address lies in, and returns its index in the fixed
/// mappings; `None` where as many are mapped as may be.
///
/// Context: IRQs on.
#[doc(alias = "msix_fixmap_alloc")]
pub(super) fn map(address: u64) -> Option<u32> {
    let index = FIRST + USED.allocate()?;
    // SAFETY: This place among the fixed mappings was free, and nothing else gets it until `unmap`.
    unsafe { sys::shim_map_device_page(index, address) };
    Some(index)
}

/// Unmaps it.
///
/// Context: IRQs on.
///
/// # Safety
///
/// [`map`] mapped it, and no [`Page`](crate::arch::fixmap::Page) or
/// [`Register`](crate::arch::fixmap::Register) of it lives.
#[doc(alias = "msix_fixmap_free")]
pub(super) unsafe fn unmap(index: u32) {
    // SAFETY: `unmap` asks for a mapping that nothing uses.
    unsafe { sys::shim_unmap_device_page(index) };
    USED.free(index.wrapping_sub(FIRST));
}
