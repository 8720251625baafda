//! Softirqs (`xen/softirq.h`).

use xen_sys as sys;

/// Lets softirqs that are pending run.
///
/// Context: IRQs on, no lock held.
pub fn process_pending_softirqs() {
    // SAFETY: The caller is where softirqs may run.
    unsafe { sys::process_pending_softirqs() };
}
