/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of amd/iommu_intr.c that Xen reaches through pointers, and its variables. */
#include <../drivers/passthrough/amd/iommu.h>

#include "shim.h"

struct ioapic_sbdf ioapic_sbdf[MAX_IO_APICS];
unsigned int nr_ioapic_sbdf;
struct hpet_sbdf hpet_sbdf;
void *shared_intremap_table;
unsigned long *shared_intremap_inuse;
DEFINE_SPINLOCK(shim_shared_intremap_lock);

bool __init cf_check iov_supports_xt(void)
{
    return xen_irq_iov_supports_xt();
}

int __init cf_check amd_setup_hpet_msi(struct msi_desc *msi_desc)
{
    return xen_irq_amd_setup_hpet_msi(msi_desc);
}

void cf_check amd_iommu_ioapic_update_ire(
    unsigned int apic, unsigned int pin, uint64_t rte)
{
    xen_irq_amd_iommu_ioapic_update_ire(apic, pin, rte);
}

unsigned int cf_check amd_iommu_read_ioapic_from_ire(
    unsigned int apic, unsigned int reg)
{
    return xen_irq_amd_iommu_read_ioapic_from_ire(apic, reg);
}

int cf_check amd_iommu_msi_msg_update_ire(
    struct msi_desc *msi_desc, struct msi_msg *msg)
{
    return xen_irq_amd_iommu_msi_msg_update_ire(msi_desc, msg);
}

int cf_check amd_iommu_free_intremap_table(
    const struct amd_iommu *iommu, struct ivrs_mappings *ivrs_mapping,
    uint16_t bdf)
{
    return xen_irq_amd_iommu_free_intremap_table(ivrs_mapping, bdf);
}

void cf_check amd_iommu_dump_intremap_tables(unsigned char key)
{
    xen_irq_amd_iommu_dump_intremap_tables();
}

static int cf_check dump_table(
    const struct amd_iommu *iommu, struct ivrs_mappings *ivrs_mapping,
    uint16_t bdf)
{
    xen_irq_amd_iommu_dump_intremap_table(iommu, ivrs_mapping, bdf);

    return 0;
}

void shim_dump_intremap_tables(void)
{
    iterate_ivrs_entries(dump_table);
}

void shim_clear_pages(void *va, unsigned int order)
{
    memset(va, 0, PAGE_SIZE << order);
}

/* The order of a block of pages that its owner notes there. */
unsigned int shim_page_order(const void *va)
{
    return PFN_ORDER(virt_to_page(va));
}

void shim_set_page_order(void *va, unsigned int order)
{
    PFN_ORDER(virt_to_page(va)) = order;
}
