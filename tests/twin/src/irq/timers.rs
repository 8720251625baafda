//! Xen's timers, in virtual time.

use xen_sys as sys;

use super::act::When;
use super::delivery::Timer;
use super::nested::{self, meanwhile, state};
use crate::side::{fault, record, with};
use crate::trace::Event;
use crate::xen::set;

/// `TIMER_STATUS_*`.
const INACTIVE: u8 = 1;
const KILLED: u8 = 2;
const IN_HEAP: u8 = 3;

fn tell(name: &'static str, timer: &Timer, what: u64) {
    let who = state(|state| state.name_of(timer.data));
    record(Event::Call(name, [who, what, 0, 0, 0, 0]));
}

/// Changes a timer. None where it was not initialized, which ends the call.
fn change<R>(timer: u64, change: impl FnOnce(&mut Timer) -> R) -> R {
    let changed = state(|state| state.timers.get_mut(&timer).map(change));
    let Some(changed) = changed else {
        fault("a timer is used that was not initialized, or was killed".to_owned());
    };
    changed
}

fn set_status(timer: u64, status: u8) {
    set!(timer as *mut sys::timer, status, status);
}

pub(super) extern "C" fn init_timer(timer: u64, function: u64, data: u64, cpu: u32) {
    let new = Timer {
        function,
        data,
        cpu: cpu as usize,
        expires: None,
        is_due: false,
    };
    tell("init_timer", &new, cpu.into());
    let known = state(|state| state.timers.insert(timer, new).is_some());
    if known {
        fault("a timer is initialized twice".to_owned());
    }
    let place = timer as *mut sys::timer;
    // SAFETY: the caller passes a timer; zero bytes are one.
    unsafe {
        place.write_bytes(0, 1);
        (&raw mut (*place).function).cast::<u64>().write(function);
        (&raw mut (*place).data).cast::<u64>().write(data);
    }
    set!(place, cpu, cpu as u16);
    set_status(timer, INACTIVE);
}

pub(super) extern "C" fn set_timer(timer: u64, expires: i64) {
    let known = change(timer, |timer| {
        timer.expires = Some(expires);
        timer.clone()
    });
    tell("set_timer", &known, expires as u64);
    set_status(timer, IN_HEAP);
}

pub(super) extern "C" fn stop_timer(timer: u64) {
    let stopped = change(timer, |timer| {
        let stopped = timer.expires.take();
        stopped.map(|_| timer.clone())
    });
    if let Some(known) = stopped {
        tell("stop_timer", &known, 0);
        set_status(timer, INACTIVE);
    }
}

pub(super) extern "C" fn migrate_timer(timer: u64, cpu: u32) {
    change(timer, |timer| timer.cpu = cpu as usize);
    set!(timer as *mut sys::timer, cpu, cpu as u16);
}

/// Waits until the function of the timer has run, so it is called without a lock that this takes.
pub(super) extern "C" fn kill_timer(timer: u64) {
    if with(|env| !env.held.is_empty()) {
        fault("a timer is killed under a lock".to_owned());
    }
    let known = change(timer, |timer| timer.clone());
    if let Some(irq) = state(|state| state.irq_of(known.data)) {
        state(|state| state.leaving.remove(&irq));
    }
    meanwhile(When::Kill);
    run_if_due(timer);
    let known = change(timer, |timer| timer.clone());
    tell("kill_timer", &known, known.expires.is_some().into());
    set_status(timer, KILLED);
    state(|state| state.timers.remove(&timer));
}

/// Runs the function of a timer that has run out.
pub(super) fn run_if_due(timer: u64) {
    let due = state(|state| {
        let timer = state.timers.get_mut(&timer)?;
        std::mem::take(&mut timer.is_due).then(|| timer.clone())
    });
    if let Some(due) = due {
        nested::call(due.cpu, due.function as usize, [due.data], false);
    }
}

/// A timer that is set runs out: its CPU notices, and then runs its function.
pub(super) fn expire(timer: u64) {
    let known = state(|state| {
        let timer = state.timers.get_mut(&timer)?;
        let expires = timer.expires.take()?;
        timer.is_due = true;
        state.now = state.now.max(expires);
        Some(timer.clone())
    });
    let Some(known) = known else { return };
    tell("expires", &known, known.cpu as u64);
    set_status(timer, INACTIVE);
    meanwhile(When::Due);
    run_if_due(timer);
}

pub(super) extern "C" fn get_s_time() -> i64 {
    state(|state| state.now)
}

/// What is wrong where memory is freed in which a timer is.
pub(super) const TIMER_LEFT: &str = "memory is freed whose timer was not killed";

/// Frees memory, in which no timer may be left.
pub(super) extern "C" fn xfree(address: u64) {
    crate::services::xfree(address);
    let left = with(|env| {
        let heap = &env.heap;
        let platform: &super::platform::Platform = env.unit.of();
        let mut timers = platform.delivery.timers.keys();
        timers.any(|&timer| heap.range().contains(&(timer as usize)) && !heap.holds(timer))
    });
    if left {
        fault(TIMER_LEFT.to_owned());
    }
}
