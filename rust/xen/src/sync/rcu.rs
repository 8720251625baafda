//! Read-copy-update (`xen/rcupdate.h`).

use crate::arch::cpu::this_cpu;
use core::marker::PhantomData;
use core::sync::atomic::{Ordering, compiler_fence};
use static_assertions::assert_not_impl_any;
use xen_sys as sys;

/// A read-side section: what was reachable when it began stays allocated until it ends.
///
/// Context: any. Nothing blocks inside, and RCU's softirq is not processed.
#[must_use = "the section ends where this is dropped"]
pub struct ReadGuard(PhantomData<*mut ()>);

assert_not_impl_any!(ReadGuard: Send, Sync);

/// Begins a read-side section on this CPU.
#[inline]
pub fn read() -> ReadGuard {
    adjust(1);
    compiler_fence(Ordering::SeqCst);
    ReadGuard(PhantomData)
}

impl Drop for ReadGuard {
    #[inline]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        adjust(1u32.wrapping_neg());
    }
}

/// Changes this CPU's counts of preemption and of read-side sections, which no other CPU writes.
#[inline]
fn adjust(by: u32) {
    let preempt = this_cpu(&raw mut sys::per_cpu____preempt_count);
    let sections = this_cpu(&raw mut sys::per_cpu__rcu_lock_cnt);
    // SAFETY: Both are this CPU's own; an interrupt in between leaves them as it found them.
    unsafe {
        *preempt = (*preempt).wrapping_add(by);
        *sections = (*sections).wrapping_add(by as _);
    }
}
