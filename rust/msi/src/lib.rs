//! MSI and MSI-X of the host's devices (replaces `arch/x86/msi.c`).
//!
//! - [`message`]: what a device sends, composed, remapped and written to it; how it moves to other
//!   CPUs.
//! - [`mask`]: masking for Xen and for the owner, and what Xen calls for an interrupt.
//! - [`enable`]: interrupts come into being: [`msi`] and [`msix`] prepare the device, [`bar`] finds
//!   a table.
//! - [`disable`]: and end.
//! - [`intercept`]: what dom0 writes to configuration space.
//! - [`restore`]: a device that has lost its state gets it back.
//! - [`dump`]: debug key `M`.
//! - [`window`]: MSI-X is enabled for a moment, so that its table can be reached.
//!
//! Locks, outer to inner: `pcidevs_lock` or the owner's PCI lock (which entries there are), the
//! lock of a table's pages, a descriptor's lock (its masks and its message), the lock of registers
//! that several interrupts share.
//!
//! Nothing here relies on what a device says a second time. Where a table is, is asked when its
//! first entry is set up; whether a function is enabled and decodes memory is remembered until
//! somebody writes to configuration space ([`xen::msi::config`]); an entry is read before and
//! after its mask is written, which shows a function that has changed by itself.
#![no_std]
#![deny(unsafe_code)]

pub mod control;
pub mod disable;
pub mod dump;
pub mod enable;
pub mod intercept;
pub mod mask;
pub mod message;
mod msi;
mod msix;
pub mod restore;
mod window;
