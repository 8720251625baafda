//! What domains have mapped and bound, as irq.c and hvm.c keep it.
//!
//! A function that is removed leaves none of it behind: a pirq that is unmapped while it is bound
//! keeps the number of the IRQ, and one that is not unmapped leads to whatever gets the IRQ next.
//! Its number is not given out again: the domain's device model, which is not told, may unmap it
//! later.

use xen_sys as sys;

use super::descs::Found;
use super::platform::{IRQ_GUEST, Info, Pirq, Platform};
use super::world::World;
use crate::side::{Env, Side, attempt};
use crate::xen::{addr, get, set};

/// The lowest pirq of an MSI.
const LOWEST: i32 = 16;

/// Whether a domain may be given a number for another interrupt: as `is_free_pirq()` says.
fn is_free(env: &Env, domain: u64, number: i32) -> bool {
    let mapped = |pirq: &Pirq| (pirq.domain, pirq.number) == (domain, number);
    let noted =
        |info: &Info| (info.domain, info.number) == (domain, number) && info.info.arch.irq != 0;
    !env.unit.of::<Platform>().pirqs.iter().any(mapped)
        && !env.unit.of::<Platform>().infos.iter().any(noted)
}

/// Notes that the owner of a function has mapped a block, and bound it where it can. It gets the
/// lowest numbers that are free.
pub(super) fn map(side: &mut Side, block: Found) {
    let domain = get!(get!(block.desc, dev), domain);
    let bound = get!(domain, options) & sys::XEN_IRQ_CDF_HVM as u32 != 0;
    let count = block.count() as i32;
    // Xen maps an IRQ to one pirq of a domain: what it has lost is unmapped before.
    let irqs = irqs_of_block(side, block);
    let env = side.env();
    let is_old = |pirq: &Pirq| pirq.domain == domain as u64 && irqs.contains(&pirq.irq);
    env.unit
        .of_mut::<Platform>()
        .pirqs
        .retain(|pirq| !is_old(pirq));
    let fits = |first: &i32| {
        let mut numbers = *first..*first + count;
        numbers.all(|number| is_free(env, domain as u64, number))
    };
    let first = (LOWEST..).find(fits).unwrap_or(LOWEST);
    for (number, desc) in (first..).zip(block.messages()) {
        if bound {
            // By pirq_guest_bind().
            let irq = env.irq_desc.wrapping_add(get!(desc, irq) as usize);
            set!(irq, status, get!(irq, status) | IRQ_GUEST);
        }
        env.unit.of_mut::<Platform>().pirqs.push(Pirq {
            domain: domain as u64,
            number,
            irq: get!(desc, irq),
            dev: get!(desc, dev) as u64,
            bound,
            bereft: false,
        });
    }
}

/// Notes that a block is unmapped.
pub(super) fn unmap(side: &mut Side, block: Found) {
    let irqs = irqs_of_block(side, block);
    let env = side.env();
    for pirq in env.unit.of_mut::<Platform>().pirqs.iter_mut() {
        if irqs.contains(&pirq.irq) {
            unbind(env.irq_desc, pirq);
        }
    }
    env.unit
        .of_mut::<Platform>()
        .pirqs
        .retain(|pirq| !irqs.contains(&pirq.irq));
}

/// Undoes the binding of a pirq, if it is bound, as `pirq_guest_unbind()` does.
fn unbind(irqs: *mut sys::irq_desc, pirq: &mut Pirq) {
    if std::mem::take(&mut pirq.bound) {
        let irq = irqs.wrapping_add(pirq.irq as usize);
        set!(irq, status, get!(irq, status) & !IRQ_GUEST);
    }
}

/// The pirqs of a function that is about to be removed: domain, number and IRQ.
pub(super) fn of_irqs(side: &mut Side, irqs: &[i32]) -> Vec<(u64, i32, i32)> {
    let pirqs = side.env().unit.of::<Platform>().pirqs.iter();
    // One whose IRQ was destroyed may be another domain's, and the IRQ be in use again.
    let pirqs = pirqs.filter(|pirq| irqs.contains(&pirq.irq) && !pirq.bereft);
    let all = pirqs.map(|pirq| (pirq.domain, pirq.number, pirq.irq));
    all.collect()
}

