//! What iommu_intr.c exports.

use anyhow::Result;

use crate::loader::Image;

/// Addresses of what iommu_intr.c exports.
pub(crate) struct Api {
    pub(super) supports_xt: usize,
    pub(super) next_io_apic: usize,
    pub(super) index_of_io_apic: usize,
    pub(super) order: usize,
    pub(super) allocate: usize,
    pub(super) free: usize,
    pub(super) dump: usize,
    pub(super) write_pin: usize,
    pub(super) read_pin: usize,
    pub(super) update: usize,
    pub(super) set_up_hpet: usize,
    pub(super) is_rust: bool,
}

impl Api {
    pub(super) fn new(image: &Image) -> Result<Self> {
        Ok(Self {
            supports_xt: image.symbol("iov_supports_xt")?,
            next_io_apic: image.symbol("get_next_ioapic_sbdf_index")?,
            index_of_io_apic: image.symbol("ioapic_id_to_index")?,
            order: image.symbol("amd_iommu_intremap_table_order")?,
            allocate: image.symbol("amd_iommu_alloc_intremap_table")?,
            free: image.symbol("amd_iommu_free_intremap_table")?,
            dump: image.symbol("amd_iommu_dump_intremap_tables")?,
            write_pin: image.symbol("amd_iommu_ioapic_update_ire")?,
            read_pin: image.symbol("amd_iommu_read_ioapic_from_ire")?,
            update: image.symbol("amd_iommu_msi_msg_update_ire")?,
            set_up_hpet: image.symbol("amd_setup_hpet_msi")?,
            is_rust: image.symbol("xen_irq_amd_iommu_msi_msg_update_ire").is_ok(),
        })
    }
}
