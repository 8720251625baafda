//! What domains have mapped and bound, as irq.c and hvm.c keep it.
//!
//! A function that is removed leaves none of it behind: a pirq that is unmapped while it is bound
//! keeps the number of the IRQ, and one that is not unmapped leads to whatever gets the IRQ next.
//! Its number is not given out again: the domain's device model, which is not told, may unmap it
//! later.
//!
//! The functions that stand for Xen's want the locks that Xen's assert or take, and fail as those
//! do. The salt of the step decides which calls fail.

use std::mem::offset_of;

use xen_sys as sys;

use super::descs::Found;
use super::platform::{IRQ_GUEST, Info, Pirq, Platform};
use super::world::World;
use crate::rng::mix;
use crate::side::{Env, Side, attempt};
use crate::xen::{addr, get, is_write_locked, set};

/// The lowest pirq of an MSI.
const LOWEST: i32 = 16;

/// What XSM answers where a policy forbids to unmap an IRQ: the default policy, and a loaded one.
const FORBIDDEN: [i32; 2] = [-libc::EPERM, -libc::EACCES];

/// What a call that can fail does.
enum Unmapping {
    /// XSM refuses it, with this error; nothing changes.
    Refused(i32),
    /// All is done, but the right to the IRQ stays with the domain, for lack of memory.
    Denial,
    Done,
}

/// What unmapping a pirq does in this step.
fn unmapping(env: &Env, pirq: i32) -> Unmapping {
    let hash = mix(env.script.salt ^ (pirq as u64) << 32);
    match hash % 8 {
        0 | 1 => Unmapping::Refused(FORBIDDEN[hash as usize % 2]),
        2 => Unmapping::Denial,
        _ => Unmapping::Done,
    }
}

/// Whether there is no memory for the structure of a pirq.
fn lacks_memory(env: &Env, pirq: i32) -> bool {
    mix(env.script.salt ^ (pirq as u64) << 16).is_multiple_of(8)
}

/// Whether a PV domain has bound a pirq to an event channel.
fn has_channel(env: &Env, pirq: i32) -> bool {
    mix(env.script.salt ^ (pirq as u64) << 8).is_multiple_of(4)
}

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
            refused: false,
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

/// Sees that nothing is left of a function's pirqs, after it was removed, but what XSM did not let
/// go; and that a domain that does not know gets none of their numbers for another interrupt.
/// Upstream leaves all.
pub(super) fn check_none(side: &mut Side, gone: &[(u64, i32, i32)]) -> Result<(), String> {
    let is_rust = side.image.symbol("xen_irq_dump_msi").is_ok();
    let env = side.env();
    let unreserved = std::mem::take(&mut env.unit.of_mut::<Platform>().unreserved);
    let (mut left, mut refused) = (Vec::new(), Vec::new());
    env.unit.of_mut::<Platform>().pirqs.retain(|pirq| {
        let one = (pirq.domain, pirq.number, pirq.irq);
        let is_gone = gone.contains(&one);
        if is_gone {
            left.push(one);
        }
        if pirq.refused {
            refused.push(one);
        }
        !is_gone
    });
    for one in gone.iter().filter(|_| is_rust) {
        let (domain, number, _) = *one;
        // free_domain_pirqs() does that.
        let is_left = env.unit.of::<Platform>().dying == Some(domain) || refused.contains(one);
        if is_left != left.contains(one) {
            return Err(format!(
                "pirq {number} of a function that was removed is {}mapped",
                if is_left { "un" } else { "" }
            ));
        }
        let may_be_free = is_left || unreserved.contains(&(domain, number));
        if !may_be_free && is_free(env, domain, number) {
            return Err(format!(
                "pirq {number} of a function that was removed is given out again"
            ));
        }
    }
    let mut infos = env.unit.of::<Platform>().infos.iter();
    let lost = infos.find(|info| info.keeps.is_some_and(|irq| info.info.arch.irq != irq));
    lost.map_or(Ok(()), |info| {
        Err(format!(
            "pirq {} has lost its IRQ, which it keeps",
            info.number
        ))
    })
}

/// A domain that is being destroyed is not found any more: nothing of it may be used.
fn check_alive(env: &Env, domain: u64) -> Result<(), String> {
    if env.unit.of::<Platform>().dying == Some(domain) {
        return Err("a domain that is being destroyed is used".to_owned());
    }
    Ok(())
}

