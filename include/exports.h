/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The prototypes of what the Rust object offers to the rest of Xen: one line per symbol of symbols.txt. The includer
 * defines XEN_IRQ_EXPORT(result, name, parameters...).
 *
 * c-shim/abi.c compares them with the prototypes in Xen's headers; `cargo xtask abi` compares the Rust functions with
 * those of the C file, and this list with symbols.txt.
 */
#ifdef CONFIG_RUST_VMSI
XEN_IRQ_EXPORT(int, hvm_girq_dest_2_vcpu_id,
               struct domain *, uint8_t, uint8_t)
XEN_IRQ_EXPORT(void, msix_write_completion, struct vcpu *)
XEN_IRQ_EXPORT(void, msixtbl_init, struct domain *)
XEN_IRQ_EXPORT(void, msixtbl_pt_cleanup, struct domain *)
XEN_IRQ_EXPORT(int, msixtbl_pt_register,
               struct domain *, struct pirq *, uint64_t)
XEN_IRQ_EXPORT(void, msixtbl_pt_unregister, struct domain *, struct pirq *)
XEN_IRQ_EXPORT(int, vmsi_deliver,
               struct domain *, int, uint8_t, uint8_t, uint8_t, uint8_t)
XEN_IRQ_EXPORT(void, vmsi_deliver_pirq,
               struct domain *, const struct hvm_pirq_dpci *)
XEN_IRQ_EXPORT(void, vpci_msi_arch_disable,
               struct vpci_msi *, const struct pci_dev *)
XEN_IRQ_EXPORT(int, vpci_msi_arch_enable,
               struct vpci_msi *, const struct pci_dev *, unsigned int)
XEN_IRQ_EXPORT(void, vpci_msi_arch_init, struct vpci_msi *)
XEN_IRQ_EXPORT(void, vpci_msi_arch_mask,
               struct vpci_msi *, const struct pci_dev *, unsigned int, bool)
XEN_IRQ_EXPORT(void, vpci_msi_arch_print, const struct vpci_msi *)
XEN_IRQ_EXPORT(void, vpci_msi_arch_update,
               struct vpci_msi *, const struct pci_dev *)
XEN_IRQ_EXPORT(int, vpci_msix_arch_disable_entry,
               struct vpci_msix_entry *, const struct pci_dev *)
XEN_IRQ_EXPORT(int, vpci_msix_arch_enable_entry,
               struct vpci_msix_entry *, const struct pci_dev *, paddr_t)
XEN_IRQ_EXPORT(void, vpci_msix_arch_init_entry, struct vpci_msix_entry *)
XEN_IRQ_EXPORT(void, vpci_msix_arch_mask_entry,
               struct vpci_msix_entry *, const struct pci_dev *, bool)
XEN_IRQ_EXPORT(int, vpci_msix_arch_print, const struct vpci_msix *)
#endif

#ifdef CONFIG_RUST_MSI
XEN_IRQ_EXPORT(void, __msi_set_enable,
               uint16_t, uint8_t, uint8_t, uint8_t, int, int)
XEN_IRQ_EXPORT(int, __setup_msi_irq,
               struct irq_desc *, struct msi_desc *, hw_irq_controller *)
XEN_IRQ_EXPORT(void, ack_nonmaskable_msi_irq, struct irq_desc *)
XEN_IRQ_EXPORT(void, early_msi_init, void)
XEN_IRQ_EXPORT(void, guest_mask_msi_irq, struct irq_desc *, bool)
XEN_IRQ_EXPORT(void, mask_msi_irq, struct irq_desc *)
XEN_IRQ_EXPORT(void, msi_compose_msg,
               unsigned int, const cpumask_t *, struct msi_msg *)
XEN_IRQ_EXPORT(int, msi_free_irq, struct msi_desc *)
XEN_IRQ_EXPORT(int, msi_maskable_irq, const struct msi_desc *)
XEN_IRQ_EXPORT(void, pci_cleanup_msi, struct pci_dev *)
XEN_IRQ_EXPORT(void, pci_disable_msi, struct msi_desc *)
XEN_IRQ_EXPORT(void, pci_disable_msi_all, void)
XEN_IRQ_EXPORT(int, pci_enable_msi,
               struct pci_dev *, struct msi_info *, struct msi_desc **)
