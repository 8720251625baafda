//! The lock of registers that several interrupts share.

use crate::sync::spin::IrqLocked;
use xen_sys as sys;

/// The lock of registers that several interrupts share, whose descriptors have different locks: the
/// mask registers of all MSIs, with the masks of their messages, and message control of MSI-X.
#[must_use = "the lock is dropped where this is dropped"]
pub struct RegisterLock(#[allow(dead_code)] IrqLocked<'static>);

impl RegisterLock {
    /// Takes the lock, inside all others.
    ///
    /// Context: any.
    #[inline]
    pub fn take() -> Self {
        // SAFETY: It is a lock that lives as long as Xen.
        Self(unsafe { IrqLocked::take(&raw mut sys::shim_msi_mask_lock) })
    }
}
