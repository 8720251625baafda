//! The functions of Xen that msi.c calls.
//!
//! Commands are recorded. Queries answer by a hash of what they are asked, so a wrong argument
//! gives a different answer.

use std::ffi::CStr;

use xen_sys as sys;

use super::platform::{Platform, call};
use super::{config, controls, pirqs, waiting};
use crate::loader::Import;
use crate::services::garble;
use crate::side::{Env, attempt, fault, record, with};
use crate::trace::Event;

/// Room for `struct cpuinfo_x86`, the FADT and `struct genapic`.
const CPU: usize = 256;
const FADT: usize = 276;
const GENAPIC: usize = 64;

pub(super) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "_spin_lock_irqsave" => waiting::spin_lock_irqsave as *const (),
        "_spin_unlock_irqrestore" => waiting::spin_unlock_irqrestore as *const (),
        "pci_conf_read8" => config::read8 as *const (),
        "pci_conf_read16" => config::read16 as *const (),
        "pci_conf_read32" => config::read32 as *const (),
        "pci_conf_write8" => config::write8 as *const (),
        "pci_conf_write16" => config::write16 as *const (),
        "pci_conf_write32" => config::write32 as *const (),
        "pci_find_ext_capability" => config::pci_find_ext_capability as *const (),
        "pci_get_pdev" => config::pci_get_pdev as *const (),
        "pci_iterate_devices" => config::pci_iterate_devices as *const (),
        "pci_intx" => config::pci_intx as *const (),
        "pcidevs_lock_unsafe" => config::pcidevs_lock as *const (),
        "pcidevs_unlock" => config::pcidevs_unlock as *const (),
        "__set_fixmap" => set_fixmap as *const (),
        "rangeset_add_range" => rangeset_add_range as *const (),
        "rangeset_remove_range" => rangeset_remove_range as *const (),
        "rangeset_overlaps_range" => rangeset_overlaps_range as *const (),
        "destroy_irq" => controls::destroy_irq as *const (),
        "set_desc_affinity" => controls::set_desc_affinity as *const (),
        "shim_update_ire_from_msi" => controls::shim_update as *const (),
        "irq_complete_move" => controls::irq_complete_move as *const (),
        "move_native_irq" => controls::move_native_irq as *const (),
        "end_nonmaskable_irq" => controls::end_nonmaskable_irq as *const (),
        "irq_startup_none" => controls::irq_startup_none as *const (),
        "irq_actor_none" => controls::irq_actor_none as *const (),
        "radix_tree_lookup" => pirqs::radix_tree_lookup as *const (),
        "page_is_ram_type" => page_is_ram_type as *const (),
        "pt_irq_destroy_bind" => pirqs::pt_irq_destroy_bind as *const (),
        "knownalive_domain_from_domid" => pirqs::knownalive_domain_from_domid as *const (),
        "pirq_get_info" => pirqs::pirq_get_info as *const (),
        "unmap_domain_pirq" => pirqs::unmap_domain_pirq as *const (),
        "register_keyhandler" => register_keyhandler as *const (),
        "vpci_dump_msi" => vpci_dump_msi as *const (),
        "__bitmap_and" => bitmap_and as *const (),
        "__bitmap_intersects" => bitmap_intersects as *const (),
        "x2apic_enabled" | "iommu_intremap" => return Some(Import::Variable(1)),
        "nr_irqs" | "nr_cpu_ids" | "nr_cpumask_bits" | "system_state" => {
            return Some(Import::Variable(4));
        }
        "irq_desc" | "domain_list" | "hardware_domain" | "dom_io" | "mmio_ro_ranges" => {
            return Some(Import::Variable(8));
        }
        "per_cpu__scratch_cpumask" => return Some(Import::PerCpu(8)),
        "cpu_online_map" => return Some(Import::Variable(size_of::<sys::cpumask>())),
        "no_irq_type" => return Some(Import::Variable(size_of::<sys::hw_interrupt_type>())),
        "iommu_ops" => return Some(Import::Variable(size_of::<sys::iommu_ops>())),
        "boot_cpu_data" => return Some(Import::Variable(CPU)),
        "acpi_gbl_FADT" => return Some(Import::Variable(FADT)),
        "genapic" => return Some(Import::Variable(GENAPIC)),
        _ => return None,
    };
    Some(Import::Call(function as usize))
}

