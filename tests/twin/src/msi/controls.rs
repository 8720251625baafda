//! Functions of Xen that interrupts, local APICs and IOMMUs are controlled by.

use xen_sys as sys;

use super::cpus::{cpus, set_cpus};
use super::platform::{IRQ_DISABLED, IRQ_GUEST, IRQ_MOVE_PENDING, Platform, call};
use crate::argument::byte;
use crate::rng::mix;
use crate::services::{is_locked, lock, unlock};
use crate::side::{Env, attempt, with};
use crate::xen::{addr, get, set};

/// What `set_desc_affinity()` answers where it fails.
const BAD_APICID: u32 = !0;

/// Calls a function of an interrupt's controller, if it has one.
pub(super) fn control(
    desc: *mut sys::irq_desc,
    function: impl Fn(&sys::hw_interrupt_type) -> Option<unsafe extern "C" fn(*mut sys::irq_desc)>,
) {
    let handler = get!(desc, handler);
    // SAFETY: the handler of an interrupt is a structure of the image or of the arena, or null. Its
    // functions are those of what is under test, and of this prototype.
    unsafe {
        if let Some(function) = handler.as_ref().and_then(function) {
            function(desc);
        }
    }
}

/// Has code under test do something with a descriptor's lock held: another CPU does it, or a
/// function of Xen that the code under test has called.
pub(super) fn under_lock(desc: *mut sys::irq_desc, body: impl FnOnce()) {
    let place = addr!(desc, lock) as u64;
    let irqs_on = attempt(|env| {
        let irqs_on = env.irqs_on;
        lock(env, place, true).map(|()| irqs_on)
    });
    body();
    attempt(|env| {
        unlock(env, place, true)?;
        env.irqs_on = irqs_on;
        Ok(())
    });
}

/// Masks or unmasks an interrupt inside a call, by a function of the side that runs. What it does
/// is not in the trace.
pub(super) fn change_masks(desc: *mut sys::irq_desc, function: usize, mask: bool) {
    type Change = extern "C" fn(*mut sys::irq_desc, u64);
    // SAFETY: it is `guest_mask_msi_irq()` of this side's image, or one that takes the first
    // argument alone.
    let change: Change = unsafe { std::mem::transmute(function) };
    let events = with(|env| env.trace.len());
    under_lock(desc, || change(desc, byte(mask.into())));
    with(|env| env.trace.truncate(events));
}

fn number_of(env: &Env, desc: *mut sys::irq_desc) -> u64 {
    let distance = (desc as u64).wrapping_sub(env.irq_desc as u64);
    distance / size_of::<sys::irq_desc>() as u64
}

/// Sees that the lock of an interrupt's descriptor is held, and interrupts are off.
fn check_locked(env: &Env, desc: *mut sys::irq_desc, what: &str) -> Result<(), String> {
    if env.irqs_on || !is_locked(addr!(desc, lock) as u64) {
        return Err(format!("{what} without the descriptor's lock"));
    }
    Ok(())
}

pub(super) extern "C" fn destroy_irq(irq: u32) {
    let desc = attempt(|env| {
        call(env, "destroy_irq", &[irq.into()]);
        env.unit.of_mut::<Platform>().note_destroyed(irq);
        if irq as usize >= env.unit.of::<Platform>().irqs {
            return Err(format!("interrupt {irq} destroyed, which is none"));
        }
        if !env.irqs_on {
            return Err("an interrupt destroyed with interrupts off".to_owned());
        }
        let desc = env.irq_desc.wrapping_add(irq as usize);
        lock(env, addr!(desc, lock) as u64, true)?;
        Ok(desc)
    });
    set!(desc, status, get!(desc, status) & !IRQ_GUEST);
    control(desc, |handler| handler.shutdown);
    attempt(|env| {
        set!(desc, status, get!(desc, status) | IRQ_DISABLED);
        set!(desc, msi_desc, std::ptr::null_mut());
        set!(
            desc,
            handler,
            env.unit.of::<Platform>().no_irq_type as *const _
        );
        unlock(env, addr!(desc, lock) as u64, true)?;
        env.irqs_on = true;
        Ok(())
    });
}

pub(super) extern "C" fn set_desc_affinity(
    desc: *mut sys::irq_desc,
    mask: *const sys::cpumask,
) -> u32 {
    attempt(|env| {
        check_locked(env, desc, "set_desc_affinity()")?;
        let number = number_of(env, desc);
        let online = env.unit.of::<Platform>().online;
        let given = !mask.is_null();
        let cpus = if given { cpus(mask) } else { online };
        call(env, "set_desc_affinity", &[number, given.into(), cpus]);
        if env.script.outcome() != 0 || cpus & online == 0 {
            return Ok(BAD_APICID);
        }
        let hash = mix(env.script.salt ^ cpus ^ number << 8);
        set!(desc, arch.vector, 0x20 + (hash % 0xc0) as i16);
        set_cpus(get!(desc, arch.cpu_mask), cpus & online);
        set_cpus(get!(desc, affinity), cpus);
        Ok(apic_id(env, cpus & online))
    })
}

/// The APIC ID that stands for some CPUs.
fn apic_id(env: &Env, cpus: u64) -> u32 {
    let hash = mix(cpus ^ env.script.salt) as u32;
    if env.unit.of::<Platform>().x2apic {
        hash & 0x7fff_ffff
    } else {
        hash & 0xff
    }
}

