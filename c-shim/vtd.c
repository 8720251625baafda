/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of vtd/intremap.c that Xen reaches through pointers. */
#include <../drivers/passthrough/vtd/extern.h>

#include "shim.h"

bool __init cf_check intel_iommu_supports_eim(void)
{
    return xen_irq_intel_iommu_supports_eim();
}

int cf_check intel_iommu_enable_eim(void)
{
    return xen_irq_intel_iommu_enable_eim();
}

void cf_check intel_iommu_disable_eim(void)
{
    xen_irq_intel_iommu_disable_eim();
}

int __init cf_check intel_setup_hpet_msi(struct msi_desc *msi_desc)
{
    return xen_irq_intel_setup_hpet_msi(msi_desc);
}

unsigned int cf_check io_apic_read_remap_rte(
    unsigned int apic, unsigned int reg)
{
    return xen_irq_io_apic_read_remap_rte(apic, reg);
}

void cf_check io_apic_write_remap_rte(
    unsigned int apic, unsigned int pin, uint64_t rte)
{
    xen_irq_io_apic_write_remap_rte(apic, pin, rte);
}

int cf_check msi_msg_write_remap_rte(
    struct msi_desc *msi_desc, struct msi_msg *msg)
{
    return xen_irq_msi_msg_write_remap_rte(msi_desc, msg);
}
