//! A domain, its pirqs and event channels.

use xen_sys as sys;

use crate::heap::Failure;
use crate::side::with;
use crate::xen::{addr, get, set};

/// The pirqs of a domain, and as many event channels.
pub(super) const PIRQS: usize = 32;
/// `IRQ_UNBOUND`.
const UNBOUND: i32 = -1;
/// `ECS_PIRQ`.
const CHANNEL_OF_PIRQ: u8 = 4;
/// The bytes of a pirq of a PV domain.
const OF_PV: usize = std::mem::offset_of!(sys::pirq, arch.__bindgen_anon_1);

/// A pirq of a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pirq {
    pub(super) is_bound: bool,
    /// Whether the guest masks its channel.
    pub(super) is_masked: bool,
}

/// A domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Guest {
    pub(super) domain: u64,
    pub(super) vcpu: u64,
    pub(super) is_hvm: bool,
    /// Whether passed-through interrupts of an HVM domain reach it without an event channel.
    pub(super) takes_dpci: bool,
    /// The pirqs by their numbers, and their numbers by IRQs.
    pub(super) pirq_tree: u64,
    pub(super) irq_tree: u64,
    /// The numbers of pirqs by emulated interrupts.
    pub(super) emulated_tree: u64,
    pub(super) channels: u64,
    pub(super) pirqs: [Pirq; PIRQS],
}

impl Guest {
    fn slot(&self, tree: u64, at: usize) -> *mut u64 {
        (tree as *mut u64).wrapping_add(at)
    }

    /// A pirq that the domain has, or null.
    pub(super) fn pirq(&self, number: usize) -> *mut sys::pirq {
        // SAFETY: a slot of the world.
        unsafe { self.slot(self.pirq_tree, number).read() as *mut sys::pirq }
    }

    /// The number of the pirq of an IRQ; 0 where it has none.
    pub(super) fn number_of(&self, irq: usize) -> i64 {
        // SAFETY: a slot of the world.
        unsafe { self.slot(self.irq_tree, irq).read().cast_signed() >> 2 }
    }

    /// The IRQ of a pirq: 0 where it has none, negative where it was unmapped by force.
    pub(super) fn irq_of(&self, number: usize) -> i32 {
        let pirq = self.pirq(number);
        if pirq.is_null() {
            0
        } else {
            get!(pirq, arch.irq)
        }
    }

    /// Allocates a pirq for an IRQ.
    pub(super) fn map(&self, number: usize, irq: usize) {
        let mut pirq = self.pirq(number);
        if pirq.is_null() {
            let len = if self.is_hvm {
                size_of::<sys::pirq>()
            } else {
                OF_PV
            };
            let allocated = with(|env| {
                let failure = std::mem::replace(&mut env.heap.failure, Failure::Never);
                let allocated = env.heap.allocate(len, 8, true);
                env.heap.failure = failure;
                allocated
            });
            pirq = allocated.expect("the heap has memory left") as *mut sys::pirq;
            set!(pirq, pirq, number as i32);
            if self.is_hvm {
                set!(pirq, arch.__bindgen_anon_1.hvm.emuirq, UNBOUND);
            }
        }
        set!(pirq, arch.irq, irq as i32);
        // SAFETY: slots of the world.
        unsafe {
            self.slot(self.pirq_tree, number).write(pirq as u64);
            self.slot(self.irq_tree, irq)
                .write(int_to_ptr(number as i64));
        }
    }

    /// A pirq was freed.
    pub(super) fn forget(&self, number: usize) {
        // SAFETY: a slot of the world.
        unsafe { self.slot(self.pirq_tree, number).write(0) };
    }

    pub(super) fn channel(&self, number: usize) -> *mut sys::evtchn {
        (self.channels as *mut sys::evtchn).wrapping_add(number)
    }

    /// Opens the event channel of a pirq, or closes it.
    pub(super) fn open(&self, number: usize, opens: bool) {
        let state = if opens { CHANNEL_OF_PIRQ } else { 0 };
        set!(self.channel(number), state, state);
        let pirq = self.pirq(number);
        if !pirq.is_null() {
            set!(pirq, evtchn, if opens { number as u32 } else { 0 });
        }
    }

    pub(super) fn lock(&self, locks: bool) {
        let lock = addr!(self.domain as *mut sys::domain, event_lock);
        // A writer of CPU 0.
        set!(lock, cnts.counter, if locks { 3 << 14 } else { 0 });
    }

    pub(super) fn is_locked(&self) -> bool {
        let lock = addr!(self.domain as *mut sys::domain, event_lock);
        crate::xen::is_write_locked(lock)
    }
}

fn int_to_ptr(value: i64) -> u64 {
    (value << 2 | 2).cast_unsigned()
}
