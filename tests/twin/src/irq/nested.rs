//! Calls inside of calls.
//!
//! All CPUs run on one stack. Where the code under test has IRQs on and holds no lock, another CPU
//! or another interrupt may go on: a function of the driver that it called there switches the CPU,
//! calls a function of the image, and switches back.

use xen_sys as sys;

use super::act::When;
use super::delivery::Delivery;
use super::platform::{self, Platform};
use crate::heap::Failure;
use crate::side::{fault, record, with};
use crate::trace::Event;
use crate::xen::set;

/// Gives a function its state.
pub(super) fn state<R>(body: impl FnOnce(&mut Delivery) -> R) -> R {
    platform::with(|platform| body(&mut platform.delivery))
}

/// The local APIC of the CPU that runs gets an EOI.
pub(super) fn eoi() {
    let (cpu, vector) = platform::with(|platform| {
        let me = platform.me;
        (me, platform.delivery.end_service(me))
    });
    let vector = vector.map_or(u64::MAX, u64::from);
    record(Event::Call("EOI", [cpu as u64, vector, 0, 0, 0, 0]));
}

/// The register for EOIs in x2APIC mode.
const EOI: u32 = 0x80b;

/// WRMSR wrote a register.
pub(super) fn write_msr(msr: u32) {
    if msr == EOI && platform::with(|platform| !platform.delivery.in_service.is_empty()) {
        eoi();
    }
}

/// A CPU as it was before another one went on.
struct Outer {
    me: usize,
    irqs_on: bool,
    held: usize,
    counts: [i32; 2],
    depth: u32,
}

fn counts(platform: &Platform) -> [i32; 2] {
    // SAFETY: variables of the CPU that runs.
    let read = |place: Option<*mut i32>| place.map_or(0, |place| unsafe { place.read() });
    platform.counts().map(read)
}

fn switch(platform: &mut Platform, cpu: usize) {
    platform.me = cpu;
    platform.offset = platform.delivery.offsets[cpu];
    let info = platform.delivery.info as *mut sys::cpu_info;
    set!(info, processor_id, cpu as u32);
    set!(info, per_cpu_offset, platform.delivery.offsets[cpu]);
}

/// Calls a function of the image on a CPU, from a function that stands for one of Xen's.
pub(super) fn call<const N: usize>(
    cpu: usize,
    function: usize,
    arguments: [u64; N],
    irqs_off: bool,
) -> u64 {
    let outer = with(|env| {
        let (irqs_on, held) = (env.irqs_on, env.held.len());
        env.irqs_on = !irqs_off;
        let platform: &mut Platform = env.unit.of_mut();
        let me = platform.me;
        switch(platform, cpu);
        platform.delivery.running.push(cpu);
        Outer {
            me,
            irqs_on,
            held,
            counts: counts(platform),
            depth: platform.delivery.depth(cpu),
        }
    });
    let mut all = [0; 5];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e] = all;
    // SAFETY: a function of the image that runs, with at most five integer arguments; nothing is
    // borrowed.
    let value = unsafe {
        let function: extern "C" fn(u64, u64, u64, u64, u64) -> u64 = std::mem::transmute(function);
        function(a, b, c, d, e)
    };
    let left = with(|env| {
        let irqs_differ = env.irqs_on == irqs_off;
        env.irqs_on = outer.irqs_on;
        let locks_differ = env.held.len() != outer.held;
        let platform: &mut Platform = env.unit.of_mut();
        let counts_differ = counts(platform) != outer.counts;
        let depth_differs = platform.delivery.depth(cpu) != outer.depth;
        platform.delivery.running.pop();
        switch(platform, outer.me);
        [
            (irqs_differ, "interrupts were left on or off"),
            (locks_differ, "a lock was left taken"),
            (counts_differ, "an RCU section, or preemption, was left off"),
            (depth_differs, "an IRQ was left open"),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    });
    if let Some(what) = left {
        fault(what.to_owned());
    }
    value
}

/// Whether a hypercall or a softirq may run on a CPU: it is not inside of another call.
pub(super) fn is_idle(cpu: usize) -> bool {
    state(|state| !state.running.contains(&cpu))
}

/// The pointer to the registers of the interrupt that a CPU handles.
pub(super) fn registers_of(cpu: usize) -> u64 {
    let place = state(|state| state.irq_regs.wrapping_add(state.offsets[cpu]));
    // SAFETY: a variable of the CPU.
    unsafe { (place as *const u64).read() }
}

/// Whether a descriptor is locked, and IRQs are off.
pub(super) fn is_locked(desc: *const sys::irq_desc) -> bool {
    let lock = crate::xen::addr!(desc.cast_mut(), lock) as u64;
    !with(|env| env.irqs_on) && crate::services::is_locked(lock)
}

/// At such a place, what is to happen there happens.
pub(super) fn meanwhile(when: When) {
    loop {
        let next = state(|state| state.next_meanwhile(when).zip(state.run));
        let Some((act, run)) = next else { return };
        // What fails, fails in the outer call.
        let failure = with(|env| std::mem::replace(&mut env.heap.failure, Failure::Never));
        let was_possible = run(&act);
        with(|env| env.heap.failure = failure);
        let told = [was_possible.into(), 0, 0, 0, 0, 0];
        record(Event::Call("meanwhile", told));
    }
}
