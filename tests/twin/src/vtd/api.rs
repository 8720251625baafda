//! What intremap.c exports, and how it is called.

use anyhow::Result;

use crate::loader::Image;
use crate::side::{Outcome, Script, Side};
use crate::trap::Trap;

/// Addresses of what intremap.c exports.
pub(crate) struct Api {
    pub(super) supports_eim: usize,
    pub(super) enable_eim: usize,
    pub(super) disable_eim: usize,
    pub(super) enable: usize,
    pub(super) disable: usize,
    pub(super) read_pin: usize,
    pub(super) write_pin: usize,
    pub(super) update: usize,
    pub(super) set_up_hpet: usize,
    /// Whether the side keeps which entries are in use, and does not look at the table for it: Rust
    /// does so.
    pub(super) keeps_use: bool,
}

impl Api {
    pub(super) fn new(image: &Image) -> Result<Self> {
        Ok(Self {
            supports_eim: image.symbol("intel_iommu_supports_eim")?,
            enable_eim: image.symbol("intel_iommu_enable_eim")?,
            disable_eim: image.symbol("intel_iommu_disable_eim")?,
            enable: image.symbol("enable_intremap")?,
            disable: image.symbol("disable_intremap")?,
            read_pin: image.symbol("io_apic_read_remap_rte")?,
            write_pin: image.symbol("io_apic_write_remap_rte")?,
            update: image.symbol("msi_msg_write_remap_rte")?,
            set_up_hpet: image.symbol("intel_setup_hpet_msi")?,
            keeps_use: image.symbol("xen_irq_msi_msg_write_remap_rte").is_ok(),
        })
    }
}

/// Calls a function; all that it maps it must give up again.
pub(super) fn call(side: &mut Side, function: usize, arguments: &[u64], script: Script) -> Outcome {
    let outcome = side.call(function, arguments, script)?;
    match std::mem::take(&mut side.env().machine.vtd.mapped) {
        0 => Ok(outcome),
        pages => Err(Trap::Fault(format!("{pages} pages were left mapped"))),
    }
}