/// Sees that the event lock of a domain is held for writing, and nothing with which IRQs are off.
fn check_event_lock(env: &Env, domain: u64, what: &str) -> Result<(), String> {
    if !is_write_locked(addr!(domain as *mut sys::domain, event_lock)) {
        return Err(format!("{what} without its domain's event lock"));
    }
    check_irqs_on(env, what)
}

fn check_irqs_on(env: &Env, what: &str) -> Result<(), String> {
    if !env.irqs_on || !env.held.is_empty() {
        return Err(format!("{what} with a spin lock held, or interrupts off"));
    }
    Ok(())
}

/// Sees that a domain that may be on its way out is looked at in an RCU section, or under the lock
/// that free_domain_pirqs() takes.
fn check_kept(env: &Env, what: &str) -> Result<(), String> {
    if env.rcu_nesting() == 0 && env.unit.of::<Platform>().pcidevs == 0 {
        return Err(format!("{what} while nothing keeps the domain"));
    }
    Ok(())
}

/// Finds the structure of a pirq, or makes one, for which there may be no memory.
pub(super) extern "C" fn pirq_get_info(domain: u64, number: i32) -> *mut sys::pirq {
    attempt(|env| {
        check_alive(env, domain)?;
        check_event_lock(env, domain, "the structure of a pirq is made")?;
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let mapped = pirqs.find(|pirq| (pirq.domain, pirq.number) == (domain, number));
        let irq = mapped.map(|pirq| pirq.irq);
        let without_memory = lacks_memory(env, number);
        let platform = env.unit.of_mut::<Platform>();
        let is_one = |info: &Info| (info.domain, info.number) == (domain, number);
        if irq.is_none() {
            if let Some(info) = platform.infos.iter_mut().find(|info| is_one(info)) {
                return Ok(&raw mut *info.info);
            }
            if without_memory {
                platform.unreserved.push((domain, number));
                return Ok(std::ptr::null_mut());
            }
        }
        platform.infos.retain(|info| !is_one(info));
        Ok(add_info(platform, (domain, number), irq))
    })
}

/// Adds the structure of a pirq, with the IRQ that it has to keep.
fn add_info(
    platform: &mut Platform,
    (domain, number): (u64, i32),
    keeps: Option<i32>,
) -> *mut sys::pirq {
    // SAFETY: zeroes are a structure of a pirq, and so Xen allocates it.
    let mut info: Box<sys::pirq> = Box::new(unsafe { std::mem::zeroed() });
    info.pirq = number;
    info.arch.irq = keeps.unwrap_or(0);
    platform.infos.push(Info {
        domain,
        number,
        info,
        keeps,
    });
    let last = platform.infos.last_mut().expect("it was just added");
    &raw mut *last.info
}

/// The pirq of an IRQ, in a domain's tree of them, as the tree keeps numbers.
pub(super) extern "C" fn radix_tree_lookup(root: u64, irq: u64) -> u64 {
    attempt(|env| {
        let domain = root - offset_of!(sys::domain, arch.irq_pirq) as u64;
        check_event_lock(env, domain, "the pirq of an IRQ is looked for")?;
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let found = pirqs.find(|pirq| (pirq.domain, pirq.irq as u64) == (domain, irq));
        if let Some(pirq) = found {
            check_alive(env, pirq.domain)?;
        }
        Ok(found.map_or(0, |pirq| (pirq.number as u64) << 2 | 2))
    })
}

/// Finds a domain that has pirqs.
pub(super) extern "C" fn knownalive_domain_from_domid(id: u64) -> u64 {
    attempt(|env| {
        check_kept(env, "a domain is looked for")?;
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let found =
            pirqs.find(|pirq| get!(pirq.domain as *mut sys::domain, domain_id) == id as u16);
        let found = found.filter(|pirq| env.unit.of::<Platform>().dying != Some(pirq.domain));
        Ok(found.map_or(0, |pirq| pirq.domain))
    })
}

