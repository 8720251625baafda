//! Sees that what a lock guards changes only while that lock is held.
//!
//! Whenever a spin lock is taken or released, and when a call begins and ends, what is guarded is
//! compared with what it was before. The lock of what has changed has to have been held since.
//!
//! - The message of an interrupt and the masks of an MSI-X entry: the lock of the IRQ's descriptor.
//! - The masks of an MSI, and whether all messages of a function are masked: with Rust, the lock of
//!   shared registers. In C no one lock guards them.

use std::collections::BTreeMap;
use std::mem::offset_of;

use xen_sys as sys;

use super::platform::{Guard, Guarded, Platform};
use crate::services::is_locked;
use crate::side::Env;
use crate::xen::{addr, get};

impl Guard {
    /// How it is now.
    fn now(env: &Env) -> Self {
        let mut all = Vec::new();
        let shared = env.unit.of::<Platform>().register_lock;
        for device in &env.unit.of::<Platform>().devices {
            let device = *device as *mut sys::pci_dev;
            let msix = get!(device, msix);
            if shared != 0 && !msix.is_null() {
                let flags = [get!(msix, host_maskall), get!(msix, guest_maskall)];
                let state = [flags[0].into(), flags[1].into(), 0];
                let lock = shared;
                all.push(((msix as u64, false), Guarded { lock, state }));
            }
            let head = addr!(device, msi_list);
            let (mut before, mut at) = (head, get!(head, next));
            while at != head {
                let first = (at as usize).wrapping_sub(offset_of!(sys::msi_desc, list));
                // A list that leads to what was freed, or not back, is for `compare` to find.
                if !env.heap.holds(first as u64) || get!(at, prev) != before {
                    break;
                }
                Self::add(env, first as *const sys::msi_desc, &mut all);
                (before, at) = (at, get!(at, next));
            }
        }
        Self(all)
    }

    /// Whether what has changed since then is guarded by a lock that is held now.
    fn is_after(&self, before: &Self) -> Result<(), String> {
        // Mostly nothing has changed.
        if self == before {
            return Ok(());
        }
        let before: BTreeMap<_, _> = before.0.iter().copied().collect();
        for (place, guarded) in &self.0 {
            let was = before.get(place);
            let changed = was.is_some_and(|was| was.state != guarded.state);
            if changed && !is_locked(guarded.lock) {
                let what = if place.1 {
                    "masks"
                } else {
                    "a message, or mask-all"
                };
                return Err(format!("{what} changed without the lock"));
            }
        }
        Ok(())
    }

    /// Adds a block of descriptors, by its first.
    fn add(env: &Env, first: *const sys::msi_desc, all: &mut Vec<((u64, bool), Guarded)>) {
        let is_msix = get!(first, msi_attrib.type_) == sys::PCI_CAP_ID_MSIX as u8;
        let count = match is_msix {
            true => 1,
            false => get!(first, __bindgen_anon_1.msi.nvec) as usize,
        };
        for desc in (0..count).map(|number| first.wrapping_add(number)) {
            let irq = get!(desc, irq);
            if !usize::try_from(irq).is_ok_and(|irq| irq < env.unit.of::<Platform>().irqs) {
                continue;
            }
            let interrupt = env.irq_desc.wrapping_add(irq as usize);
            let own = addr!(interrupt, lock) as u64;
            let message = [
                get!(desc, msg.__bindgen_anon_1.address),
                get!(desc, msg.data).into(),
                get!(desc, msg.dest32).into(),
            ];
            let guarded = Guarded {
                lock: own,
                state: message,
            };
            all.push(((desc as u64, false), guarded));
            let attributes = get!(desc, msi_attrib);
            let masks = [attributes.host_masked(), attributes.guest_masked()].map(u64::from);
            let lock = if is_msix {
                own
            } else {
                env.unit.of::<Platform>().register_lock
            };
            if lock != 0 {
                let state = [masks[0], masks[1], 0];
                all.push(((desc as u64, true), Guarded { lock, state }));
            }
        }
    }
}

/// A call begins.
pub(super) fn begin(env: &mut Env) {
    if env.unit.of::<Platform>().counts {
        return;
    }
    env.unit.of_mut::<Platform>().guard = Some(Guard::now(env));
    env.guard = Some(look);
}

/// A call ended.
pub(super) fn end(env: &mut Env) -> Result<(), String> {
    let result = look(env);
    env.unit.of_mut::<Platform>().guard = None;
    env.guard = None;
    result
}

/// A lock is about to be taken or released: nothing has changed since the last one that was not
/// guarded by a lock that is held now. What has come or gone meanwhile had nothing else to see it.
fn look(env: &mut Env) -> Result<(), String> {
    if env.unit.of::<Platform>().guard.is_none() {
        return Ok(());
    }
    let now = Guard::now(env);
    let Some(before) = env.unit.of_mut::<Platform>().guard.take() else {
        return Ok(());
    };
    let result = now.is_after(&before);
    env.unit.of_mut::<Platform>().guard = Some(now);
    result
}
