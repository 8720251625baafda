//! Whether interrupts may come.

use core::marker::PhantomData;

/// IRQs are off on this CPU, for as long as the value may live.
#[derive(Clone, Copy)]
pub struct IrqsOff<'a>(PhantomData<(&'a (), *mut ())>);

impl IrqsOff<'_> {
    /// Stands for what the caller of an export has done.
    ///
    /// # Safety
    ///
    /// IRQs are off on this CPU, and for longer than the result lives.
    pub const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}
