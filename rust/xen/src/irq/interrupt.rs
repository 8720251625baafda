//! An interrupt that this CPU has received.

use crate::arch::cpu::CpuVariables;
use crate::base::view::Word;
use crate::irq::request::Request;
use crate::irq::table::Vectors;
use crate::sync::irqs::{self, INTERRUPT_FLAG, IrqsOff};
use core::marker::PhantomData;
use xen_sys as sys;

/// An interrupt that this CPU handles: it is counted, and its frame is the innermost one, as long
/// as this lives. IRQs are off, but in [`Self::handle`].
pub struct Interrupt {
    vector: u8,
    before: *const sys::cpu_user_regs,
    local: PhantomData<*mut ()>,
}

impl Interrupt {
    /// Begins to handle one.
    ///
    /// # Safety
    ///
    /// The entry code made the frame, which stays until this is dropped. IRQs are off.
    #[inline(always)]
    pub unsafe fn begin(frame: *const sys::cpu_user_regs) -> Self {
        // SAFETY: IRQs are off, so that this CPU's variables are this function's alone.
        unsafe {
            let cpu = CpuVariables::own(IrqsOff::new());
            let innermost = cpu.place((&raw mut sys::per_cpu__irq_regs).cast());
            let before = <*const sys::cpu_user_regs>::load(innermost);
            Word::store(innermost, frame);
            let count = cpu.place(&raw mut sys::per_cpu__irq_count);
            if sys::XEN_IRQ_PERF_COUNTERS as u32 != 0 {
                sys::shim_count_interrupt();
            }
            *count = (*count).wrapping_add(1);
            let nested = Self::nested(cpu);
            *nested = (*nested).wrapping_add(1);
            Self {
                vector: (*frame).entry_vector as u8,
                before,
                local: PhantomData,
            }
        }
    }

    /// How many interrupts a CPU handles, one in the other (`irq_enter()`).
    #[inline(always)]
    fn nested(cpu: CpuVariables<'_>) -> *mut u32 {
        let all = (&raw mut sys::irq_stat).cast::<sys::irq_cpustat_t>();
        // SAFETY: The array has an element for each CPU.
        unsafe { &raw mut (*all.add(cpu.cpu() as usize)).__local_irq_count }
    }

    /// IRQs are off.
    #[inline(always)]
    pub fn irqs(&self) -> IrqsOff<'_> {
        // SAFETY: `begin` asks for it, and `handle`, which alone switches IRQs on, and off again,
        // borrows this alone.
        unsafe { IrqsOff::new() }
    }

    /// Its vector.
    #[inline(always)]
    pub fn vector(&self) -> u8 {
        self.vector
    }

    /// What stands at its vector: an IRQ, or a negative number.
    #[inline(always)]
    pub fn slot(&self) -> i32 {
        Vectors::of(CpuVariables::own(self.irqs())).get(self.vector)
    }

    /// Runs one of Xen's handlers, with IRQs on.
    pub fn handle(&mut self, request: &Request) {
        // SAFETY: This is borrowed alone, so that nothing relies on IRQs being off.
        unsafe { irqs::restore(INTERRUPT_FLAG) };
        request.handle();
        irqs::disable();
    }
}

impl Drop for Interrupt {
    #[inline(always)]
    fn drop(&mut self) {
        let cpu = CpuVariables::own(self.irqs());
        // SAFETY: As for `begin`. Another interrupt that came in between has left both as they
        // were.
        unsafe {
            let nested = Self::nested(cpu);
            *nested = (*nested).wrapping_sub(1);
            Word::store(
                cpu.place((&raw mut sys::per_cpu__irq_regs).cast()),
                self.before,
            );
        }
    }
}
