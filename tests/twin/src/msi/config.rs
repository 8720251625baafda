//! Functions of Xen that lead to functions of PCI and their configuration space.

use xen_sys as sys;

use super::controls::{control, under_lock};
use super::platform::{Meanwhile, Platform, Race, call};
use super::waiting;
use crate::machine::function::{COMMAND, MEMORY, NO_INTX, NOBODY};
use crate::services::is_locked;
use crate::side::{Env, attempt, with};
use crate::trace::Event;
use crate::xen::{addr, get};

/// The extended capability of single root I/O virtualisation.
const SRIOV: u32 = 0x10;
const READ: [&str; 3] = ["pci_conf_read8", "pci_conf_read16", "pci_conf_read32"];
const WRITE: [&str; 3] = ["pci_conf_write8", "pci_conf_write16", "pci_conf_write32"];
/// A write that dom0 makes after Xen has been asked, by its width.
pub(super) const BY_DOM0: &str = "a write of dom0's";
/// A write to a function that was pulled.
pub(super) const LOST: &str = "a write that is lost";

/// A write in configuration space that is compared: function, register, value and width.
pub(super) fn as_write(event: &Event) -> Option<[u64; 4]> {
    let Event::Call(name, [sbdf, register, value, width, ..]) = *event else {
        return None;
    };
    let own = WRITE.iter().position(|write| *write == name);
    match own {
        Some(place) => Some([sbdf, register, value, 1 << place]),
        None => (name == BY_DOM0).then_some([sbdf, register, value, width]),
    }
}

fn config_read(sbdf: u32, register: u32, width: usize) -> u32 {
    let (value, race) = attempt(|env| {
        call(env, READ[width / 2], &[sbdf.into(), register.into()]);
        let pci = &mut env.machine.pci;
        let register = register as usize;
        if !register.is_multiple_of(width) || register > 4092 {
            return Err(format!("a register at {register:#x}, {width} bytes wide"));
        }
        let function = pci.function(sbdf);
        let truth = function.map_or(NOBODY, |function| function.read(register, width));
        let key = u64::from(sbdf) << 16 | register as u64;
        let value = pci.perhaps_lie(key, truth) & NOBODY >> (32 - 8 * width);
        Ok((value, act_meanwhile(env, (sbdf, register), false)))
    });
    waiting::after_read(sbdf, register);
    if let Some(race) = race {
        go_on(&race);
    }
    value
}

/// Another CPU has acted, and says so.
fn go_on(race: &Race) {
    if let Some(written) = race.written {
        // SAFETY: The address is that of `pci_msi_conf_written()`, which has this prototype.
        let written: extern "C" fn() = unsafe { std::mem::transmute(written) };
        written();
    }
    if let Some(desc) = race.masks {
        mask_meanwhile(desc);
    }
}

/// A register was read, or written. Another CPU acts if its time has come: the function changes.
/// What it does then is the answer.
fn act_meanwhile(env: &mut Env, (sbdf, register): (u32, usize), written: bool) -> Option<Race> {
    let race = &mut env.unit.of_mut::<Platform>().race;
    let race = race.take_if(|race| {
        let place = (race.sbdf, race.register);
        place == (sbdf, register) && race.act.follows_write() == written
    })?;
    let is_locked = |desc: *mut sys::irq_desc| is_locked(addr!(desc, lock) as u64);
    // It would wait for the lock until there is nothing to meet any more.
    let waits = race.masks.is_some_and(is_locked);
    if race.skip == 0 && !waits {
        act(env, &race);
        return Some(race);
    }
    let skip = if waits { u64::MAX } else { race.skip - 1 };
    env.unit.of_mut::<Platform>().race = Some(Race { skip, ..race });
    None
}

/// Another CPU masks an interrupt.
fn mask_meanwhile(desc: *mut sys::irq_desc) {
    under_lock(desc, || control(desc, |handler| handler.disable));
}

/// Does what another CPU does.
pub(super) fn act(env: &mut Env, race: &Race) {
    if let Some(function) = env.machine.pci.function(race.sbdf) {
        let command = function.peek(COMMAND, 2);
        match race.act {
            Meanwhile::StopMemory => function.write(COMMAND, 2, command & !u32::from(MEMORY)),
            Meanwhile::Reset => {
                function.reset();
                function.write(COMMAND, 2, command);
            }
            Meanwhile::LoseMessage => function.write(race.address, 4, 0),
            Meanwhile::ChangeReserved => function.flip_reserved(race.register),
        }
    }
}

