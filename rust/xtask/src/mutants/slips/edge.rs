//! Slips in the edge to Xen that all units share.

use super::super::slip::{Slip, slip};

const LOCK: &str = "xen/src/sync/lock.rs";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "a lock with IRQs off is dropped at once and taken again at its end",
        LOCK,
        "",
        "sys::_spin_lock_irqsave(lock)",
        "{
            let flags = sys::_spin_lock_irqsave(lock);
            if $slipped {
                sys::_spin_unlock_irqrestore(lock, flags);
            }
            flags
        }",
    )
    .and(
        "sys::_spin_unlock_irqrestore(lock, flags)",
        "{
            let mut flags = flags;
            if $slipped {
                flags = sys::_spin_lock_irqsave(lock);
            }
            sys::_spin_unlock_irqrestore(lock, flags)
        }",
    ),
    slip(
        "a lock that interrupts take not is dropped at once and taken again at its end",
        LOCK,
        "",
        "sys::_spin_lock(lock)",
        "{
            sys::_spin_lock(lock);
            if $slipped {
                sys::_spin_unlock(lock);
            }
        }",
    )
    .and(
        "sys::_spin_unlock(lock)",
        "{
            if $slipped {
                sys::_spin_lock(lock);
            }
            sys::_spin_unlock(lock)
        }",
    ),
    slip(
        "a lock for reading is dropped at once and taken again at its end",
        LOCK,
        "",
        "sys::shim_read_lock(lock)",
        "{
            sys::shim_read_lock(lock);
            if $slipped {
                sys::shim_read_unlock(lock);
            }
        }",
    )
    .and(
        "sys::shim_read_unlock(lock)",
        "{
            if $slipped {
                sys::shim_read_lock(lock);
            }
            sys::shim_read_unlock(lock)
        }",
    ),
    slip(
        "a lock for writing is dropped at once and taken again at its end",
        LOCK,
        "",
        "sys::shim_write_lock(lock)",
        "{
            sys::shim_write_lock(lock);
            if $slipped {
                sys::shim_write_unlock(lock);
            }
        }",
    )
    .and(
        "sys::shim_write_unlock(lock)",
        "{
            if $slipped {
                sys::shim_write_lock(lock);
            }
            sys::shim_write_unlock(lock)
        }",
    ),
    slip(
        "the lock of all functions is dropped at once and taken again at its end",
        LOCK,
        "",
        "sys::shim_pcidevs_lock()",
        "{
            sys::shim_pcidevs_lock();
            if $slipped {
                sys::pcidevs_unlock();
            }
        }",
    )
    .and(
        "sys::pcidevs_unlock()",
        "{
            if $slipped {
                sys::shim_pcidevs_lock();
            }
            sys::pcidevs_unlock()
        }",
    ),
    slip(
        "a domain that is still being created is looked at",
        "xen/src/objects/domain.rs",
        "",
        "look_for_hardware_domain(address)",
        "unsafe { Domain::from_raw(address as *mut _) }.map(Domain::was_created_as_hvm)",
    ),
    slip(
        "an event lock is not taken",
        "xen/src/sync/rwlock.rs",
        "",
        "let lock = unsafe { Guard::take(&raw mut (*domain.as_ptr()).event_lock) };
        Self {
            domain,
            _lock: Some(lock),",
        "let take = || unsafe { Guard::take(&raw mut (*domain.as_ptr()).event_lock) };
        Self {
            domain,
            _lock: (!$slipped).then(take),",
    ),
    slip(
        "guest memory is read through the emulator's cache",
        "xen/src/arch/cpu.rs",
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