extern "C" fn set_fixmap(slot: u32, page: u64, flags: u64) {
    attempt(|env| {
        call(env, "__set_fixmap", &[slot.into(), page, flags]);
        // It flushes the TLBs of all CPUs.
        if !env.irqs_on {
            return Err("the fixmap changes with interrupts off".to_owned());
        }
        let page = (flags != 0).then_some(page);
        env.machine.pci.map(slot as usize, page)
    });
}

/// Sees that it is about the set of pages that dom0 may not write, and that the lock of that may be
/// taken.
fn check_set(env: &Env, set: u64, (first, last): (u64, u64)) -> Result<(), String> {
    if !env.irqs_on {
        return Err("a set of pages with interrupts off".to_owned());
    }
    if set != env.unit.of::<Platform>().read_only {
        return Err("a range of another set".to_owned());
    }
    if first > last {
        return Err(format!("a range from {first:#x} to {last:#x}"));
    }
    Ok(())
}

extern "C" fn rangeset_add_range(set: u64, first: u64, last: u64) -> i32 {
    attempt(|env| {
        call(env, "rangeset_add_range", &[first, last]);
        check_set(env, set, (first, last))?;
        let result = env.script.outcome();
        if result == 0 {
            env.machine.pci.read_only.add((first, last));
        } else {
            env.unit.of_mut::<Platform>().not_protected = true;
        }
        Ok(result)
    })
}

extern "C" fn rangeset_remove_range(set: u64, first: u64, last: u64) -> i32 {
    attempt(|env| {
        call(env, "rangeset_remove_range", &[first, last]);
        check_set(env, set, (first, last))?;
        let result = env.script.outcome();
        if result == 0 {
            env.machine.pci.read_only.remove((first, last));
        }
        Ok(result)
    })
}

extern "C" fn rangeset_overlaps_range(set: u64, first: u64, last: u64) -> u64 {
    attempt(|env| {
        check_set(env, set, (first, last))?;
        Ok(garble(env.machine.pci.read_only.overlaps((first, last))))
    })
}

/// Tables are in no memory of the machine.
extern "C" fn page_is_ram_type() -> i32 {
    0
}

extern "C" fn register_keyhandler(key: u64, function: u64, name: u64, diagnostic: u64) {
    // SAFETY: the caller passes a string.
    let name = unsafe { CStr::from_ptr(name as *const _) };
    if (key as u8, name, diagnostic as u8) != (b'M', c"dump MSI state", 1) {
        fault(format!("a handler of key {} that is {name:?}", key as u8));
    }
    with(|env| env.unit.of_mut::<Platform>().key_handler = function);
}

extern "C" fn vpci_dump_msi() {
    record(Event::Call("vpci_dump_msi", [0; 6]));
}

/// The words of a bitmap of so many bits.
fn words(bits: u32) -> usize {
    (bits as usize).div_ceil(64)
}

extern "C" fn bitmap_and(result: *mut u64, a: *const u64, b: *const u64, bits: u32) {
    for at in 0..words(bits) {
        // SAFETY: the caller passes three bitmaps of so many bits.
        unsafe { result.add(at).write(a.add(at).read() & b.add(at).read()) };
    }
}

extern "C" fn bitmap_intersects(a: *const u64, b: *const u64, bits: u32) -> i32 {
    // SAFETY: the caller passes two bitmaps of so many bits; those beyond are zero in a world.
    let mut all = (0..words(bits)).map(|at| unsafe { a.add(at).read() & b.add(at).read() });
    all.any(|word| word != 0).into()
}
