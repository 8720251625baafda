//! The functions of Xen that intremap.c calls.
//!
//! What firmware says comes from the lists of the world. Commands are recorded with the entry that
//! they are about, as it stands in memory at that moment: a command that comes too early has
//! another one.

use xen_sys as sys;

use super::firmware::Firmware;
use crate::loader::Import;
use crate::machine::vtd::QUEUE;
use crate::rng::mix;
use crate::services::garble;
use crate::side::{Env, attempt, record, with};
use crate::trace::Event;
use crate::xen::get;

/// Room for `struct cpuinfo_x86`.
const CPU: usize = 256;
const IO_APICS: usize = sys::MAX_IO_APICS as usize;

pub(super) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "find_upstream_bridge" => find_upstream_bridge as *const (),
        "pdev_type" => pdev_type as *const (),
        "acpi_find_matched_drhd_unit" => acpi_find_matched_drhd_unit as *const (),
        "hpet_to_drhd" => hpet_to_drhd as *const (),
        "hpet_to_iommu" => hpet_to_iommu as *const (),
        "ioapic_to_drhd" => ioapic_to_drhd as *const (),
        "ioapic_to_iommu" => ioapic_to_iommu as *const (),
        "platform_supports_intremap" => platform_supports_intremap as *const (),
        "platform_supports_x2apic" => platform_supports_x2apic as *const (),
        "get_s_time" => get_s_time as *const (),
        "alloc_pgtable_maddr" => alloc_pgtable_maddr as *const (),
        "map_vtd_domain_page" => map_vtd_domain_page as *const (),
        "unmap_vtd_domain_page" => unmap_vtd_domain_page as *const (),
        "cache_writeback" => cache_writeback as *const (),
        "iommu_flush_iec_index" => iommu_flush_iec_index as *const (),
        "iommu_flush_iec_global" => iommu_flush_iec_global as *const (),
        "clear_fault_bits" => clear_fault_bits as *const (),
        "enable_qinval" => enable_qinval as *const (),
        "disable_qinval" => disable_qinval as *const (),
        "__ioapic_read_entry" => ioapic_read_entry as *const (),
        "__ioapic_write_entry" => ioapic_write_entry as *const (),
        "x2apic_enabled" | "iommu_non_coherent" | "iommu_enable" | "iommu_qinval"
        | "iommu_intremap" | "kexecing" => return Some(Import::Variable(1)),
        "nr_ioapics" | "system_state" => return Some(Import::Variable(4)),
        "xen_phys_start" => return Some(Import::Variable(8)),
        "acpi_drhd_units" => return Some(Import::Variable(size_of::<sys::list_head>())),
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

/// What firmware says, by the world that runs now.
fn firmware<R>(body: impl FnOnce(&Firmware) -> R) -> R {
    with(|env| body(env.unit.of()))
}

extern "C" fn find_upstream_bridge(
    segment: u16,
    bus: *mut u8,
    devfn: *mut u8,
    secondary: *mut u8,
) -> i32 {
    // SAFETY: the caller passes places for three bytes, the first two of which hold what it asks
    // about.
    let asked = unsafe { u16::from_le_bytes([devfn.read(), bus.read()]) };
    let (result, id, below) = attempt(|env| {
        if !env.unit.of::<Firmware>().bridges_answer {
            return Err("a bridge is asked where the entry has its source".to_owned());
        }
        env.unit
            .of::<Firmware>()
            .upstream((segment, asked))
            .ok_or_else(|| {
                format!("the bridge above {segment:04x}:{asked:04x}, which does not exist")
            })
    });
    if result != 0 {
        let [low, high] = id.to_le_bytes();
        // SAFETY: as above.
        unsafe {
            devfn.write(low);
            bus.write(high);
            secondary.write(below);
        }
    }
    result
}

extern "C" fn pdev_type(segment: u16, bus: u8, devfn: u8) -> u32 {
    let id = u16::from_le_bytes([devfn, bus]);
    attempt(|env| {
        env.unit
            .of::<Firmware>()
            .kind_of_bridge((segment, id))
            .ok_or_else(|| format!("the type of {segment:04x}:{id:04x}, which is no bridge"))
    })
}

