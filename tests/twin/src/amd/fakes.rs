//! The functions of Xen that iommu_intr.c calls.
//!
//! A command is recorded with a digest of the table that it is about, as it stands in memory at
//! that moment: a command that comes too early has another one.

use xen_sys as sys;

use super::platform::{Platform, Pointers};
use crate::heap::words_of;
use crate::loader::Import;
use crate::rng::mix;
use crate::side::{Env, attempt, with};
use crate::trace::Event;
use crate::vtd::fakes::ioapic_write_entry;
use crate::xen::get;

/// Room for `struct cpuinfo_x86`.
const CPU: usize = 256;
const IO_APICS: usize = sys::MAX_IO_APICS as usize;

pub(super) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "get_ivrs_mappings" => get_ivrs_mappings as *const (),
        "get_dma_requestor_id" => get_dma_requestor_id as *const (),
        "find_iommu_for_device" => find_iommu_for_device as *const (),
        "iterate_ivrs_entries" => iterate_ivrs_entries as *const (),
        "amd_iommu_prepare" => amd_iommu_prepare as *const (),
        "amd_iommu_flush_intremap" => amd_iommu_flush_intremap as *const (),
        "alloc_xenheap_pages" => alloc_xenheap_pages as *const (),
        "free_xenheap_pages" => free_xenheap_pages as *const (),
        "__ioapic_write_entry" => ioapic_write_entry as *const (),
        "x2apic_enabled"
        | "amd_iommu_perdev_intremap"
        | "iommu_debug"
        | "iommu_enable"
        | "iommu_intremap" => return Some(Import::Variable(1)),
        "nr_ioapics" | "ivrs_bdf_entries" => return Some(Import::Variable(4)),
        "xen_phys_start" => return Some(Import::Variable(8)),
        "amd_iommu_head" => return Some(Import::Variable(size_of::<sys::list_head>())),
        "boot_cpu_data" => return Some(Import::Variable(CPU)),
        "nr_ioapic_entries" => return Some(Import::Variable(4 * IO_APICS)),
        "mp_ioapics" => {
            let size = size_of::<sys::mpc_config_ioapic>() * IO_APICS;
            return Some(Import::Variable(size));
        }
        _ => return None,
    };
    Some(Import::Call(function as usize))
}

extern "C" fn get_ivrs_mappings(segment: u16) -> u64 {
    with(|env| env.unit.of::<Platform>().segment(segment) as u64)
}

extern "C" fn get_dma_requestor_id(segment: u16, id: u16) -> i32 {
    attempt(|env| {
        let found = env.unit.of::<Platform>().of_accesses((segment, id));
        found
            .map(i32::from)
            .ok_or_else(|| format!("the requester of {segment:04x}:{id:04x}, which is none"))
    })
}

extern "C" fn find_iommu_for_device(segment: i32, id: i32) -> u64 {
    attempt(|env| {
        let place = (u16::try_from(segment), u16::try_from(id));
        let (Ok(segment), Ok(id)) = place else {
            return Err("an IOMMU for what is no device".to_owned());
        };
        Ok(env.unit.of_mut::<Platform>().serving((segment, id)) as u64)
    })
}

type Handler = extern "C" fn(*mut sys::amd_iommu, *mut sys::ivrs_mappings, u64) -> i32;

extern "C" fn iterate_ivrs_entries(handler: usize) -> i32 {
    let (segments, count) = with(|env| {
        (
            env.unit.of::<Platform>().segments.clone(),
            env.unit.of::<Platform>().requester_count,
        )
    });
    // SAFETY: What is under test passes one of its functions, which has this prototype.
    let handler: Handler = unsafe { std::mem::transmute(handler) };
    for (_, mappings) in segments {
        for id in 0..count {
            let mapping = mappings.wrapping_add(id as usize);
            let iommu = get!(mapping, iommu);
            if !iommu.is_null() && u32::from(get!(mapping, dte_requestor_id)) == id {
                let result = handler(iommu, mapping, crate::argument::word(id));
                if result != 0 {
                    return result;
                }
            }
        }
    }
    0
}

extern "C" fn amd_iommu_prepare(extended: u8) -> i32 {
    with(|env| {
        let told = [u64::from(extended), 0, 0, 0, 0, 0];
        env.record(Event::Call("amd_iommu_prepare", told));
        env.unit.of::<Platform>().prepared
    })
}

/// What tells two states of a table apart.
pub(super) fn digest(env: &Env, table: usize) -> u64 {
    let bytes = env.unit.of::<Platform>().table(&env.arena, table);
    words_of(bytes).fold(bytes.len() as u64, |sum, word| mix(sum ^ word))
}

extern "C" fn amd_iommu_flush_intremap(iommu: *mut sys::amd_iommu, id: u16) {
    attempt(|env| {
        let number = env
            .unit
            .of::<Platform>()
            .iommus
            .iter()
            .position(|known| *known == iommu);
        let number = number.ok_or("a command to what is no IOMMU")?;
        let mapping = env.unit.of::<Platform>().requester((get!(iommu, seg), id));
        let mapping = mapping.ok_or("a command about what is no requester")?;
        let state = digest(env, get!(mapping, intremap_table) as usize);
        let told = [number as u64, u64::from(id), state, 0, 0, 0];
        env.record(Event::Call(FLUSH, told));
        if let Some((_, users)) = env
            .unit
            .of_mut::<Platform>()
            .meanwhile
            .take_if(|(after, _)| *after == id)
        {
            users.into_iter().for_each(Pointers::set);
        }
        Ok(())
    });
}

/// The command that makes an IOMMU forget what it keeps of a requester's table.
pub(super) const FLUSH: &str = "amd_iommu_flush_intremap";

extern "C" fn alloc_xenheap_pages(order: u32, flags: u32) -> u64 {
    attempt(|env| {
        if flags != 0 || !env.irqs_on {
            return Err("pages of another kind, or with interrupts off".to_owned());
        }
        if env.heap.refuses() {
            return Ok(0);
        }
        Ok(env
            .unit
            .of_mut::<Platform>()
            .allocate(&mut env.arena, order)
            .unwrap_or(0))
    })
}

extern "C" fn free_xenheap_pages(address: u64, order: u32) {
    attempt(|env| {
        let offset = env.arena.offset(address);
        if let Some(noted) = env
            .unit
            .of_mut::<Platform>()
            .free(&mut env.arena, address, order)?
        {
            let told = [offset, order.into(), noted.into(), 0, 0, 0];
            env.record(Event::Call("free_xenheap_pages", told));
        }
        Ok(())
    });
}
