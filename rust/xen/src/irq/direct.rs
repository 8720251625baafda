//! Vectors that have a function instead of an IRQ, and those of high priority.

use crate::irq::table::VectorLock;
use crate::sync::irqs::IrqsOff;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use irq_core::irq::vectors::{FIRST_HIGH_PRIORITY, LAST_HIGH_PRIORITY};
use xen_sys as sys;

/// A function that handles an interrupt.
pub type Handler = Option<extern "C" fn()>;

/// The vector of high priority that is allocated next.
static NEXT: AtomicU8 = AtomicU8::new(FIRST_HIGH_PRIORITY);

/// Allocates a vector of high priority, which is the same on all CPUs; `None` where none is left.
#[doc(alias = "alloc_hipriority_vector")]
pub fn allocate_high_priority() -> Option<u8> {
    let next = |vector| (vector <= LAST_HIGH_PRIORITY).then_some(vector + 1);
    let order = Ordering::Relaxed;
    NEXT.fetch_update(order, order, next).ok()
}

/// Has a function handle a vector, which has none yet.
#[doc(alias = "set_direct_apic_vector")]
pub fn set(vector: u8, handler: Handler) {
    let slots = (&raw mut sys::direct_apic_vector).cast::<*mut c_void>();
    // SAFETY: The array has an element for each vector; a pointer to a function has the layout of
    // another, and CPUs read and write them in one piece.
    let slot = unsafe { AtomicPtr::from_ptr(slots.add(vector.into())) };
    let handler = handler.map_or(core::ptr::null_mut(), |handler| handler as *mut c_void);
    let before = slot.swap(handler, Ordering::Relaxed);
    xen_assert!(before.is_null());
}

/// Allocates a vector of high priority for a function, unless there is one at `vector`; `None`
/// where none is left.
#[doc(alias = "alloc_direct_apic_vector")]
pub fn allocate(vector: &AtomicU8, handler: Handler) -> Option<()> {
    let _lock = VectorLock::take();
    if vector.load(Ordering::Relaxed) == 0 {
        let new = allocate_high_priority()?;
        vector.store(new, Ordering::Relaxed);
        set(new, handler);
    }
    Some(())
}

/// Calls the function that handles a vector; returns whether there is one.
#[inline(always)]
pub fn call(vector: u8, _: IrqsOff<'_>) -> bool {
    let slots = (&raw const sys::direct_apic_vector).cast::<Handler>();
    // SAFETY: The array has an element for each vector, which is written in one piece, once.
    let handler = unsafe { slots.add(vector.into()).read_volatile() };
    match handler {
        Some(handler) => {
            handler();
            true
        }
        None => false,
    }
}
