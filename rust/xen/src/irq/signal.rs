//! Interrupts between CPUs, what is pending, the destination of messages, and trace records.

use crate::irq::cpus::Cpus;
use crate::irq::table::VectorLock;
use crate::objects::cpumask::CpuMask;
use crate::objects::irq_desc::{HeldDesc, IrqDesc};
use crate::sync::irqs::IrqsOff;
use crate::sync::lock::Locked;
use xen_sys as sys;

/// Returns whether an interrupt is pending on this CPU.
pub fn is_pending(vector: u8) -> bool {
    // SAFETY: Reads a register of this CPU's local APIC.
    unsafe { sys::shim_is_pending(vector) }
}

/// Has this CPU clean up again.
pub fn clean_up_again() {
    // SAFETY: Sends an interrupt to this CPU.
    unsafe { sys::shim_send_cleanup_self() };
}

/// Tells CPUs that are online to clean up.
pub fn clean_up(cpus: Cpus<'_>) {
    // SAFETY: A view's set lives as long as the view, and the function only reads it.
    unsafe { sys::shim_send_cleanup(cpus.as_ptr()) };
}

/// Sends an interrupt to one of those CPUs that are online.
pub fn forward(cpus: Cpus<'_>, vector: u8) {
    // SAFETY: A view's set lives as long as the view, and the function only reads it.
    unsafe { sys::shim_forward(cpus.as_ptr(), vector) };
}

/// Returns the APIC ID by which a source reaches those CPUs that are wanted and online; `None`
/// where there is none.
pub fn destination(wanted: Cpus<'_>, cpus: Cpus<'_>, lock: &mut VectorLock) -> Option<u32> {
    let sets = [wanted, cpus, Cpus::online()].map(Cpus::mask);
    // SAFETY: The lock's scratch set is used with the lock held, which the result does not need.
    unsafe { CpuMask::destination(sets, lock.scratch()) }
}

/// Locks a descriptor where IRQs are off already, and runs something.
pub fn with_lock(desc: IrqDesc<'_>, _: IrqsOff, run: impl FnOnce(HeldDesc<'_>)) {
    // SAFETY: Descriptors are allocated at boot and stay. IRQs are off, so that no interrupt takes
    // the lock here.
    let _locked = unsafe { Locked::take(&raw mut (*desc.as_ptr()).lock) };
    // SAFETY: The lock is held until after the run.
    run(unsafe { HeldDesc::new(desc) });
}

/// What a trace record tells.
#[derive(Clone, Copy)]
pub enum Event {
    /// An IRQ got a vector.
    Assign,
    /// An IRQ got a vector that it has on all CPUs.
    Bind,
    /// An IRQ lost its vector.
    Clear,
    /// A move ended because the IRQ lost its vector.
    Finish,
    /// A CPU freed a vector.
    CleanUp,
    /// It could not yet.
    Delay,
}

impl Event {
    const fn number(self) -> u32 {
        match self {
            Self::Assign => sys::XEN_IRQ_TRC_ASSIGN_VECTOR as u32,
            Self::Bind => sys::XEN_IRQ_TRC_BIND_VECTOR as u32,
            Self::Clear => sys::XEN_IRQ_TRC_CLEAR_VECTOR as u32,
            Self::Finish => sys::XEN_IRQ_TRC_MOVE_FINISH as u32,
            Self::CleanUp => sys::XEN_IRQ_TRC_MOVE_CLEANUP as u32,
            Self::Delay => sys::XEN_IRQ_TRC_MOVE_CLEANUP_DELAY as u32,
        }
    }
}

/// Traces what happened on some CPUs.
#[doc(alias = "trace_irq_mask")]
#[doc(alias = "_trace_irq_mask")]
pub fn trace_cpus(event: Event, desc: HeldDesc<'_>, vector: u8, cpus: Cpus<'_>) {
    // SAFETY: A view's set lives as long as the view, and the function only reads it.
    unsafe { sys::shim_trace_irq_mask(event.number(), desc.irq(), vector.into(), cpus.as_ptr()) };
}

/// Traces what happened on a CPU.
pub fn trace(event: Event, desc: HeldDesc<'_>, vector: u8, cpu: u32) {
    // SAFETY: Only numbers are passed.
    unsafe { sys::shim_trace_irq(event.number(), desc.irq(), vector.into(), cpu) };
}
