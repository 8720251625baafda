//! Sets of ranges (`xen/rangeset.h`): the pages that no domain may map writable
//! (`mmio_ro_ranges`).

use crate::base::errno::Errno;
use irq_core::msi::place::Pages;
use xen_sys as sys;

fn set() -> *mut sys::rangeset {
    // SAFETY: A pointer that is written while Xen boots.
    unsafe { (&raw const sys::mmio_ro_ranges).read_volatile() }
}

/// Returns whether some of the pages are among them.
pub fn overlap(pages: Pages) -> bool {
    // SAFETY: The set lives as long as Xen, and has a lock of its own.
    unsafe { sys::rangeset_overlaps_range(set(), pages.first, pages.last) }
}

/// Adds pages.
///
/// # Errors
///
/// [`Errno::NOMEM`].
pub fn add(pages: Pages) -> Result<(), Errno> {
    // SAFETY: The set lives as long as Xen, and has a lock of its own.
    Errno::check(unsafe { sys::rangeset_add_range(set(), pages.first, pages.last) })
}

/// Takes pages out.
///
/// # Errors
///
/// [`Errno::NOMEM`], where a range would fall into two.
pub fn remove(pages: Pages) -> Result<(), Errno> {
    // SAFETY: The set lives as long as Xen, and has a lock of its own.
    Errno::check(unsafe { sys::rangeset_remove_range(set(), pages.first, pages.last) })
}
