//! All functions at once.

use crate::base::errno::Errno;
use xen_sys as sys;

/// Has the shim call `xen_irq_disable_msi` for each function that Xen knows.
///
/// # Errors
///
/// What Xen returns for an iteration that did not get to its end.
pub fn disable_msi_of_all() -> Result<(), Errno> {
    // SAFETY: Takes the locks that it needs.
    Errno::check(unsafe { sys::shim_disable_msi_of_all() })
}
