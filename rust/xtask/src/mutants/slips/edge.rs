//! Slips in the edge to Xen that all units share.

use super::super::slip::{Slip, slip};

const SPIN: &str = "xen/src/sync/spin.rs";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "a lock with IRQs off is dropped at once and taken again at its end",
        SPIN,
        "",
        "let flags = unsafe { sys::_spin_lock_irqsave(lock) };",
        "let flags = unsafe { sys::_spin_lock_irqsave(lock) };
        if $slipped {
            unsafe { sys::_spin_unlock_irqrestore(lock, flags) };
        }",
    )
    .and(
        "unsafe { sys::_spin_unlock_irqrestore(self.lock, self.flags) };",
        "unsafe {
            let mut flags = self.flags;
            if $slipped {
                flags = sys::_spin_lock_irqsave(self.lock);
            }
            sys::_spin_unlock_irqrestore(self.lock, flags)
        };",
    ),
    slip(
        "a lock that interrupts take not is dropped at once and taken again at its end",
        SPIN,
        "",
        "unsafe { sys::_spin_lock(lock) };",
        "unsafe {
            sys::_spin_lock(lock);
            if $slipped {
                sys::_spin_unlock(lock);
            }
        };",
    )
    .and(
        "unsafe { sys::_spin_unlock(self.lock) };",
        "unsafe {
            if $slipped {
                sys::_spin_lock(self.lock);
            }
            sys::_spin_unlock(self.lock)
        };",
    ),
    slip(
        "a descriptor's lock is dropped at once and taken again at its end",
        "xen/src/objects/irq_desc.rs",
        "",
        "let flags = unsafe { sys::_spin_lock_irqsave(&raw mut (*self.as_ptr()).lock) };",
        "let flags = unsafe { sys::_spin_lock_irqsave(&raw mut (*self.as_ptr()).lock) };
        if $slipped {
            unsafe { sys::_spin_unlock_irqrestore(&raw mut (*self.as_ptr()).lock, flags) };
        }",
    )
    .and(
        "Some(flags) => sys::_spin_unlock_irqrestore(lock, flags),",
        "Some(mut flags) => {
                    if $slipped {
                        flags = sys::_spin_lock_irqsave(lock);
                    }
                    sys::_spin_unlock_irqrestore(lock, flags)
                }",
    ),
    slip(
        "an event lock is not taken",
        "xen/src/sync/rwlock.rs",
        "",
        "unsafe { sys::shim_write_lock(&raw mut (*domain.as_ptr()).event_lock) };
        Self {
            domain,
            unlock: true,",
        "if !$slipped {
            unsafe { sys::shim_write_lock(&raw mut (*domain.as_ptr()).event_lock) };
        }
        Self {
            domain,
            unlock: !$slipped,",
    ),
    slip(
        "guest memory is read through the emulator's cache",
        "xen/src/objects/vcpu.rs",
        "",
        "let token = sys::hvmemul_cache_disable(self.as_ptr());",
        "let token = if $slipped { 0 } else { sys::hvmemul_cache_disable(self.as_ptr()) };",
    )
    .and(
        "sys::hvmemul_cache_restore(self.as_ptr(), token);",
        "if !$slipped {
                sys::hvmemul_cache_restore(self.as_ptr(), token);
            }",
    ),
    slip(
        "messages of a block keep no entries",
        "xen/src/objects/msi_desc.rs",
        "",
        "(first + number) as i32",
        "first as i32",
    ),
    slip(
        "a destination has eight bits",
        "xen/src/objects/msi_msg.rs",
        "",
        "fixed!(self, dest32)",
        "fixed!(self, dest32) & 0xff",
    ),
];
