//! Softirqs (`xen/softirq.h`).

use xen_sys as sys;

/// Lets softirqs that are pending run.
///
/// Context: IRQs on, no lock held.
pub fn process_pending_softirqs() {
    // SAFETY: The scheduler's softirqs are left out, so that this returns on the same CPU. RCU's is
    // left out, too, while a lock or an RCU section is held (`preempt_count()`): nothing is freed
    // that is kept by one.
    unsafe { sys::process_pending_softirqs() };
}
