//! Softirqs (`xen/softirq.h`).

use xen_sys as sys;

/// Lets softirqs that are pending run.
///
/// Context: IRQs on, no lock held.
pub fn process_pending_softirqs() {
    // SAFETY: The scheduler's softirqs are left out, so that this returns on the same CPU. RCU's is
    // left out, too, in an RCU section (`rcu_quiesce_allowed()`), and views of what is freed after
    // a grace period borrow from their section, or from a lock without which it is not freed.
    unsafe { sys::process_pending_softirqs() };
}
