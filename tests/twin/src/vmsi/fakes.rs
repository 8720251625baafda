//! The functions of Xen that vmsi.c calls.
//!
//! Queries answer by a hash of their arguments and of the call's salt, so a wrong argument gives a
//! different answer. Commands are recorded, and leave the marks on the world that the caller could
//! see.

use xen_sys as sys;

use super::pcidevs;
use super::platform::Platform;
use super::world::{act_at_lock, guest_masked, hvm, set_guest_masked, vlapic};
use crate::loader::Import;
use crate::machine::looked;
use crate::rng::mix;
use crate::services::{flags, garble, is_locked, lock};
use crate::side::{Env, attempt, record, with};
use crate::trace::Event;
use crate::xen::{addr, get, set};

pub(super) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "_spin_lock_irqsave" => spin_lock_irqsave as *const (),
        "pirq_spin_lock_irq_desc" => pirq_spin_lock_irq_desc as *const (),
        "domain_spin_lock_irq_desc" => domain_spin_lock_irq_desc as *const (),
        "guest_mask_msi_irq" => guest_mask_msi_irq as *const (),
        "vlapic_match_dest" => vlapic_match_dest as *const (),
        "vlapic_lowest_prio" => vlapic_lowest_prio as *const (),
        "vlapic_set_irq" => vlapic_set_irq as *const (),
        "hvm_next_io_handler" => hvm_next_io_handler as *const (),
        "pci_conf_read32" => pci_conf_read32 as *const (),
        "hvmemul_cache_disable" => hvmemul_cache_disable as *const (),
        "hvmemul_cache_restore" => hvmemul_cache_restore as *const (),
        "hvm_copy_from_guest_phys" => hvm_copy_from_guest_phys as *const (),
        "pt_irq_create_bind" => pt_irq_create_bind as *const (),
        "pt_irq_destroy_bind" => pt_irq_destroy_bind as *const (),
        "allocate_and_map_msi_pirq" => allocate_and_map_msi_pirq as *const (),
        "unmap_domain_pirq" => unmap_domain_pirq as *const (),
        "irq_desc" => return Some(Import::Variable(8)),
        "nr_irqs" => return Some(Import::Variable(4)),
        _ => return pcidevs::import(name),
    };
    Some(Import::Call(function as usize))
}

/// Another CPU may change what an interrupt's descriptor stands for until its lock is granted.
extern "C" fn spin_lock_irqsave(address: u64) -> u64 {
    with(|env| {
        let first = addr!(env.irq_desc, lock) as u64;
        let number = address.wrapping_sub(first) as usize / size_of::<sys::irq_desc>();
        let desc = env.irq_desc.wrapping_add(number);
        if addr!(desc, lock) as u64 == address {
            act_at_lock(env, desc);
        }
    });
    attempt(|env| {
        let flags = flags(env);
        lock(env, address, true).map(|()| flags)
    })
}

fn lock_desc(env: &mut Env, desc: *mut sys::irq_desc, saved: *mut u64) -> Result<u64, String> {
    if !saved.is_null() {
        // SAFETY: the caller passes a place for the flags.
        unsafe { saved.write(flags(env)) };
    } else if !env.irqs_on {
        return Err("a descriptor locked without saved flags while interrupts are off".to_owned());
    }
    lock(env, addr!(desc, lock) as u64, true)?;
    Ok(desc as u64)
}

fn lock_pirq(env: &mut Env, pirq: *mut sys::pirq, saved: *mut u64) -> Result<u64, String> {
    match get!(pirq, arch.irq) {
        irq if irq > 0 => lock_desc(env, env.irq_desc.wrapping_add(irq as usize), saved),
        _ => Ok(0),
    }
}

extern "C" fn pirq_spin_lock_irq_desc(pirq: *mut sys::pirq, saved: *mut u64) -> u64 {
    attempt(|env| lock_pirq(env, pirq, saved))
}

