//! What domains have mapped and bound, as irq.c and hvm.c keep it.
//!
//! A function that is removed leaves none of it behind: a pirq that is unmapped while it is bound
//! keeps its number and that of the IRQ, and one that is not unmapped leads to whatever gets the
//! IRQ next.

use xen_sys as sys;

use super::descs::Found;
use super::world::World;
use crate::side::{Side, attempt};
use crate::xen::{addr, get};

/// A pirq that a domain has mapped.
pub(super) struct Pirq {
    domain: u64,
    irq: i32,
    /// Whether it is bound to a virtual MSI, which HVM domains do.
    bound: bool,
}

/// The pirq that a domain maps an IRQ to.
const fn number(irq: i32) -> i32 {
    irq + 16
}

/// Notes that the owner of a function has mapped a block, and bound it where it can.
pub(super) fn map(side: &mut Side, block: Found) {
    let domain = get!(get!(block.desc, dev), domain);
    let bound = get!(domain, options) & sys::XEN_IRQ_CDF_HVM as u32 != 0;
    for desc in block.messages() {
        side.env().msi.pirqs.push(Pirq {
            domain: domain as u64,
            irq: get!(desc, irq),
            bound,
        });
    }
}

/// Notes that a block is unmapped.
pub(super) fn unmap(side: &mut Side, block: Found) {
    let irqs = irqs_of_block(side, block);
    side.env()
        .msi
        .pirqs
        .retain(|pirq| !irqs.contains(&pirq.irq));
}

/// Sees that nothing is left of a function's IRQs, after it was removed. Upstream leaves all.
pub(super) fn check_none(side: &mut Side, irqs: &[i32]) -> Result<(), String> {
    let is_rust = side.image.symbol("xen_irq_dump_msi").is_ok();
    let pirqs = &mut side.env().msi.pirqs;
    let before = pirqs.len();
    pirqs.retain(|pirq| !irqs.contains(&pirq.irq));
    if is_rust && before != pirqs.len() {
        return Err("a pirq of a function that was removed is still mapped".to_owned());
    }
    Ok(())
}

/// The pirq of an IRQ, in a domain's tree of them, as the tree keeps numbers.
pub(super) extern "C" fn radix_tree_lookup(root: u64, irq: u64) -> u64 {
    attempt(|env| {
        let mut pirqs = env.msi.pirqs.iter();
        let found = pirqs.find(|pirq| {
            let domain = pirq.domain as *mut sys::domain;
            addr!(domain, arch.irq_pirq) as u64 == root && pirq.irq as u64 == irq
        });
        Ok(found.map_or(0, |pirq| (number(pirq.irq) as u64) << 2 | 2))
    })
}

/// Finds a domain that has pirqs.
pub(super) extern "C" fn knownalive_domain_from_domid(id: u64) -> u64 {
    attempt(|env| {
        let mut pirqs = env.msi.pirqs.iter();
        let found =
            pirqs.find(|pirq| get!(pirq.domain as *mut sys::domain, domain_id) == id as u16);
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
        let mut pirqs = env.msi.pirqs.iter_mut();
        let found = pirqs.find(|found| found.domain == domain && number(found.irq) as u32 == pirq);
        if let Some(found) = found {
            found.bound = false;
        }
        Ok(0)
    })
}

/// Unmaps a pirq, and frees what its IRQ has: by msi.c, as always.
pub(super) extern "C" fn unmap_domain_pirq(domain: u64, pirq: i32) -> i32 {
    let (desc, functions) = attempt(|env| {
        let mut pirqs = env.msi.pirqs.iter();
        let Some(found) = pirqs.find(|found| found.domain == domain && number(found.irq) == pirq)
        else {
            return Err(format!("pirq {pirq} is unmapped, which is not mapped"));
        };
        let irq = env.irq_desc.wrapping_add(found.irq as usize);
        let desc = get!(irq, msi_desc);
        if desc.is_null() || get!(desc, msi_attrib.entry_nr) != 0 && !(Found { desc }).is_msix() {
            return Err(format!(
                "pirq {pirq} is unmapped, which is not a block's first"
            ));
        }
        let irqs: Vec<i32> = Found { desc }
            .messages()
            .map(|desc| get!(desc, irq))
            .collect();
        let is_of = |pirq: &Pirq| pirq.domain == domain && irqs.contains(&pirq.irq);
        if env.msi.pirqs.iter().any(|pirq| is_of(pirq) && pirq.bound) {
            return Err(format!("pirq {pirq} is unmapped while it is bound"));
        }
        env.msi.pirqs.retain(|pirq| !is_of(pirq));
        Ok((desc, env.msi.unmapping))
    });
    for function in functions {
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