extern "C" fn acpi_find_matched_drhd_unit(pdev: *const sys::pci_dev) -> u64 {
    firmware(|firmware| firmware.unit_of_function(pdev) as u64)
}

extern "C" fn hpet_to_drhd(id: u32) -> u64 {
    firmware(|firmware| firmware.unit_of_hpet(id) as u64)
}

extern "C" fn ioapic_to_drhd(id: u32) -> u64 {
    firmware(|firmware| firmware.unit_of_io_apic(id) as u64)
}

fn iommu_of(unit: *mut sys::acpi_drhd_unit) -> u64 {
    if unit.is_null() {
        0
    } else {
        get!(unit, iommu) as u64
    }
}

extern "C" fn hpet_to_iommu(id: u32) -> u64 {
    firmware(|firmware| iommu_of(firmware.unit_of_hpet(id)))
}

extern "C" fn ioapic_to_iommu(id: u32) -> u64 {
    firmware(|firmware| iommu_of(firmware.unit_of_io_apic(id)))
}

extern "C" fn platform_supports_intremap() -> u64 {
    garble(firmware(|firmware| firmware.remapping_allowed))
}

extern "C" fn platform_supports_x2apic() -> u64 {
    attempt(|env| {
        if env.unit.of::<Firmware>().active {
            // The function is a part of the code that is gone by then.
            return Err("platform_supports_x2apic() after boot".to_owned());
        }
        Ok(garble(env.unit.of::<Firmware>().x2apic_allowed))
    })
}

extern "C" fn get_s_time() -> i64 {
    with(|env| env.machine.vtd.time())
}

extern "C" fn alloc_pgtable_maddr(pages: u64, node: u8) -> u64 {
    with(|env| {
        // A failure is not recorded: Rust may have failed before, for what it keeps of the table
        // itself.
        if env.heap.refuses() || env.script.outcome() != 0 {
            return 0;
        }
        let told = [pages, u64::from(node), 0, 0, 0, 0];
        env.record(Event::Call("alloc_pgtable_maddr", told));
        env.machine.vtd.allocate()
    })
}

extern "C" fn map_vtd_domain_page(address: u64) -> u64 {
    attempt(|env| {
        env.machine
            .vtd
            .map(address)
            .map(|mapped| mapped as u64)
            .ok_or_else(|| format!("{address:#x} mapped, which is no page of a table"))
    })
}

extern "C" fn unmap_vtd_domain_page(address: u64) {
    attempt(|env| {
        let vtd = &mut env.machine.vtd;
        vtd.offset(address as usize)
            .ok_or("what is unmapped was not mapped")?;
        vtd.mapped = vtd.mapped.checked_sub(1).ok_or("a page unmapped twice")?;
        Ok(())
    });
}

/// An entry in one word: the table, and the number in there.
fn entry_word(table: usize, index: usize) -> u64 {
    (table as u64) << 32 | index as u64
}

extern "C" fn cache_writeback(address: u64, size: u32) {
    attempt(|env| {
        let vtd = &mut env.machine.vtd;
        let (table, offset) = vtd
            .offset(address as usize)
            .ok_or("memory written back that is not a table's")?;
        if vtd.mapped == 0 || offset % 16 != 0 {
            return Err("memory written back that is not a mapped entry".to_owned());
        }
        let index = offset / 16;
        let (entry, seen) = vtd.table_by_number(table).entry(index);
        let told = [
            entry_word(table, index),
            u64::from(size),
            entry[0],
            entry[1],
            u64::from(seen),
            0,
        ];
        env.record(Event::Call("cache_writeback", told));
        Ok(())
    });
}

/// The number of an IOMMU.
fn number_of(env: &Env, iommu: *mut sys::vtd_iommu) -> Result<usize, String> {
    let mut all = env.machine.vtd.iommus.iter();
    all.position(|known| *known == iommu)
        .ok_or_else(|| "a command to what is no IOMMU".to_owned())
}

