//! Message control of MSI-X while entries are to be reached.
//!
//! Some functions let their table be reached only while MSI-X is enabled. Before its owner has
//! enabled it, Xen does so for a moment, with all messages masked: it opens a *window*. Meanwhile
//! others change message control, too: an entry that cannot be reached is masked by masking all
//! messages, and the owner may write the register. Closing a window undoes none of that:
//!
//! 1. While a window is open, what is wanted of message control is kept here. Xen reads and
//!    changes that in place of the register.
//! 2. The register holds what is wanted meanwhile, but enabled and with all messages masked.
//! 3. Where the last window closes, the register gets what is wanted then.

use irq_hw::pci::MsixControl;

#[cfg(test)]
mod tests;

/// What is kept of a function's windows; the default is that none is open.
///
/// Each function that changes it returns what to write to the register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// How many are open: one for each CPU at most.
    open: u16,
    /// What is wanted, while one is.
    wanted: u16,
}

impl Windows {
    /// What is wanted of message control, given what the register says; that is read only where no
    /// window is open.
    pub fn wanted(self, register: impl FnOnce() -> MsixControl) -> MsixControl {
        if self.is_open() {
            MsixControl::new(self.wanted)
        } else {
            register()
        }
    }

    /// Returns whether one is open.
    pub fn is_open(self) -> bool {
        self.open != 0
    }

    /// One more is open; `wanted` is what [`Self::wanted`] returned.
    #[must_use = "the register is to be written"]
    pub fn open(&mut self, wanted: MsixControl) -> MsixControl {
        self.open = self.open.wrapping_add(1);
        self.want(wanted)
    }

    /// Another value is wanted.
    #[must_use = "the register is to be written"]
    pub fn want(&mut self, wanted: MsixControl) -> MsixControl {
        self.wanted = wanted.raw();
        if self.is_open() {
            opened(wanted)
        } else {
            wanted
        }
    }

    /// One less is open, and this is wanted now.
    #[must_use = "the register is to be written"]
    pub fn close(&mut self, wanted: MsixControl) -> MsixControl {
        self.open = self.open.wrapping_sub(1);
        self.want(wanted)
    }

    /// As one word; none is open in 0.
    pub fn to_bits(self) -> u32 {
        u32::from(self.open) << 16 | u32::from(self.wanted)
    }

    /// The inverse of [`Self::to_bits`].
    pub fn from_bits(bits: u32) -> Self {
        Self {
            open: (bits >> 16) as u16,
            wanted: bits as u16,
        }
    }
}

/// Message control with MSI-X enabled and all messages masked.
pub const fn opened(control: MsixControl) -> MsixControl {
    control.with_enabled(true).with_mask_all(true)
}
