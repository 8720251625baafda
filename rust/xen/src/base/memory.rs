//! Xen's heap (`xen/xmalloc.h`).

use core::alloc::Layout;
use core::ptr::NonNull;
use xen_sys as sys;

/// Allocates zeroed memory.
///
/// Context: IRQs on; no spin lock held that is taken with IRQs off.
pub fn zalloc(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: The allocator takes any size and any power of two.
    NonNull::new(unsafe { sys::_xzalloc(layout.size() as u64, layout.align() as u64) }.cast())
}