/// Undoes a binding, which is in use in RCU sections. That the MSI is masked for its domain as well
/// is left out: upstream does not come by here, and its next writes would be others.
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
        if env.rcu_nesting() == 0 {
            return Err("a binding is undone outside of RCU sections".to_owned());
        }
        if env.unit.of::<Platform>().pcidevs == 0 {
            return Err("a binding is undone without pcidevs_lock".to_owned());
        }
        // It takes the lock itself.
        if get!(domain as *mut sys::domain, event_lock.cnts.counter) != 0 {
            return Err("a binding is undone under the domain's event lock".to_owned());
        }
        check_irqs_on(env, "a binding is undone")?;
        let irqs = env.irq_desc;
        let mut pirqs = env.unit.of_mut::<Platform>().pirqs.iter_mut();
        let found = pirqs.find(|found| found.domain == domain && found.number as u32 == pirq);
        Ok(found.map_or(-libc::EINVAL, |found| {
            unbind(irqs, found);
            0
        }))
    })
}

/// Unmaps a pirq, and frees what its IRQ has: by msi.c, as always.
pub(super) extern "C" fn unmap_domain_pirq(domain: u64, pirq: i32) -> i32 {
    let (result, frees) = attempt(|env| begin_unmapping(env, domain, pirq));
    if let Some((desc, functions)) = frees {
        for function in functions {
            type Step = extern "C" fn(*mut sys::msi_desc);
            // SAFETY: they are `pci_disable_msi()` and `msi_free_irq()` of this side's image.
            let step: Step = unsafe { std::mem::transmute(function) };
            step(desc);
        }
    }
    result
}

/// Unmaps a pirq, but for what msi.c does then: the first descriptor of a block, which is freed by
/// the functions beside it.
type Freed = (*mut sys::msi_desc, [usize; 2]);

fn begin_unmapping(env: &mut Env, domain: u64, pirq: i32) -> Result<(i32, Option<Freed>), String> {
    check_alive(env, domain)?;
    let raw = domain as *mut sys::domain;
    if env.unit.of::<Platform>().pcidevs == 0 && get!(raw, pci_lock.cnts.counter) == 0 {
        return Err(format!("pirq {pirq} is unmapped without a lock of devices"));
    }
    check_event_lock(env, domain, "a pirq is unmapped")?;
    let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
    let Some(found) = pirqs.find(|found| found.domain == domain && found.number == pirq) else {
        return Err(format!("pirq {pirq} is unmapped, which is not mapped"));
    };
    let (irq, bereft) = (found.irq, found.bereft);
    let desc = get!(env.irq_desc.wrapping_add(irq as usize), msi_desc);
    let irqs: Vec<i32> = if desc.is_null() {
        vec![irq]
    } else if get!(desc, msi_attrib.entry_nr) != 0 && !(Found { desc }).is_msix() {
        return Err(format!(
            "pirq {pirq} is unmapped, which is not a block's first"
        ));
    } else {
        let block = Found { desc };
        block.messages().map(|desc| get!(desc, irq)).collect()
    };
    let is_of = |pirq: &Pirq| pirq.domain == domain && irqs.contains(&pirq.irq);
    let unmapping = unmapping(env, pirq);
    let has_channel = get!(raw, options) & sys::XEN_IRQ_CDF_HVM as u32 == 0
        && !desc.is_null()
        && has_channel(env, pirq);
    let platform = env.unit.of_mut::<Platform>();
    if let Unmapping::Refused(errno) = unmapping {
        let refused = platform.pirqs.iter_mut().filter(|pirq| is_of(pirq));
        refused.for_each(|pirq| pirq.refused = true);
        return Ok((errno, None));
    }
    if platform.pirqs.iter().any(|pirq| is_of(pirq) && pirq.bound) {
        return Err(format!("pirq {pirq} is unmapped while it is bound"));
    }
    if desc.is_null() && !bereft {
        return Err(format!("pirq {pirq} is unmapped, whose IRQ is destroyed"));
    }
    // A channel keeps the number until it is closed.
    let (of_block, others) = std::mem::take(&mut platform.pirqs)
        .into_iter()
        .partition(|pirq| is_of(pirq));
    platform.pirqs = others;
    let of_block: Vec<Pirq> = of_block;
    for pirq in of_block.iter().filter(|_| has_channel) {
        add_info(platform, (domain, pirq.number), Some(-pirq.irq));
    }
    let result = match unmapping {
        Unmapping::Denial => -libc::ENOMEM,
        _ => 0,
    };
    let frees = (!desc.is_null()).then_some((desc, platform.unmapping));
    Ok((result, frees))
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
