//! The registers of an IOMMU that have to do with interrupt remapping.

use super::Iommu;
use crate::arch::mmio;
use crate::base::view::field;
use crate::sync::lock::IrqLocked;
use crate::sync::once::Once;
use core::sync::atomic::Ordering;
use irq_hw::vtd::{Global, TableAddress};
use xen_sys as sys;

/// How long hardware may take to carry out a command, in nanoseconds.
const PATIENCE: i64 = 1_000_000_000;

/// Waits until `done` of what `read` yields. Hardware that does not answer within [`PATIENCE`] ends
/// Xen, unless Xen is on its way to another kernel.
fn wait<T>(read: impl Fn() -> T, done: impl Fn(T) -> bool) {
    if !answers(read, done) {
        // SAFETY: Does not return unless Xen is being replaced.
        unsafe { sys::shim_vtd_malfunction() };
    }
}

/// Waits until `done` of what `read` yields. Returns whether that was so within [`PATIENCE`].
fn answers<T>(read: impl Fn() -> T, done: impl Fn(T) -> bool) -> bool {
    // SAFETY: The clock may be read at any time.
    let now = || unsafe { sys::get_s_time() };
    let start = now();
    while !done(read()) {
        if now() > start + PATIENCE {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

impl<'a> Iommu<'a> {
    fn register(self, offset: u32) -> *mut u32 {
        field!(self, reg)
            .cast::<u32>()
            .wrapping_byte_add(offset as usize)
    }

    /// Reads the global status.
    pub fn status(self) -> Global {
        // SAFETY: The registers are mapped as long as the IOMMU is known.
        Global::new([unsafe { mmio::read32(self.register(sys::DMAR_GSTS_REG)) }.into()])
    }

    /// Takes the lock of its registers.
    pub fn lock_registers(self) -> Registers<'a> {
        Registers {
            iommu: self,
            // SAFETY: The lock lives as long as the IOMMU.
            _lock: unsafe { IrqLocked::take(&raw mut (*self.as_ptr()).register_lock) },
        }
    }
}

/// An IOMMU whose registers' lock is held, with IRQs off.
pub struct Registers<'a> {
    iommu: Iommu<'a>,
    _lock: IrqLocked<'a>,
}

impl Registers<'_> {
    /// Writes the global command register and waits until the status says that it is `done`.
    pub fn command(&self, command: Global, done: impl Fn(Global) -> bool) {
        self.write_command(command);
        wait(|| self.iommu.status(), done);
    }

    /// The same where Xen can go on without it. Returns whether it is done.
    pub fn try_command(&self, command: Global, done: impl Fn(Global) -> bool) -> bool {
        self.write_command(command);
        answers(|| self.iommu.status(), done)
    }

    fn write_command(&self, command: Global) {
        let [command] = command.raw();
        // SAFETY: The registers are mapped as long as the IOMMU is known, which is for ever.
        unsafe { mmio::write32(self.iommu.register(sys::DMAR_GCMD_REG), command as u32) };
    }

    /// Tells where the table is; hardware takes that over with the next command that says so.
    pub fn set_table(&self, extended_mode: bool) {
        if let Some(in_use) = self.iommu.in_use().and_then(Once::get) {
            in_use.extended_mode.store(extended_mode, Ordering::Relaxed);
        }
        let size = const { (sys::XEN_IRQ_IREMAP_ENTRIES as u32).ilog2() as u8 - 1 };
        let [value] = TableAddress::new([field!(self.iommu, intremap.maddr)])
            .with_size(size)
            .with_extended_mode(extended_mode)
            .raw();
        let register = self.iommu.register(sys::DMAR_IRTA_REG).cast::<u64>();
        // SAFETY: The registers are mapped.
        unsafe { mmio::write64(register, value) };
    }

    /// Leaves extended interrupt mode, where the IOMMU is in it.
    pub fn leave_extended_mode(&self) {
        let register = self.iommu.register(sys::DMAR_IRTA_REG);
        // The lower half has all that matters.
        // SAFETY: The registers are mapped.
        let read = || TableAddress::new([unsafe { mmio::read32(register) }.into()]);
        let before = read();
        if !before.extended_mode() {
            return;
        }
        let [value] = before.with_extended_mode(false).raw();
        // SAFETY: The registers are mapped.
        unsafe { mmio::write32(register, value as u32) };
        wait(read, |now| !now.extended_mode());
    }
}