fn config_write(sbdf: u32, register: u32, width: usize, value: u32) {
    let race = attempt(|env| {
        let value = value & NOBODY >> (32 - 8 * width);
        let told = [sbdf.into(), register.into(), value.into()];
        let function = env.machine.pci.function(sbdf);
        let gone = function.is_some_and(|function| function.gone);
        let lock = env.unit.of::<Platform>().register_lock;
        // Of what is gone nothing says which register is where.
        if env.unit.of::<Platform>().crashes {
            if env.held.contains(&lock) {
                return Err("a lock on the way to a crash kernel".to_owned());
            }
        } else if lock != 0
            && !gone
            && env
                .unit
                .of::<Platform>()
                .shared_registers
                .contains(&(sbdf, register))
            && !env.held.contains(&lock)
        {
            return Err(format!(
                "a write of register {register:#x} without its lock"
            ));
        }
        call(env, if gone { LOST } else { WRITE[width / 2] }, &told);
        let register = register as usize;
        if !register.is_multiple_of(width) || register > 4092 {
            return Err(format!("a register at {register:#x}, {width} bytes wide"));
        }
        if let Some(function) = env.machine.pci.function(sbdf) {
            function.write(register, width, value);
        }
        Ok(act_meanwhile(env, (sbdf, register), true))
    });
    if let Some(race) = race {
        go_on(&race);
    }
}

pub(super) extern "C" fn read8(sbdf: u32, register: u32) -> u64 {
    0x77aa_0000 | u64::from(config_read(sbdf, register, 1))
}

pub(super) extern "C" fn read16(sbdf: u32, register: u32) -> u64 {
    0x77aa_0000 | u64::from(config_read(sbdf, register, 2))
}

pub(super) extern "C" fn read32(sbdf: u32, register: u32) -> u32 {
    config_read(sbdf, register, 4)
}

pub(super) extern "C" fn write8(sbdf: u32, register: u32, value: u32) {
    config_write(sbdf, register, 1, value);
}

pub(super) extern "C" fn write16(sbdf: u32, register: u32, value: u32) {
    config_write(sbdf, register, 2, value);
}

pub(super) extern "C" fn write32(sbdf: u32, register: u32, value: u32) {
    config_write(sbdf, register, 4, value);
}

pub(super) extern "C" fn pci_find_ext_capability(sbdf: u32, capability: u32) -> u32 {
    with(|env| {
        let told = [sbdf.into(), capability.into()];
        call(env, "pci_find_ext_capability", &told);
        let function = env.machine.pci.function(sbdf);
        let place = function.map_or(0, |function| function.extended);
        if capability == SRIOV { place } else { 0 }
    })
}

pub(super) extern "C" fn pci_get_pdev(domain: u64, sbdf: u32) -> u64 {
    attempt(|env| {
        if domain != 0 {
            return Err("pci_get_pdev() of a domain".to_owned());
        }
        if env.unit.of::<Platform>().pcidevs == 0 {
            return Err("pci_get_pdev() without pcidevs_lock".to_owned());
        }
        let mut all = env.machine.pci.functions.iter();
        let number = all.position(|function| function.sbdf == sbdf);
        Ok(number.map_or(0, |number| env.unit.of::<Platform>().devices[number]))
    })
}

type OnDevice = extern "C" fn(u64, u64) -> i32;

pub(super) extern "C" fn pci_iterate_devices(handler: usize, argument: u64) -> i32 {
    let devices = with(|env| {
        call(env, "pci_iterate_devices", &[]);
        env.unit.of::<Platform>().devices.clone()
    });
    // SAFETY: what is under test passes one of its functions, which has this prototype.
    let handler: OnDevice = unsafe { std::mem::transmute(handler) };
    for device in devices {
        let result = handler(device, argument);
        if result != 0 {
            return result;
        }
    }
    with(|env| env.script.outcome())
}

pub(super) extern "C" fn pci_intx(pdev: *const sys::pci_dev, on: u64) {
    let sbdf = get!(pdev, __bindgen_anon_1.sbdf.sbdf);
    let on = on as u8 != 0;
    with(|env| {
        call(env, "pci_intx", &[sbdf.into(), on.into()]);
        if let Some(function) = env.machine.pci.function(sbdf) {
            let old = function.peek(4, 2) as u16;
            let new = if on { old & !NO_INTX } else { old | NO_INTX };
            function.write(4, 2, new.into());
        }
    });
}

/// It is taken before all others, and with interrupts on.
pub(super) extern "C" fn pcidevs_lock() {
    attempt(|env| {
        call(env, "pcidevs_lock", &[]);
        if !env.irqs_on || !env.held.is_empty() {
            return Err("pcidevs_lock is taken inside a spin lock".to_owned());
        }
        let platform = env.unit.of::<Platform>();
        if platform.pcidevs == 0 && platform.holds_lock_of_domain() {
            return Err("pcidevs_lock is taken inside a domain's lock".to_owned());
        }
        env.unit.of_mut::<Platform>().pcidevs += 1;
        Ok(())
    });
}

pub(super) extern "C" fn pcidevs_unlock() {
    attempt(|env| {
        call(env, "pcidevs_unlock", &[]);
        let depth = &mut env.unit.of_mut::<Platform>().pcidevs;
        *depth = depth
            .checked_sub(1)
            .ok_or("pcidevs_lock is dropped, which is not held")?;
        Ok(())
    });
}