/// `genapic.cpu_mask_to_apicid`.
pub(super) extern "C" fn cpu_mask_to_apicid(mask: *const sys::cpumask) -> u32 {
    attempt(|env| {
        let cpus = cpus(mask);
        if cpus == 0 {
            return Err("the APIC ID of no CPU".to_owned());
        }
        Ok(apic_id(env, cpus))
    })
}

/// The interrupt that is bound to a message.
fn interrupt_of(env: &Env, desc: *const sys::msi_desc) -> Option<*mut sys::irq_desc> {
    let number = usize::try_from(get!(desc, irq)).ok()?;
    let is_one = number < env.unit.of::<Platform>().irqs;
    let interrupt = is_one.then(|| env.irq_desc.wrapping_add(number))?;
    (get!(interrupt, msi_desc).cast_const() == desc).then_some(interrupt)
}

/// `iommu_ops.update_ire_from_msi`.
pub(super) extern "C" fn update_ire_from_msi(
    desc: *mut sys::msi_desc,
    message: *mut sys::msi_msg,
) -> i32 {
    attempt(|env| {
        if !message.is_null()
            && let Some(interrupt) = interrupt_of(env, desc)
        {
            check_locked(env, interrupt, "update_ire_from_msi()")?;
        }
        let dev = get!(desc, dev);
        let sbdf = if dev.is_null() {
            0
        } else {
            get!(dev, __bindgen_anon_1.sbdf.sbdf)
        };
        let which = u64::from(sbdf) << 32 | u64::from(get!(desc, msi_attrib.entry_nr));
        let entry = get!(desc, remap_index);
        if message.is_null() {
            call(env, "update_ire_from_msi", &[which, entry as u64]);
            set!(desc, remap_index, -1);
            return Ok(env.script.outcome());
        }
        let told = [
            which,
            entry as u64,
            get!(message, __bindgen_anon_1.address),
            get!(message, data).into(),
            get!(message, dest32).into(),
            1,
        ];
        call(env, "update_ire_from_msi", &told);
        let result = env.script.outcome();
        if result != 0 {
            return Ok(result);
        }
        if entry < 0 {
            set!(desc, remap_index, env.unit.of::<Platform>().remapped);
            env.unit.of_mut::<Platform>().remapped += 1;
        }
        let index = get!(desc, remap_index) as u32;
        let address = 0xfee0_0010 | u64::from(index & 0x7fff) << 5 | u64::from(index >> 15) << 2;
        set!(message, __bindgen_anon_1.address, address);
        let is_msi = get!(desc, msi_attrib.type_) == sys::PCI_CAP_ID_MSI as u8;
        let number = get!(desc, msi_attrib.entry_nr);
        set!(message, data, if is_msi { number.into() } else { 0 });
        Ok(0)
    })
}

/// The shim's function; where the IOMMU's driver says what changes, that is what it is told by.
pub(super) extern "C" fn shim_update(desc: *mut sys::msi_desc, message: *mut sys::msi_msg) -> i32 {
    type Update = extern "C" fn(*mut sys::msi_desc, *mut sys::msi_msg) -> i32;
    let (update, tells) = with(|env| {
        (
            env.unit.of::<Platform>().update,
            env.unit.of::<Platform>().tells,
        )
    });
    // SAFETY: it is the address of the shim's function, which has this prototype.
    let update: Update = unsafe { std::mem::transmute(update) };
    let before = get!(desc, remap_index);
    let result = update(desc, message);
    let same = before >= 0 && before == get!(desc, remap_index);
    if tells && result > 0 && same {
        0
    } else {
        result
    }
}

pub(super) extern "C" fn irq_complete_move(desc: *mut sys::irq_desc) {
    attempt(|env| {
        let number = number_of(env, desc);
        call(env, "irq_complete_move", &[number]);
        check_locked(env, desc, "irq_complete_move()")
    });
}

pub(super) extern "C" fn move_native_irq(desc: *mut sys::irq_desc) {
    let online = attempt(|env| {
        let number = number_of(env, desc);
        call(env, "move_native_irq", &[number]);
        check_locked(env, desc, "move_native_irq()")?;
        Ok(env.unit.of::<Platform>().online)
    });
    let status = get!(desc, status);
    if status & IRQ_MOVE_PENDING == 0 || status & IRQ_DISABLED != 0 {
        return;
    }
    control(desc, |handler| handler.disable);
    set!(desc, status, status & !IRQ_MOVE_PENDING);
    let pending = get!(desc, arch.pending_mask);
    if cpus(pending) & online != 0 {
        let handler = get!(desc, handler);
        // SAFETY: as in `control()`.
        unsafe {
            if let Some(function) = handler.as_ref().and_then(|all| all.set_affinity) {
                function(desc, pending);
            }
        }
    }
    set_cpus(pending, 0);
    control(desc, |handler| handler.enable);
}

pub(super) extern "C" fn end_nonmaskable_irq(desc: *mut sys::irq_desc, vector: u64) {
    with(|env| {
        let number = number_of(env, desc);
        call(env, "end_nonmaskable_irq", &[number, vector & 0xff]);
    });
}

pub(super) extern "C" fn irq_startup_none(desc: *mut sys::irq_desc) -> u32 {
    irq_actor_none(desc);
    0
}

pub(super) extern "C" fn irq_actor_none(desc: *mut sys::irq_desc) {
    with(|env| {
        let number = number_of(env, desc);
        call(env, "irq_actor_none", &[number]);
    });
}