/// Sees that nothing is left of a function's pirqs, after it was removed, and that a domain that
/// does not know gets none of their numbers for another interrupt. Upstream leaves all.
pub(super) fn check_none(side: &mut Side, gone: &[(u64, i32, i32)]) -> Result<(), String> {
    let is_rust = side.image.symbol("xen_irq_dump_msi").is_ok();
    let env = side.env();
    let mut left = Vec::new();
    env.unit.of_mut::<Platform>().pirqs.retain(|pirq| {
        let one = (pirq.domain, pirq.number, pirq.irq);
        let is_gone = gone.contains(&one);
        if is_gone {
            left.push(one);
        }
        !is_gone
    });
    for one in gone.iter().filter(|_| is_rust) {
        let (domain, number, _) = *one;
        // free_domain_pirqs() does that.
        let is_left = env.unit.of::<Platform>().dying == Some(domain);
        if is_left != left.contains(one) {
            return Err(format!(
                "pirq {number} of a function that was removed is {}mapped",
                if is_left { "un" } else { "" }
            ));
        }
        if !is_left && is_free(env, domain, number) {
            return Err(format!(
                "pirq {number} of a function that was removed is given out again"
            ));
        }
    }
    Ok(())
}

/// A domain that is being destroyed is not found any more: nothing of it may be used.
fn check_alive(env: &Env, domain: u64) -> Result<(), String> {
    if env.unit.of::<Platform>().dying == Some(domain) {
        return Err("a domain that is being destroyed is used".to_owned());
    }
    Ok(())
}

/// Finds the structure of a pirq, or makes one.
pub(super) extern "C" fn pirq_get_info(domain: u64, number: i32) -> *mut sys::pirq {
    attempt(|env| {
        check_alive(env, domain)?;
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let mapped = pirqs.find(|pirq| (pirq.domain, pirq.number) == (domain, number));
        let irq = mapped.map_or(0, |pirq| pirq.irq);
        let infos = &mut env.unit.of_mut::<Platform>().infos;
        infos.retain(|info| (info.domain, info.number) != (domain, number));
        // SAFETY: zeroes are a structure of a pirq, and so Xen allocates it.
        let mut info: Box<sys::pirq> = Box::new(unsafe { std::mem::zeroed() });
        info.pirq = number;
        info.arch.irq = irq;
        infos.push(Info {
            domain,
            number,
            info,
        });
        let last = infos.last_mut().expect("it was just added");
        Ok(&raw mut *last.info)
    })
}

/// The pirq of an IRQ, in a domain's tree of them, as the tree keeps numbers.
pub(super) extern "C" fn radix_tree_lookup(root: u64, irq: u64) -> u64 {
    attempt(|env| {
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let found = pirqs.find(|pirq| {
            let domain = pirq.domain as *mut sys::domain;
            addr!(domain, arch.irq_pirq) as u64 == root && pirq.irq as u64 == irq
        });
        if let Some(pirq) = found {
            check_alive(env, pirq.domain)?;
        }
        Ok(found.map_or(0, |pirq| (pirq.number as u64) << 2 | 2))
    })
}

/// Finds a domain that has pirqs.
pub(super) extern "C" fn knownalive_domain_from_domid(id: u64) -> u64 {
    attempt(|env| {
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let found =
            pirqs.find(|pirq| get!(pirq.domain as *mut sys::domain, domain_id) == id as u16);
        let found = found.filter(|pirq| env.unit.of::<Platform>().dying != Some(pirq.domain));
        Ok(found.map_or(0, |pirq| pirq.domain))
    })
}

