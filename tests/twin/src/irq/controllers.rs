//! The controllers of IRQs that are set up, and Xen's own handler of one.

use xen_sys as sys;

use super::act::When;
use super::delivery::dev_id_of;
use super::fakes::mask;
use super::nested::{self, meanwhile, state};
use super::platform;
use crate::side::{fault, record};
use crate::trace::Event;
use crate::xen::get;

fn tell(name: &'static str, desc: *const sys::irq_desc, what: u64) {
    let irq = get!(desc, irq) as u64;
    if !nested::is_locked(desc) {
        fault(format!("{name} of IRQ {irq} without its lock"));
    }
    record(Event::Call(name, [irq, what, 0, 0, 0, 0]));
}

/// Calls a function of the image with a descriptor.
fn image(function: usize, desc: *const sys::irq_desc, vector: u64) {
    // SAFETY: a function of the image that runs, with at most two arguments; nothing is borrowed.
    unsafe {
        let function: extern "C" fn(u64, u64) = std::mem::transmute(function);
        function(desc as u64, vector);
    }
}

/// Ends a move, and begins one that waits.
fn moves(desc: *const sys::irq_desc) {
    let (complete, next) = state(|state| {
        let functions = &state.functions;
        (functions.complete_move, functions.move_native)
    });
    image(complete, desc, 0);
    image(next, desc, 0);
}

/// The APIC is acknowledged at once.
pub(super) extern "C" fn ack_edge(desc: *const sys::irq_desc) {
    tell("ack", desc, 0);
    moves(desc);
    nested::eoi();
}

/// The pin is masked before.
pub(super) extern "C" fn ack_masked(desc: *const sys::irq_desc) {
    tell("ack and mask", desc, 0);
    mask(desc, true);
    moves(desc);
    nested::eoi();
}

pub(super) extern "C" fn ack_pic(desc: *const sys::irq_desc) {
    tell("ack and mask", desc, 0);
    mask(desc, true);
}

/// The pin is unmasked.
pub(super) extern "C" fn end_masked(desc: *const sys::irq_desc, vector: u64) {
    tell("end", desc, vector & 0xff);
    ends(vector as u8);
    mask(desc, false);
}

/// A vector of the CPU that runs is ended. Whether it is that of a guest, while Xen's handler of
/// another has yet to be.
fn ends(vector: u8) -> bool {
    let me = platform::with(|platform| platform.me);
    state(|state| {
        let own = state.frames.iter_mut().rfind(|frame| frame.cpu == me);
        let own = own.filter(|frame| frame.vector == vector);
        let is_own = own.is_some();
        if let Some(own) = own {
            own.ends_later = false;
        }
        let waits = state
            .frames
            .iter()
            .any(|frame| frame.cpu == me && frame.ends_later);
        waits && !is_own
    })
}

/// The APIC is acknowledged now, unless a higher vector waits.
pub(super) extern "C" fn end_level(desc: *const sys::irq_desc, vector: u64) {
    let vector = vector as u8;
    tell("end", desc, vector.into());
    let is_early = ends(vector);
    let end = state(|state| {
        state.is_early |= is_early;
        state.ends = Some(vector);
        state.functions.end
    });
    image(end, desc, vector.into());
    state(|state| state.ends = None);
}

/// A function that a vector has.
pub(super) extern "C" fn direct() {
    record(Event::Call("direct", [0; 6]));
    nested::eoi();
}

/// Xen's own handler.
pub(super) extern "C" fn handle_irq(irq: u32, dev_id: u64) {
    if dev_id != dev_id_of(irq) {
        fault(format!("the handler of IRQ {irq} gets what is another's"));
    }
    record(Event::Call("handler", [irq.into(), 0, 0, 0, 0, 0]));
    let me = platform::with(|platform| platform.me);
    let (regs, frame) = state(|state| {
        let depth = state.frames.len() - 1;
        let regs = (state.regs as *const sys::cpu_user_regs).wrapping_add(depth);
        (regs as u64, state.frames[depth])
    });
    if frame.cpu != me || nested::registers_of(me) != regs {
        fault("a handler runs with the registers of another interrupt".to_owned());
    }
    if !crate::side::with(|env| env.irqs_on && env.held.is_empty()) {
        fault("a handler runs with IRQs off, or under a lock".to_owned());
    }
    meanwhile(When::Handler);
}
