//! Windows: MSI-X is enabled with all messages masked for as long as entries are to be reached. See
//! [`irq_core::msi::window`] for the protocol.

use crate::control;
use irq_core::msi::window::Windows;
use irq_hw::pci::MsixControl;
use xen::msi::register_lock::RegisterLock;
use xen::objects::arch_msix::Msix;
use xen::objects::pci_dev::PciDev;
use xen::objects::pci_sbdf::Sbdf;

/// Message control of a function's MSI-X capability, under the lock that guards it.
pub(crate) struct LockedControl<'a> {
    lock: RegisterLock,
    function: Sbdf,
    position: u16,
    msix: Msix<'a>,
}

impl<'a> LockedControl<'a> {
    /// Takes the lock.
    ///
    /// Context: any.
    pub(crate) fn lock(device: PciDev<'a>, msix: Msix<'a>, position: u16) -> Self {
        Self {
            lock: RegisterLock::take(),
            function: device.config(),
            position,
            msix,
        }
    }

    /// Returns message control as it is wanted.
    pub(crate) fn read(&self) -> MsixControl {
        let windows = self.msix.windows(&self.lock);
        windows.wanted(|| control::msix(self.function, self.position))
    }

    /// Makes this what is wanted.
    pub(crate) fn write(&self, wanted: MsixControl) {
        self.change(|windows| windows.want(wanted));
    }

    /// As [`Self::read`], for an access to an entry: MSI-X is enabled while a window is open.
    pub(crate) fn read_for_access(&self) -> MsixControl {
        let wanted = self.read();
        wanted.with_enabled(wanted.enabled() || self.is_open())
    }

    /// As [`Self::write`], where the value is what [`Self::read_for_access`] returned, changed.
    pub(crate) fn write_for_access(&self, control: MsixControl) {
        let enabled = if self.is_open() {
            self.read().enabled()
        } else {
            control.enabled()
        };
        self.write(control.with_enabled(enabled));
    }

    fn is_open(&self) -> bool {
        self.msix.windows(&self.lock).is_open()
    }

    /// Changes what is kept of windows, and writes the register.
    fn change(&self, change: impl FnOnce(&mut Windows) -> MsixControl) {
        let mut windows = self.msix.windows(&self.lock);
        let value = change(&mut windows);
        self.msix.set_windows(windows, &self.lock);
        control::set_msix(self.function, self.position, value);
    }
}

/// A function whose table can be reached if it decodes memory, with all its messages masked.
/// Dropped, message control is as it is wanted.
#[must_use = "the window is closed where this is dropped"]
pub(crate) struct MsixWindow<'a> {
    device: PciDev<'a>,
    msix: Msix<'a>,
    position: u16,
}

impl<'a> MsixWindow<'a> {
    /// Opens a window.
    ///
    /// Context: any, but [`LockedControl`] of no function is held.
    pub(crate) fn open(device: PciDev<'a>, msix: Msix<'a>, position: u16) -> Self {
        let control = LockedControl::lock(device, msix, position);
        let wanted = control.read();
        Self::of(&control, device, wanted)
    }

    /// Opens a window where MSI-X is not enabled.
    ///
    /// Context: as for [`Self::open`].
    pub(crate) fn open_if_disabled(
        device: PciDev<'a>,
        msix: Msix<'a>,
        position: u16,
    ) -> Option<Self> {
        let control = LockedControl::lock(device, msix, position);
        let wanted = control.read();
        (!wanted.enabled()).then(|| Self::of(&control, device, wanted))
    }

    fn of(control: &LockedControl<'a>, device: PciDev<'a>, wanted: MsixControl) -> Self {
        control.change(|windows| windows.open(wanted));
        Self {
            device,
            msix: control.msix,
            position: control.position,
        }
    }

    /// Closes it, and changes what is wanted.
    ///
    /// Context: as for [`Self::open`].
    pub(crate) fn close(self, change: impl FnOnce(MsixControl) -> MsixControl) {
        self.end(change);
        core::mem::forget(self);
    }

    fn end(&self, change: impl FnOnce(MsixControl) -> MsixControl) {
        let control = LockedControl::lock(self.device, self.msix, self.position);
        let wanted = change(control.read());
        control.change(|windows| windows.close(wanted));
    }
}

impl Drop for MsixWindow<'_> {
    fn drop(&mut self) {
        self.end(|wanted| wanted);
    }
}
