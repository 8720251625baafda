//! Another CPU changes masks of MSIs while a call does so.
//!
//! The masks of a function's messages stand in one register, and Rust changes register and masks
//! under one lock. So what another CPU does comes before what the call does or after it, whenever
//! the other CPU acts. In C no lock keeps the two apart; it is given them one after the other, in
//! that order, and everything has to be the same afterwards.
//!
//! In Rust the other CPU acts inside the call: where the lock is asked for, where the register is
//! read without it, or where it was dropped.

use xen_sys as sys;

use super::api::Api;
use super::descs::{choose_irq, device_of, is_entry};
use super::op::{Act, Call, Moment, Register};
use super::platform::{Other, Platform, Waiting, Write};
use super::world::World;
use super::{functions, irqs, registers};
use crate::answer::Answer;
use crate::side::{Script, Side};
use crate::xen::get;

/// What an act is about: a function, an interrupt of one of its messages, and the register.
#[derive(Clone, Copy)]
struct Target {
    device: usize,
    desc: *mut sys::irq_desc,
    register: (u32, u32),
}

fn target(side: &mut Side, world: &World, act: Act) -> Option<Target> {
    let (Act::Change { irq, .. } | Act::Write { irq, .. }) = act;
    let fits = |msi: *const sys::msi_desc| !is_entry(msi) && get!(msi, msi_attrib).maskbit();
    let desc = choose_irq(world, irq, fits)?;
    let device = device_of(world, get!(desc, msi_desc))?;
    let spec = &world.spec.devices[device];
    let unclear = world.spec.lies > 0
        || world.stale[device]
        || world.is_iommu(device)
        || registers::is_changed_or_gone(side, world, device);
    let register = (spec.sbdf, spec.msi?.mask_register());
    (!unclear).then_some(Target {
        device,
        desc,
        register,
    })
}

/// Carries out two acts, the second on another CPU.
pub(super) fn both(
    side: &mut Side,
    api: &Api,
    world: &World,
    (own, other, moment): (Act, Act, Moment),
    script: Script,
) -> Option<Answer> {
    let places = [target(side, world, own)?, target(side, world, other)?];
    let is_change = |act: Act| matches!(act, Act::Change { .. });
    // One would wait for the descriptor's lock until the other is done.
    if is_change(own) && is_change(other) && places[0].desc == places[1].desc {
        return None;
    }
    let acts_inside = api.sees_all_writes();
    if acts_inside {
        let waiting = Waiting {
            before: moment == Moment::Before,
            register: places[0].register,
            other: of_other(api, world, other, places[1]),
        };
        let platform = side.env().unit.of_mut::<Platform>();
        (platform.waiting, platform.acts_inside) = (Some(waiting), true);
    } else if moment == Moment::Before {
        let early = aside(side, api, world, (other, places[1]), script)?;
        if early.outcome.is_err() {
            return Some(early);
        }
    }
    let answer = carry_out(side, api, world, (own, places[0]), script);
    let platform = side.env().unit.of_mut::<Platform>();
    platform.acts_inside = false;
    let comes_late = platform.waiting.take().is_some();
    if comes_late || !acts_inside && moment == Moment::After {
        let late = aside(side, api, world, (other, places[1]), script)?;
        if late.outcome.is_err() {
            return Some(late);
        }
    }
    answer
}

/// Carries out an act by itself.
fn carry_out(
    side: &mut Side,
    api: &Api,
    world: &World,
    (act, place): (Act, Target),
    script: Script,
) -> Option<Answer> {
    match act {
        Act::Change { call, .. } => irqs::act_on(side, api, world, (place.desc, call), script),
        Act::Write { data, .. } => {
            let write = (place.device, Register::MsiMask, 4, data);
            functions::config_write(side, api, world, write, script)
        }
    }
}

/// As [`carry_out`], for the other CPU: what it does is not in the trace.
fn aside(
    side: &mut Side,
    api: &Api,
    world: &World,
    act: (Act, Target),
    script: Script,
) -> Option<Answer> {
    let trace = std::mem::take(&mut side.env().trace);
    let answer = carry_out(side, api, world, act, script);
    side.env().trace = trace;
    answer
}

/// An act of the other CPU inside a call.
fn of_other(api: &Api, world: &World, act: Act, place: Target) -> Other {
    match act {
        Act::Change { call, .. } => {
            let (function, mask) = match call {
                Call::Mask => (api.mask, true),
                Call::Unmask => (api.unmask, false),
                Call::GuestMask { mask } => (api.guest_mask, mask),
                _ => unreachable!("the generator has the other CPU do no more"),
            };
            Other::Change {
                desc: place.desc,
                function,
                mask,
            }
        }
        Act::Write { data, .. } => {
            // SAFETY: the place lies in the arena.
            unsafe { world.other_data.write(data) };
            Other::Write(Write {
                pdev: world.devices[place.device] as u64,
                register: place.register,
                data: world.other_data,
                intercept: api.intercept,
                written: api.written,
            })
        }
    }
}
