//! IRQs that come too often are switched off for some milliseconds.
//!
//! The lock of the list is taken inside that of a descriptor where an IRQ is put on the list, and
//! outside of it where all are taken off. That is no deadlock: an IRQ is put there only if it is
//! not there yet, and the lock of one is waited for only where it is there.

use crate::base::list;
use crate::base::view::{Word, field, set_field};
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use crate::sync::irqs::IrqsOff;
use crate::sync::lock::{IrqLocked, Locked};
use xen_sys as sys;

/// For how long an IRQ is switched off, and counted: ten milliseconds.
pub const PERIOD: i64 = 10_000_000;

/// Returns whether IRQs are counted.
#[inline(always)]
pub fn is_on() -> bool {
    let timer = &raw const sys::shim_ratelimit_timer;
    // SAFETY: The field is written while Xen boots, in one piece.
    unsafe { (&raw const (*timer).function).read_volatile() }.is_some()
}

/// Now, in nanoseconds since boot.
pub fn now() -> i64 {
    // SAFETY: Computes a number.
    unsafe { sys::get_s_time() }
}

impl HeldDesc<'_> {
    /// Counts an interrupt; returns how many were counted before.
    #[inline(always)]
    pub fn count_interrupt(self) -> u32 {
        let count = field!(self, rl_cnt);
        set_field!(self, rl_cnt)(count.wrapping_add(1));
        count
    }

    /// Since when they are counted.
    pub fn counted_since(self) -> i64 {
        field!(self, rl_quantum_start)
    }

    /// Counts from now on.
    pub fn count_since(self, now: i64) {
        set_field!(self, rl_cnt)(0u32);
        set_field!(self, rl_quantum_start)(now);
    }

    /// Has it switched on again at a time, with others that are to be before that; unless it is
    /// going to be. A source that cannot be switched off may send still.
    pub fn enable_at(self, time: i64, _: IrqsOff<'_>) {
        // SAFETY: The node is a part of the descriptor, which stays.
        let node = unsafe { &raw mut (*self.as_ptr()).rl_link };
        // SAFETY: The descriptor's lock is held. Only who holds it puts the node on the list or
        // takes it off; while it is off, it leads to itself.
        if unsafe { !core::ptr::eq(<*mut _>::load(&raw const (*node).next), node) } {
            return;
        }
        let all = &raw mut sys::shim_ratelimit_list;
        // SAFETY: The list and its lock are variables of the shim's, and IRQs are off. The node is
        // on no list, and its descriptor is initialized, since an interrupt of it has arrived.
        unsafe {
            let _locked = Locked::take(&raw mut sys::shim_ratelimit_lock);
            if core::ptr::eq((*all).next, all) {
                sys::set_timer(&raw mut sys::shim_ratelimit_timer, time);
            }
            list::prepend(all, node);
        }
    }
}

/// Switches all on again.
#[doc(alias = "irq_ratelimit_timer_fn")]
pub fn enable_all() {
    let all = &raw mut sys::shim_ratelimit_list;
    // SAFETY: The lock is a variable of the shim's. It is taken with IRQs off.
    let _locked = unsafe { IrqLocked::take(&raw mut sys::shim_ratelimit_lock) };
    loop {
        // SAFETY: The lock keeps the list. Its nodes are parts of descriptors, which stay, and IRQs
        // are off, so that the lock of a descriptor may be taken.
        unsafe {
            let node = (*all).next;
            if core::ptr::eq(node, all) {
                return;
            }
            let raw = list::container::<sys::irq_desc>(
                node,
                core::mem::offset_of!(sys::irq_desc, rl_link),
            );
            let Some(desc) = IrqDesc::from_raw(raw) else {
                return;
            };
            let _desc_locked = Locked::take(&raw mut (*raw).lock);
            HeldDesc::new(desc).enable();
            list::remove(node);
            (*node).next = node;
            (*node).prev = node;
        }
    }
}