pub(super) extern "C" fn pt_irq_destroy_bind(
    domain: u64,
    bind: *const sys::xen_domctl_bind_pt_irq,
) -> i32 {
    let (pirq, kind) = (get!(bind, machine_irq), get!(bind, irq_type));
    attempt(|env| {
        if kind != sys::XEN_IRQ_PT_IRQ_TYPE_MSI as u32 {
            return Err("something is unbound that is no MSI".to_owned());
        }
        let hvm = get!(domain as *mut sys::domain, options) & sys::XEN_IRQ_CDF_HVM as u32;
        if hvm == 0 {
            return Err("a pirq of a domain that is not HVM is unbound".to_owned());
        }
        check_alive(env, domain)?;
        let mut pirqs = env.unit.of_mut::<Platform>().pirqs.iter_mut();
        let found = pirqs.find(|found| found.domain == domain && found.number as u32 == pirq);
        if let Some(found) = found {
            unbind(env.irq_desc, found);
        }
        Ok(0)
    })
}

/// Unmaps a pirq, and frees what its IRQ has: by msi.c, as always.
pub(super) extern "C" fn unmap_domain_pirq(domain: u64, pirq: i32) -> i32 {
    let (desc, functions) = attempt(|env| {
        check_alive(env, domain)?;
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let Some(found) = pirqs.find(|found| found.domain == domain && found.number == pirq) else {
            return Err(format!("pirq {pirq} is unmapped, which is not mapped"));
        };
        let irq = env.irq_desc.wrapping_add(found.irq as usize);
        let desc = get!(irq, msi_desc);
        if desc.is_null() {
            if found.bound {
                return Err(format!("pirq {pirq} is unmapped while it is bound"));
            }
            if !found.bereft {
                return Err(format!("pirq {pirq} is unmapped, whose IRQ is destroyed"));
            }
            env.unit
                .of_mut::<Platform>()
                .pirqs
                .retain(|found| (found.domain, found.number) != (domain, pirq));
            return Ok((desc, None));
        }
        if get!(desc, msi_attrib.entry_nr) != 0 && !(Found { desc }).is_msix() {
            return Err(format!(
                "pirq {pirq} is unmapped, which is not a block's first"
            ));
        }
        let irqs: Vec<i32> = Found { desc }
            .messages()
            .map(|desc| get!(desc, irq))
            .collect();
        let is_of = |pirq: &Pirq| pirq.domain == domain && irqs.contains(&pirq.irq);
        if env
            .unit
            .of::<Platform>()
            .pirqs
            .iter()
            .any(|pirq| is_of(pirq) && pirq.bound)
        {
            return Err(format!("pirq {pirq} is unmapped while it is bound"));
        }
        env.unit
            .of_mut::<Platform>()
            .pirqs
            .retain(|pirq| !is_of(pirq));
        Ok((desc, Some(env.unit.of::<Platform>().unmapping)))
    });
    for function in functions.into_iter().flatten() {
        type Step = extern "C" fn(*mut sys::msi_desc);
        // SAFETY: they are `pci_disable_msi()` and `msi_free_irq()` of this side's image.
        let step: Step = unsafe { std::mem::transmute(function) };
        step(desc);
    }
    0
}

/// The IRQs that a function's MSIs are bound to.
pub(super) fn irqs_of(side: &mut Side, world: &World, device: usize) -> Vec<i32> {
    let all = super::descs::of_device(side, world, device).unwrap_or_default();
    let irqs = all.into_iter().map(|block| irqs_of_block(side, block));
    irqs.flatten().collect()
}

/// The IRQs that the MSIs of a block are bound to. One that is not bound yet may name an IRQ that
/// another function has.
fn irqs_of_block(side: &mut Side, block: Found) -> Vec<i32> {
    let first = side.env().irq_desc;
    let is_bound = |desc: &*mut sys::msi_desc| {
        usize::try_from(get!(*desc, irq))
            .is_ok_and(|irq| get!(first.wrapping_add(irq), msi_desc) == *desc)
    };
    let bound = block.messages().filter(is_bound);
    bound.map(|desc| get!(desc, irq)).collect()
}
