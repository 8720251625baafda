//! Interrupts as a domain names them (`struct pirq`, `xen/irq.h`).

use crate::base::view::view;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::{IrqDesc, LockedDesc};
use xen_sys as sys;

view! {
    /// A domain's name for an IRQ. For a PV domain the object is shorter than its type.
    Pirq, sys::pirq
}

impl<'a> Pirq<'a> {
    /// Locks the descriptor of the IRQ that it stands for; `None` where it stands for none.
    ///
    /// Context: the domain's event lock is held.
    pub fn lock_desc(self) -> Option<LockedDesc<'a>> {
        let mut flags = 0;
        // SAFETY: The object is alive, and the flags are a local variable.
        let desc = unsafe {
            IrqDesc::from_raw(sys::pirq_spin_lock_irq_desc(self.as_ptr(), &raw mut flags))
        }?;
        // SAFETY: C took the descriptor's lock, with IRQs off, and leaves it to its caller.
        Some(unsafe { LockedDesc::from_c(desc, flags) })
    }
}

/// Locks the descriptor of the IRQ that a domain's pirq stands for; `None` where it stands for
/// none.
///
/// Context: any; the pirq's structure is kept by a lock or an RCU section that the caller holds.
pub fn lock_domain_pirq<'a>(domain: Domain<'a>, pirq: i32) -> Option<LockedDesc<'a>> {
    let mut flags = 0;
    // SAFETY: The domain is alive as a view's, and `domain_spin_lock_irq_desc()` takes any number.
    let desc = unsafe {
        IrqDesc::from_raw(sys::domain_spin_lock_irq_desc(
            domain.as_ptr(),
            pirq,
            &raw mut flags,
        ))
    }?;
    // SAFETY: C took the descriptor's lock, with IRQs off, and leaves it to its caller.
    Some(unsafe { LockedDesc::from_c(desc, flags) })
}