extern "C" fn domain_spin_lock_irq_desc(domain: u64, pirq: i32, saved: *mut u64) -> u64 {
    attempt(|env| {
        let place = env.arena.offset(domain);
        env.record(Event::Call(
            "domain_spin_lock_irq_desc",
            [place, u64::from(pirq as u32), 0, 0, 0, 0],
        ));
        let mut pirqs = env.unit.of::<Platform>().pirqs.iter();
        let found = pirqs.find(|(owner, number, _)| (*owner, *number) == (domain, pirq));
        match found.map(|(_, _, pirq)| *pirq) {
            Some(pirq) => lock_pirq(env, pirq, saved),
            None => Ok(0),
        }
    })
}

/// The lowest byte is the bool; the psABI says nothing of the others.
fn truth(argument: u64) -> bool {
    argument as u8 != 0
}

extern "C" fn guest_mask_msi_irq(desc: *mut sys::irq_desc, mask: u64) {
    attempt(|env| {
        let place = env.offset(desc);
        env.record(Event::Call(
            "guest_mask_msi_irq",
            [place, u64::from(truth(mask)), 0, 0, 0, 0],
        ));
        if !is_locked(addr!(desc, lock) as u64) {
            return Err("guest_mask_msi_irq() without the descriptor's lock".to_owned());
        }
        let msi = looked::truth(&env.machine.looked, get!(desc, msi_desc) as usize);
        let msi = msi as *mut sys::msi_desc;
        if msi.is_null() && env.unit.of::<Platform>().pcidevs.is_some() {
            return Err("guest_mask_msi_irq() of C without an MSI".to_owned());
        }
        if !msi.is_null() && guest_masked(msi) != truth(mask) {
            set_guest_masked(msi, truth(mask));
        }
        Ok(())
    });
}

extern "C" fn vlapic_match_dest(
    target: u64,
    source: u64,
    shorthand: i32,
    dest: u32,
    logical: u64,
) -> u64 {
    with(|env| {
        let word =
            env.arena.offset(target) << 32 ^ u64::from(dest) << 1 ^ u64::from(truth(logical));
        let odd = source ^ u64::from(shorthand as u32) << 20;
        garble(mix(word ^ odd ^ env.script.salt).is_multiple_of(3))
    })
}

extern "C" fn vlapic_lowest_prio(
    domain: *mut sys::domain,
    source: u64,
    shorthand: i32,
    dest: u32,
    logical: u64,
) -> u64 {
    with(|env| {
        let odd = source ^ u64::from(shorthand as u32) << 20;
        let hash = mix(u64::from(dest) << 1 ^ u64::from(truth(logical)) ^ odd ^ env.script.salt);
        if hash.is_multiple_of(4) {
            return 0;
        }
        let number = (hash >> 8) as usize % get!(domain, max_vcpus) as usize;
        let table = get!(domain, vcpu);
        // SAFETY: the domain's table has max_vcpus entries.
        let vcpu = unsafe { table.wrapping_add(number).read() };
        vlapic(vcpu) as u64
    })
}

extern "C" fn vlapic_set_irq(target: u64, vector: u8, trigger: u8) {
    with(|env| {
        let place = env.arena.offset(target);
        env.record(Event::Call(
            "vlapic_set_irq",
            [place, u64::from(vector), u64::from(trigger), 0, 0, 0],
        ));
    });
}

extern "C" fn hvm_next_io_handler(domain: *mut sys::domain) -> u64 {
    with(|env| {
        let place = env.offset(domain);
        env.record(Event::Call("hvm_next_io_handler", [place, 0, 0, 0, 0, 0]));
        if env.script.outcome() != 0 {
            return 0;
        }
        let count = get!(hvm(domain), io_handler_count);
        set!(hvm(domain), io_handler_count, count + 1);
        get!(hvm(domain), io_handler).wrapping_add(count as usize) as u64
    })
}

/// Rust alone asks where the pending bits are, as often as it likes.
extern "C" fn pci_conf_read32(sbdf: u32, register: u32) -> u32 {
    with(|env| {
        let function = env.machine.pci.function(sbdf);
        function.map_or(u32::MAX, |function| function.read(register as usize, 4))
    })
}

extern "C" fn hvmemul_cache_disable(vcpu: u64) -> u64 {
    with(|env| {
        let place = env.arena.offset(vcpu);
        env.record(Event::Call("hvmemul_cache_disable", [place, 0, 0, 0, 0, 0]));
        mix(env.script.salt)
    })
}

