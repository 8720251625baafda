//! Where Rust has vmsi.c and C has msi.c: `pcidevs_lock` keeps functions and the mappings beside
//! their tables, and an IRQ's lock keeps the MSI that its descriptor names.

use xen_sys as sys;

use super::op::Op;
use super::platform::{Holder, Pcidevs, Platform};
use crate::answer::Answer;
use crate::loader::{Image, Import};
use crate::machine::looked::Looked;
use crate::rng::mix;
use crate::services::{garble, lock, unlock};
use crate::side::{Env, Script, Side, attempt};
use crate::trace::{Entry, Event};
use crate::trap::Trap;
use crate::xen::{addr, get};

/// What the output says of an access that did not get the lock.
pub(super) const GAVE_UP: u64 = 0x676a_7665_2075_7021;

/// How often a vCPU may ask for the lock again once it is to be paused.
const PATIENCE: u32 = 4;

pub(super) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "pcidevs_lock_unsafe" => wait as *const (),
        "pcidevs_trylock_unsafe" => try_lock as *const (),
        "pcidevs_unlock" => drop_lock as *const (),
        "iommu_intpost" => return Some(Import::Variable(1)),
        _ => return None,
    };
    Some(Import::Call(function as usize))
}

/// Whether the objects of a side are Rust, with vmsi.c and without msi.c.
pub(super) fn has_c_msi(image: &Image) -> bool {
    image.symbol("shim_pcidevs_lock").is_ok() && image.symbol("pci_cleanup_msi").is_err()
}

/// Gives Rust's side the lock at an address.
pub(super) fn build(side: &mut Side, lock: u64, intpost: bool) {
    if !has_c_msi(&side.image) {
        return;
    }
    if let Some(variable) = side.image.variable("iommu_intpost") {
        // SAFETY: the variable is a byte of the image, and no call runs.
        unsafe { (variable as *mut bool).write(intpost) };
    }
    side.env().unit.of_mut::<Platform>().pcidevs = Some(Pcidevs {
        lock,
        intpost,
        holder: Holder::Nobody,
    });
}

/// Where the lock is, on a side that has it.
pub(super) fn address(side: &mut Side) -> Option<u64> {
    let pcidevs = side.env().unit.of::<Platform>().pcidevs.as_ref();
    pcidevs.map(|pcidevs| pcidevs.lock)
}

/// Begins an access of a vCPU: another CPU may have the lock, and the MSIs of IRQs that are bound
/// are to be looked at under the locks of these alone.
pub(super) fn begin(
    side: &mut Side,
    bound: impl Iterator<Item = *mut sys::irq_desc>,
    vcpu: *mut sys::vcpu,
    script: &Script,
) {
    if !has_c_msi(&side.image) {
        return;
    }
    let hash = mix(script.salt ^ 0x7063_6964);
    let tries = 1 + (hash >> 16) as u32 % 3;
    let pauses = match hash >> 32 & 1 {
        0 => addr!(vcpu, pause_count.counter),
        _ => addr!(get!(vcpu, domain), pause_count.counter),
    };
    let env = side.env();
    if let Some(pcidevs) = &mut env.unit.of_mut::<Platform>().pcidevs {
        pcidevs.holder = match hash % 8 {
            0 if pcidevs.intpost => Holder::Waits(tries, pauses),
            1 | 2 => Holder::Drops(tries),
            _ => Holder::Nobody,
        };
    }
    let looked = bound.map(|irq| {
        let msi = addr!(irq, msi_desc);
        Looked::begin(msi.cast(), addr!(irq, lock).cast_const().cast())
    });
    env.machine.looked = looked.collect();
    for (number, looked) in env.machine.looked.iter().enumerate() {
        looked.hide(number);
    }
}

