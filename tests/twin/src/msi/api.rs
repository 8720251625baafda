//! What msi.c exports.

use anyhow::{Context, Result};

use crate::loader::Image;

/// Addresses of what msi.c exports.
pub(crate) struct Api {
    pub(super) ack_nonmaskable: usize,
    pub(super) cleanup: usize,
    pub(super) compose: usize,
    pub(super) disable: usize,
    pub(super) disable_all: usize,
    pub(super) early_init: usize,
    pub(super) enable: usize,
    pub(super) free: usize,
    pub(super) guest_mask: usize,
    pub(super) intercept: usize,
    pub(super) is_maskable: usize,
    pub(super) mask: usize,
    pub(super) prepare: usize,
    pub(super) reset_state: usize,
    pub(super) restore: usize,
    pub(super) set_affinity: usize,
    pub(super) set_enable: usize,
    pub(super) set_up: usize,
    pub(super) set_up_with: usize,
    pub(super) unmask: usize,
    /// What registers the handler of the debug key.
    pub(super) register_key: usize,
    /// What is called when a write to configuration space has been carried out, on the side that is
    /// shown each of dom0's.
    pub(super) written: Option<usize>,
}

impl Api {
    pub(super) fn new(image: &Image) -> Result<Self> {
        Ok(Self {
            ack_nonmaskable: image.symbol("ack_nonmaskable_msi_irq")?,
            cleanup: image.symbol("pci_cleanup_msi")?,
            compose: image.symbol("msi_compose_msg")?,
            disable: image.symbol("pci_disable_msi")?,
            disable_all: image.symbol("pci_disable_msi_all")?,
            early_init: image.symbol("early_msi_init")?,
            enable: image.symbol("pci_enable_msi")?,
            free: image.symbol("msi_free_irq")?,
            guest_mask: image.symbol("guest_mask_msi_irq")?,
            intercept: image.symbol("pci_msi_conf_write_intercept")?,
            is_maskable: image.symbol("msi_maskable_irq")?,
            mask: image.symbol("mask_msi_irq")?,
            prepare: image.symbol("pci_prepare_msix")?,
            reset_state: image.symbol("pci_reset_msix_state")?,
            restore: image.symbol("pci_restore_msi_state")?,
            set_affinity: image.symbol("set_msi_affinity")?,
            set_enable: image.symbol("__msi_set_enable")?,
            set_up: image.symbol("setup_msi_irq")?,
            set_up_with: image.symbol("__setup_msi_irq")?,
            unmask: image.symbol("unmask_msi_irq")?,
            register_key: image
                .function("msi_setup_keyhandler")
                .context("no object has msi_setup_keyhandler()")?,
            written: image.symbol("pci_msi_conf_written").ok(),
        })
    }

    /// Whether the side is shown each write of dom0's to configuration space.
    pub(super) fn sees_all_writes(&self) -> bool {
        self.written.is_some()
    }
}