XEN_IRQ_EXPORT(int, pci_msi_conf_write_intercept,
               struct pci_dev *, unsigned int, unsigned int, uint32_t *)
XEN_IRQ_EXPORT(int, pci_prepare_msix, uint16_t, uint8_t, uint8_t, bool)
XEN_IRQ_EXPORT(int, pci_reset_msix_state, struct pci_dev *)
XEN_IRQ_EXPORT(int, pci_restore_msi_state, struct pci_dev *)
XEN_IRQ_EXPORT(void, set_msi_affinity, struct irq_desc *, const cpumask_t *)
XEN_IRQ_EXPORT(int, setup_msi_irq, struct irq_desc *, struct msi_desc *)
XEN_IRQ_EXPORT(void, unmask_msi_irq, struct irq_desc *)
#endif

#ifdef CONFIG_RUST_VTD_INTREMAP
XEN_IRQ_EXPORT(void, disable_intremap, struct vtd_iommu *)
XEN_IRQ_EXPORT(int, enable_intremap, struct vtd_iommu *, int)
XEN_IRQ_EXPORT(void, intel_iommu_disable_eim, void)
XEN_IRQ_EXPORT(int, intel_iommu_enable_eim, void)
XEN_IRQ_EXPORT(bool, intel_iommu_supports_eim, void)
XEN_IRQ_EXPORT(int, intel_setup_hpet_msi, struct msi_desc *)
XEN_IRQ_EXPORT(unsigned int, io_apic_read_remap_rte,
               unsigned int, unsigned int)
XEN_IRQ_EXPORT(void, io_apic_write_remap_rte,
               unsigned int, unsigned int, uint64_t)
XEN_IRQ_EXPORT(int, msi_msg_write_remap_rte,
               struct msi_desc *, struct msi_msg *)
#endif

#ifdef CONFIG_RUST_AMD_INTREMAP
XEN_IRQ_EXPORT(void *, amd_iommu_alloc_intremap_table,
               const struct amd_iommu *, unsigned long **, unsigned int)
XEN_IRQ_EXPORT(void, amd_iommu_dump_intremap_tables, unsigned char)
XEN_IRQ_EXPORT(int, amd_iommu_free_intremap_table,
               const struct amd_iommu *, struct ivrs_mappings *, uint16_t)
XEN_IRQ_EXPORT(unsigned int, amd_iommu_intremap_table_order,
               const void *, const struct amd_iommu *)
XEN_IRQ_EXPORT(void, amd_iommu_ioapic_update_ire,
               unsigned int, unsigned int, uint64_t)
XEN_IRQ_EXPORT(int, amd_iommu_msi_msg_update_ire,
               struct msi_desc *, struct msi_msg *)
XEN_IRQ_EXPORT(unsigned int, amd_iommu_read_ioapic_from_ire,
               unsigned int, unsigned int)
XEN_IRQ_EXPORT(int, amd_setup_hpet_msi, struct msi_desc *)
XEN_IRQ_EXPORT(unsigned int, get_next_ioapic_sbdf_index, void)
XEN_IRQ_EXPORT(unsigned int, ioapic_id_to_index, unsigned int)
XEN_IRQ_EXPORT(bool, iov_supports_xt, void)
#endif

#ifdef CONFIG_RUST_IRQ_VECTORS
XEN_IRQ_EXPORT(void, alloc_direct_apic_vector, uint8_t *, void (*)(void))
XEN_IRQ_EXPORT(uint8_t, alloc_hipriority_vector, void)
XEN_IRQ_EXPORT(struct pirq *, alloc_pirq_struct, struct domain *)
XEN_IRQ_EXPORT(int, allocate_and_map_gsi_pirq, struct domain *, int, int *)
XEN_IRQ_EXPORT(int, allocate_and_map_msi_pirq,
               struct domain *, int, int *, int, struct msi_info *)
