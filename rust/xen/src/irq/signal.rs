//! Interrupts between CPUs, what is pending, the destination of messages, and trace records.

use crate::base::view::Word;
use crate::irq::cpus::{Cpus, CpusCopy};
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
#[inline(always)]
pub fn with_lock<R>(desc: IrqDesc<'_>, _: IrqsOff, run: impl FnOnce(HeldDesc<'_>) -> R) -> R {
    // SAFETY: Descriptors are allocated at boot and stay. IRQs are off, so that no interrupt takes
    // the lock here.
    let _locked = unsafe { Locked::take(&raw mut (*desc.as_ptr()).lock) };
    // SAFETY: The lock is held until after the run.
    run(unsafe { HeldDesc::new(desc) })
}

/// Has CPUs look whether an IRQ may be ended there; with `wait`, returns when they have.
///
/// Context: IRQs on, no lock held that is taken with IRQs off.
pub fn tell_ready(cpus: &CpusCopy, desc: IrqDesc<'_>, wait: bool) {
    // SAFETY: Descriptors stay, and the set is copied before the function returns.
    unsafe { sys::shim_tell_eoi_ready(cpus.as_ptr(), desc.as_ptr(), wait) };
}

/// Returns whether an interrupt is in service on this CPU.
pub fn is_in_service(vector: u8) -> bool {
    // SAFETY: Reads a register of this CPU's local APIC.
    unsafe { sys::shim_is_in_service(vector) }
}

/// Sends this CPU's local APIC an EOI.
///
/// Context: an interrupt is in service that is handled, and no other.
pub fn end_of_interrupt() {
    // SAFETY: Writes a register of this CPU's local APIC.
    unsafe { sys::shim_ack_apic() };
}

/// Returns whether an IRQ of a PIC that this CPU seems to have received was none
/// (`bogus_8259A_irq()`).
pub fn is_bogus_8259a(irq: u8) -> bool {
    // SAFETY: The function takes the number of an IRQ of a PIC, and takes the PICs' lock.
    irq < 16 && unsafe { sys::bogus_8259A_irq(irq.into()) }
}

/// Returns whether AMD or Hygon made the CPUs.
pub fn cpu_is_amd() -> bool {
    // SAFETY: Reads what is written while Xen boots.
    unsafe { sys::shim_cpu_is_amd() }
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

/// Returns whether Xen keeps trace records.
#[inline(always)]
fn traces() -> bool {
    // SAFETY: The variable is read in one piece, and there is one if Xen can trace at all.
    sys::XEN_IRQ_TRACES as u32 != 0 && unsafe { bool::load(&raw const sys::tb_init_done) }
}

/// The time stamp counter's low word.
fn clock() -> u32 {
    // SAFETY: Every CPU that Xen runs on has the counter.
    unsafe { core::arch::x86_64::_rdtsc() as u32 }
}

/// When something began that is traced when it has ended; 0 while Xen does not trace.
#[inline(always)]
pub fn trace_begin() -> u32 {
    if traces() { clock() } else { 0 }
}

/// Traces that an IRQ was handled.
#[inline(always)]
pub fn trace_handled(desc: IrqDesc<'_>, begin: u32) {
    if traces() {
        let event = sys::XEN_IRQ_TRC_HANDLED as u32;
        // SAFETY: Only numbers are passed.
        unsafe { sys::shim_trace_irq(event, desc.irq(), begin.cast_signed(), clock()) };
    }
}

/// Traces an interrupt at a vector that nothing has.
pub fn trace_unmapped(vector: u8) {
    // SAFETY: Only numbers are passed.
    unsafe { sys::shim_trace_vector(sys::XEN_IRQ_TRC_UNMAPPED_VECTOR as u32, vector.into()) };
}