/// Ends it: registers beside a table were reached with the lock held, and who did not get it did
/// nothing.
pub(super) fn end(side: &mut Side, op: &Op, answer: &mut Option<Answer>) {
    for (number, looked) in std::mem::take(&mut side.env().machine.looked)
        .iter()
        .enumerate()
    {
        looked.show(number);
    }
    let env = side.env();
    let Some(pcidevs) = &mut env.unit.of_mut::<Platform>().pcidevs else {
        return;
    };
    let place = pcidevs.lock;
    let gave_up = match std::mem::replace(&mut pcidevs.holder, Holder::Nobody) {
        Holder::Waiting(_, pauses) => {
            // SAFETY: the count is one of a vCPU or a domain in the arena.
            unsafe { *pauses -= 1 };
            true
        }
        _ => false,
    };
    let place = env.arena.offset(place);
    let mut held = false;
    let mut reached = false;
    let mut unlocked = false;
    for entry in &env.trace {
        match entry.event {
            Event::Lock { lock, .. } if lock == place => held = true,
            Event::Unlock { lock, .. } if lock == place => held = false,
            Event::MmioRead { .. } | Event::MmioWrite { .. } => {
                reached = true;
                unlocked |= !held;
            }
            _ => {}
        }
    }
    let Some(answer) = answer else {
        return;
    };
    if unlocked {
        let reason = "registers of a function were reached without pcidevs_lock".to_owned();
        answer.outcome = Err(Trap::Fault(reason));
    } else if gave_up && answer.outcome.is_ok() {
        let [okay, unhandleable] = [sys::X86EMUL_OKAY, sys::X86EMUL_UNHANDLEABLE].map(u64::from);
        let nothing = match (op, &answer.outcome) {
            // All ones beside a table; else the device model answers.
            (Op::Read { .. }, Ok(outcome)) if *outcome == okay => answer.output == Some(u64::MAX),
            (Op::Read { .. } | Op::Write { .. }, Ok(outcome)) => *outcome == unhandleable,
            (_, Ok(outcome)) => *outcome == 0,
            _ => false,
        };
        if nothing && !reached {
            answer.output = Some(GAVE_UP);
        } else {
            let reason = "a vCPU that did not get pcidevs_lock went on without it".to_owned();
            answer.outcome = Err(Trap::Fault(reason));
        }
    }
}

/// Leaves out where a descriptor's lock is taken only to look.
pub(super) fn without_looks(trace: &[Entry]) -> Vec<Entry> {
    let mut others: Vec<Entry> = Vec::new();
    for entry in trace {
        let ends = |last: &Entry| match (&last.event, &entry.event) {
            (Event::Lock { lock, irq: true }, Event::Unlock { lock: dropped, .. }) => {
                lock == dropped
            }
            _ => false,
        };
        if others.last().is_some_and(ends) {
            others.pop();
        } else {
            others.push(entry.clone());
        }
    }
    others
}

/// The lock, as one asks for it.
fn asked(env: &mut Env) -> Result<&mut Pcidevs, String> {
    if !env.irqs_on || !env.held.is_empty() {
        return Err("pcidevs_lock is taken with IRQs off or inside a spin lock".to_owned());
    }
    let pcidevs = env.unit.of_mut::<Platform>().pcidevs.as_mut();
    pcidevs.ok_or_else(|| "pcidevs_lock is taken where Rust has msi.c".to_owned())
}

extern "C" fn wait() {
    attempt(|env| {
        let pcidevs = asked(env)?;
        if pcidevs.intpost {
            return Err("a vCPU waits for a lock whose holder may wait for it".to_owned());
        }
        let address = pcidevs.lock;
        lock(env, address, false)
    });
}

extern "C" fn try_lock() -> u64 {
    attempt(|env| {
        let pcidevs = asked(env)?;
        if !pcidevs.intpost {
            return Err("pcidevs_lock is tried where it can be waited for".to_owned());
        }
        pcidevs.holder = match pcidevs.holder {
            Holder::Nobody | Holder::Drops(0) => {
                let address = pcidevs.lock;
                return lock(env, address, false).map(|()| garble(true));
            }
            Holder::Drops(tries) => Holder::Drops(tries - 1),
            Holder::Waits(0, pauses) => {
                // SAFETY: the count is one of a vCPU or a domain in the arena.
                unsafe { *pauses += 1 };
                Holder::Waiting(0, pauses)
            }
            Holder::Waits(tries, pauses) => Holder::Waits(tries - 1, pauses),
            Holder::Waiting(PATIENCE, _) => {
                return Err("a vCPU asks on for a lock whose holder waits for it".to_owned());
            }
            Holder::Waiting(asked, pauses) => Holder::Waiting(asked + 1, pauses),
        };
        Ok(garble(false))
    })
}

extern "C" fn drop_lock() {
    attempt(|env| {
        let pcidevs = env.unit.of::<Platform>().pcidevs.as_ref();
        let address = pcidevs.map_or(0, |pcidevs| pcidevs.lock);
        unlock(env, address, false)
    });
}
