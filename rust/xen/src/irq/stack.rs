//! The EOIs that this CPU has yet to send.

use crate::arch::cpu::CpuVariables;
use crate::sync::irqs::IrqsOff;
use core::marker::PhantomData;
use irq_core::irq::eoi::{EoiStack, Full, Waiting};
use static_assertions::const_assert_eq;
use xen_sys as sys;

// The shim reserves the memory, which is zero to begin with.
const_assert_eq!(size_of::<EoiStack>(), size_of::<sys::shim_eoi_stack>());

/// This CPU's stack of EOIs. Only this CPU uses it, with IRQs off.
#[derive(Clone, Copy)]
pub struct OwnStack<'a> {
    cpu: CpuVariables<'a>,
    local: PhantomData<*mut ()>,
}

impl<'a> OwnStack<'a> {
    /// This CPU's.
    #[inline(always)]
    pub fn of(irqs: IrqsOff<'a>) -> Self {
        Self {
            cpu: CpuVariables::own(irqs),
            local: PhantomData,
        }
    }

    /// The CPU.
    pub fn cpu(self) -> u32 {
        self.cpu.cpu()
    }

    /// The stack, for one call of its functions, which call nothing that leads here again.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) fn stack(&self) -> &mut EoiStack {
        let stack = self.cpu.place(&raw mut sys::per_cpu__shim_eoi_stack);
        // SAFETY: The variable is as large as the stack and aligned to eight bytes, and zero bytes
        // are a stack. IRQs are off, and no other CPU uses it. No function of this module or of
        // `guests`, which alone call this, keeps the result beyond one call of the stack's.
        unsafe { &mut *stack.cast() }
    }

    /// Returns whether no EOI waits.
    pub fn is_empty(self) -> bool {
        self.stack().is_empty()
    }

    /// See [`EoiStack::enter`].
    pub fn enter(self) {
        self.stack().enter();
    }

    /// See [`EoiStack::leave`].
    pub fn leave(self) {
        self.stack().leave();
    }

    /// See [`EoiStack::defer`].
    ///
    /// # Errors
    ///
    /// [`Full`].
    pub fn defer(self, irq: u32, vector: u8) -> Result<bool, Full> {
        self.stack().defer(irq, vector)
    }

    /// See [`EoiStack::ready`].
    pub fn ready(self) -> Option<Waiting> {
        self.stack().ready()
    }

    /// See [`EoiStack::pop`].
    pub fn pop(self) {
        self.stack().pop();
    }

    /// See [`EoiStack::set_all_ready`].
    pub fn set_all_ready(self) {
        self.stack().set_all_ready();
    }

    /// One of those that wait, from the bottom.
    pub fn nth(self, index: usize) -> Option<Waiting> {
        self.stack().waiting().get(index).copied()
    }
}