XEN_IRQ_EXPORT(void, arch_evtchn_bind_pirq, struct domain *, int)
XEN_IRQ_EXPORT(int, arch_init_one_irq_desc, struct irq_desc *)
XEN_IRQ_EXPORT(int, assign_irq_vector, int, const cpumask_t *)
XEN_IRQ_EXPORT(int, bind_irq_vector, int, int, const cpumask_t *)
XEN_IRQ_EXPORT(void, cleanup_domain_irq_mapping, struct domain *)
XEN_IRQ_EXPORT(void, clear_irq_vector, int)
XEN_IRQ_EXPORT(bool, cpu_has_pending_apic_eoi, void)
XEN_IRQ_EXPORT(int, create_irq, nodeid_t, bool)
XEN_IRQ_EXPORT(void, desc_guest_eoi, struct irq_desc *, struct pirq *)
XEN_IRQ_EXPORT(void, destroy_irq, unsigned int)
XEN_IRQ_EXPORT(void, do_IRQ, struct cpu_user_regs *)
XEN_IRQ_EXPORT(struct irq_desc *, domain_spin_lock_irq_desc,
               struct domain *, int, unsigned long *)
XEN_IRQ_EXPORT(void, end_nonmaskable_irq, struct irq_desc *, uint8_t)
XEN_IRQ_EXPORT(void, fixup_eoi, void)
XEN_IRQ_EXPORT(void, fixup_irqs, void)
XEN_IRQ_EXPORT(void, free_domain_pirqs, struct domain *)
XEN_IRQ_EXPORT(void, free_lopriority_vector, uint8_t)
XEN_IRQ_EXPORT(int, get_free_pirq, struct domain *, int)
XEN_IRQ_EXPORT(int, get_free_pirqs, struct domain *, unsigned int)
XEN_IRQ_EXPORT(int, init_domain_irq_mapping, struct domain *)
XEN_IRQ_EXPORT(int, init_irq_data, void)
XEN_IRQ_EXPORT(void, irq_ack_none, struct irq_desc *)
XEN_IRQ_EXPORT(void, irq_complete_move, struct irq_desc *)
XEN_IRQ_EXPORT(void, irq_move_cleanup_interrupt, void)
XEN_IRQ_EXPORT(void, irq_set_affinity, struct irq_desc *, const cpumask_t *)
XEN_IRQ_EXPORT(int, irq_to_vector, int)
XEN_IRQ_EXPORT(void, lock_vector_lock, void)
XEN_IRQ_EXPORT(int, map_domain_emuirq_pirq, struct domain *, int, int)
XEN_IRQ_EXPORT(int, map_domain_pirq, struct domain *, int, int, int, void *)
XEN_IRQ_EXPORT(void, move_masked_irq, struct irq_desc *)
XEN_IRQ_EXPORT(void, move_native_irq, struct irq_desc *)
XEN_IRQ_EXPORT(void, pirq_cleanup_check, struct pirq *, struct domain *)
XEN_IRQ_EXPORT(int, pirq_guest_bind, struct vcpu *, struct pirq *, int)
XEN_IRQ_EXPORT(void, pirq_guest_eoi, struct pirq *)
XEN_IRQ_EXPORT(void, pirq_guest_unbind, struct domain *, struct pirq *)
XEN_IRQ_EXPORT(int, pirq_guest_unmask, struct domain *)
XEN_IRQ_EXPORT(void, pirq_set_affinity,
               struct domain *, int, const cpumask_t *)
XEN_IRQ_EXPORT(int, pirq_shared, struct domain *, int)
XEN_IRQ_EXPORT(struct irq_desc *, pirq_spin_lock_irq_desc,
               const struct pirq *, unsigned long *)
XEN_IRQ_EXPORT(void, release_irq, unsigned int, const void *)
XEN_IRQ_EXPORT(int, request_irq, unsigned int, unsigned int,
               void (*)(int, void *), const char *, void *)
XEN_IRQ_EXPORT(unsigned int, set_desc_affinity,
               struct irq_desc *, const cpumask_t *)
XEN_IRQ_EXPORT(void, set_direct_apic_vector, uint8_t, void (*)(void))
XEN_IRQ_EXPORT(int, setup_irq,
               unsigned int, unsigned int, struct irqaction *)
XEN_IRQ_EXPORT(void, setup_vector_irq, unsigned int)
XEN_IRQ_EXPORT(void, unlock_vector_lock, void)
XEN_IRQ_EXPORT(int, unmap_domain_pirq, struct domain *, int)
XEN_IRQ_EXPORT(int, unmap_domain_pirq_emuirq, struct domain *, int)
#endif
