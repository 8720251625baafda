//! How the file under test is called, and what steps mean by a number.

use super::guard;
use super::platform::Platform;
use super::world::World;
use crate::side::{Outcome, Script, Side};
use crate::trap::Trap;

/// Calls a function. Where BUG() or an access stands is a side's own business.
pub(super) fn call(side: &mut Side, function: usize, arguments: &[u64], script: Script) -> Outcome {
    let devices = side.env().unit.of::<Platform>().pcidevs;
    guard::begin(side.env());
    let outcome = side.call(function, arguments, script);
    let guarded = guard::end(side.env());
    let depth = &mut side.env().unit.of_mut::<Platform>().pcidevs;
    let left = std::mem::replace(depth, devices) != devices;
    let guarded = match left {
        true => Err("pcidevs_lock was left taken, or dropped".to_owned()),
        false => guarded,
    };
    let outcome = outcome.and_then(|value| guarded.map(|()| value).map_err(Trap::Fault));
    outcome.map_err(|trap| match trap {
        Trap::Bug(_) => Trap::Bug(String::new()),
        Trap::Fault(reason) => {
            let what = reason.split_once(" at ").map(|(what, _)| what.to_owned());
            Trap::Fault(what.unwrap_or(reason))
        }
    })
}

/// A function of the world by its number.
pub(super) fn choose(world: &World, device: usize) -> usize {
    device % world.devices.len()
}