extern "C" fn iommu_flush_iec_index(iommu: *mut sys::vtd_iommu, mask: u8, index: u16) -> i32 {
    attempt(|env| {
        number_of(env, iommu)?;
        let address = get!(iommu, intremap.maddr);
        let vtd = &mut env.machine.vtd;
        let number = vtd
            .map(address)
            .and_then(|mapped| vtd.offset(mapped))
            .ok_or("an entry invalidated where there is no table")?
            .0;
        vtd.mapped -= 1;
        // ECAP.MHMV.
        let largest = get!(iommu, ecap) >> 20 & 0xf;
        if u64::from(mask) > largest {
            return Err(format!("a mask of {mask}, where the IOMMU takes {largest}"));
        }
        let count = 1 << mask;
        let first = usize::from(index) & !(count - 1);
        // What it does counts, not in how many commands it is told.
        for index in first..first + count {
            let table = env.machine.vtd.table_by_number(number);
            let (entry, seen) = table.entry(index);
            table.invalidate(index);
            let told = [
                entry_word(number, index),
                0,
                entry[0],
                entry[1],
                u64::from(seen),
                0,
            ];
            env.record(Event::Call("iommu_flush_iec_index", told));
        }
        // Nobody can make anything of a failure.
        Ok(-(mix(env.script.salt) as i32 & 1))
    })
}

/// Records a command to an IOMMU.
fn command(env: &mut Env, name: &'static str, iommu: *mut sys::vtd_iommu) -> Result<usize, String> {
    let number = number_of(env, iommu)?;
    let told = [number as u64, 0, 0, 0, 0, 0];
    env.record(Event::Call(name, told));
    Ok(number)
}

extern "C" fn iommu_flush_iec_global(iommu: *mut sys::vtd_iommu) -> i32 {
    attempt(|env| {
        command(env, "iommu_flush_iec_global", iommu)?;
        if let Some(failure) = env.unit.of::<Firmware>().late_failure {
            env.heap.start_call(failure);
        }
        Ok(-(mix(env.script.salt) as i32 & 1))
    })
}

extern "C" fn clear_fault_bits(iommu: *mut sys::vtd_iommu) {
    attempt(|env| command(env, "clear_fault_bits", iommu));
}

extern "C" fn enable_qinval(iommu: *mut sys::vtd_iommu) -> i32 {
    attempt(|env| {
        let number = command(env, "enable_qinval", iommu)?;
        let result = env.script.outcome();
        if result == 0 {
            env.machine.vtd.registers[number].status |= QUEUE;
        }
        Ok(result)
    })
}

extern "C" fn disable_qinval(iommu: *mut sys::vtd_iommu) {
    attempt(|env| {
        let number = command(env, "disable_qinval", iommu)?;
        env.machine.vtd.registers[number].status &= !QUEUE;
        Ok(())
    });
}

extern "C" fn ioapic_read_entry(io_apic: u32, pin: u32, raw: u8) -> u64 {
    let told = [io_apic, pin, raw.into(), 0, 0, 0].map(u64::from);
    record(Event::Call("__ioapic_read_entry", told));
    attempt(|env| {
        if raw == 0 {
            return Err("a pin's entry read as if nothing were remapped".to_owned());
        }
        let io_apics = &mut env.machine.io_apics;
        io_apics.pin(io_apic as usize, pin as usize).copied()
    })
}

pub(crate) extern "C" fn ioapic_write_entry(io_apic: u32, pin: u32, raw: u8, entry: u64) {
    attempt(|env| {
        let told = [io_apic, pin, raw.into()].map(u64::from);
        let told = [told[0], told[1], told[2], entry, 0, 0];
        env.record(Event::Call("__ioapic_write_entry", told));
        let io_apics = &mut env.machine.io_apics;
        *io_apics.pin(io_apic as usize, pin as usize)? = entry;
        Ok(())
    });
}
