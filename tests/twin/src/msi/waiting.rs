//! What another CPU does to masks of MSIs inside a call of the code under test; see
//! [`super::beside`].

use super::controls::change_masks;
use super::platform::{Other, Platform, Waiting, Write};
use crate::argument::word;
use crate::services;
use crate::side::with;

/// The other CPU acts if it waits for this.
fn act_if(is_now: impl FnOnce(&Platform, &[u64], &Waiting) -> bool) {
    let other = with(|env| {
        let platform = env.unit.of::<Platform>();
        let waiting = platform.waiting.as_ref()?;
        if !is_now(platform, &env.held, waiting) {
            return None;
        }
        env.unit.of_mut::<Platform>().waiting.take()
    });
    let Some(Waiting { other, .. }) = other else {
        return;
    };
    match other {
        Other::Change {
            desc,
            function,
            mask,
        } => change_masks(desc, function, mask),
        Other::Write(what) => carry_out(what),
    }
}

/// dom0 writes a register on the other CPU.
fn carry_out(what: Write) {
    let (sbdf, register) = what.register;
    type Intercept = extern "C" fn(u64, u64, u64, *mut u32) -> i32;
    // SAFETY: it is `pci_msi_conf_write_intercept()` of this side, which has this prototype.
    let intercept: Intercept = unsafe { std::mem::transmute(what.intercept) };
    let (events, irqs_on) =
        with(|env| (env.trace.len(), std::mem::replace(&mut env.irqs_on, true)));
    let result = intercept(what.pdev, word(register), word(4), what.data);
    if result >= 0 {
        with(|env| {
            let function = env.machine.pci.function(sbdf);
            // SAFETY: the place lies in the arena.
            let data = unsafe { what.data.read() };
            function.map(|function| function.write(register as usize, 4, data))
        });
        if let Some(written) = what.written {
            // SAFETY: it is `pci_msi_conf_written()` of this side, which has this prototype.
            let written: extern "C" fn() = unsafe { std::mem::transmute(written) };
            written();
        }
    }
    with(|env| {
        env.irqs_on = irqs_on;
        env.trace.truncate(events);
    });
}

/// A register was read: what another CPU does right afterwards the call does not know.
pub(super) fn after_read(sbdf: u32, register: u32) {
    act_if(|platform, held, waiting| {
        waiting.before
            && waiting.register == (sbdf, register)
            && !held.contains(&platform.register_lock)
    });
}

pub(super) extern "C" fn spin_lock_irqsave(address: u64) -> u64 {
    act_if(|platform, _, waiting| waiting.before && platform.register_lock == address);
    services::spin_lock_irqsave(address)
}

pub(super) extern "C" fn spin_unlock_irqrestore(address: u64, flags: u64) {
    services::spin_unlock_irqrestore(address, flags);
    act_if(|platform, _, waiting| !waiting.before && platform.register_lock == address);
}
