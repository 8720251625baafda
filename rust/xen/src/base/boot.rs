//! What may be done only while Xen boots.

use core::marker::PhantomData;

/// Xen boots: one CPU runs, and the code and data that boot alone uses (`__init`, `__initdata`) are
/// still there.
#[derive(Clone, Copy)]
pub struct Booting<'a>(PhantomData<(&'a (), *mut ())>);

impl Booting<'_> {
    /// States it.
    ///
    /// # Safety
    ///
    /// It is so as long as the result lives.
    pub const unsafe fn new() -> Self {
        Self(PhantomData)
    }
}