extern "C" fn hvmemul_cache_restore(vcpu: u64, token: u32) {
    with(|env| {
        let place = env.arena.offset(vcpu);
        env.record(Event::Call(
            "hvmemul_cache_restore",
            [place, u64::from(token), 0, 0, 0, 0],
        ));
    });
}

/// A dword of the memory that the world has.
fn guest_dword(env: &Env, address: u64) -> Option<u32> {
    let memory = &env.unit.of::<Platform>().guest_memory;
    memory.iter().find_map(|(start, bytes)| {
        let at = usize::try_from(address.checked_sub(*start)?).ok()?;
        let dword = bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*dword))
    })
}

extern "C" fn hvm_copy_from_guest_phys(buffer: *mut u32, address: u64, len: u32) -> u32 {
    record(Event::Call(
        "hvm_copy_from_guest_phys",
        [address, u64::from(len), 0, 0, 0, 0],
    ));
    attempt(|env| {
        if len != 4 {
            return Err(format!("a copy of {len} bytes from the guest"));
        }
        let value = if env.unit.of::<Platform>().guest_memory.is_empty() {
            let hash = mix(address ^ env.script.salt);
            (!hash.is_multiple_of(4)).then_some((hash >> 8) as u32)
        } else {
            guest_dword(env, address)
        };
        let Some(value) = value else {
            return Ok(sys::HVMTRANS_bad_gfn_to_mfn);
        };
        // SAFETY: the caller passes room for as many bytes as it asks for.
        unsafe { buffer.write_unaligned(value) };
        Ok(sys::HVMTRANS_okay)
    })
}

extern "C" fn pt_irq_create_bind(domain: u64, bind: *const sys::xen_domctl_bind_pt_irq) -> i32 {
    // SAFETY: the caller passes a request of type MSI, all of whose fields C sets.
    let message = unsafe { (*bind).u.msi };
    let (irq, kind) = (get!(bind, machine_irq), get!(bind, irq_type));
    with(|env| {
        let place = env.arena.offset(domain);
        let told = [
            place,
            u64::from(irq),
            u64::from(kind),
            u64::from(message.gvec),
            u64::from(message.gflags),
            message.gtable,
        ];
        env.record(Event::Call("pt_irq_create_bind", told));
        env.script.outcome()
    })
}

extern "C" fn pt_irq_destroy_bind(domain: u64, bind: *const sys::xen_domctl_bind_pt_irq) -> i32 {
    let (irq, kind) = (get!(bind, machine_irq), get!(bind, irq_type));
    with(|env| {
        let place = env.arena.offset(domain);
        env.record(Event::Call(
            "pt_irq_destroy_bind",
            [place, u64::from(irq), u64::from(kind), 0, 0, 0],
        ));
        env.script.outcome()
    })
}

extern "C" fn allocate_and_map_msi_pirq(
    domain: u64,
    index: i32,
    pirq: *mut i32,
    kind: i32,
    info: *const sys::msi_info,
) -> i32 {
    let device = get!(info, sbdf.sbdf);
    let (entry, table) = (get!(info, entry_nr), get!(info, table_base));
    // SAFETY: the caller passes a place for the pirq, set to the wish for a free one.
    let wish = unsafe { pirq.read() };
    with(|env| {
        let place = env.arena.offset(domain);
        let pair = |low: i32, high: i32| u64::from(low as u32) | u64::from(high as u32) << 32;
        let told = [
            place,
            pair(index, wish),
            kind as u64,
            u64::from(device),
            entry as u64,
            table,
        ];
        env.record(Event::Call("allocate_and_map_msi_pirq", told));
        let error = env.script.outcome();
        if error == 0 {
            // SAFETY: as above.
            unsafe { pirq.write(8 + (mix(env.script.salt) % 24) as i32) };
        }
        error
    })
}

extern "C" fn unmap_domain_pirq(domain: u64, pirq: i32) -> i32 {
    with(|env| {
        let place = env.arena.offset(domain);
        env.record(Event::Call(
            "unmap_domain_pirq",
            [place, u64::from(pirq as u32), 0, 0, 0, 0],
        ));
        env.script.outcome()
    })
}
