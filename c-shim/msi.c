/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of msi.c that Xen reaches through pointers, its boot options, and the services of Xen that it alone uses. */
#include <xen/acpi.h>
#include <xen/init.h>
#include <xen/iommu.h>
#include <xen/irq.h>
#include <xen/keyhandler.h>
#include <xen/param.h>
#include <xen/pci.h>
#include <xen/rcupdate.h>
#include <xen/sched.h>
#include <xen/vpci.h>
#include <xsm/xsm.h>

#include <asm/apic.h>
#include <asm/fixmap.h>
#include <asm/io_apic.h>
#include <asm/irq.h>
#include <asm/msi.h>
#include <asm/smp.h>

#include "shim.h"

/* msi=<bool>: whether MSI and MSI-X are used; -1 leaves it to firmware. */
int8_t __ro_after_init shim_use_msi = -1;
boolean_param("msi", shim_use_msi);

/* msi-recheck=<bool>: read configuration space before each access to a table, as without Rust. */
bool __ro_after_init shim_msi_recheck;
boolean_param("msi-recheck", shim_msi_recheck);

DEFINE_SPINLOCK(shim_msi_mask_lock);

void cf_check mask_msi_irq(struct irq_desc *desc)
{
    xen_irq_mask_msi_irq(desc);
}

void cf_check unmask_msi_irq(struct irq_desc *desc)
{
    xen_irq_unmask_msi_irq(desc);
}

void cf_check set_msi_affinity(struct irq_desc *desc, const cpumask_t *mask)
{
    xen_irq_set_msi_affinity(desc, mask);
}

void cf_check ack_nonmaskable_msi_irq(struct irq_desc *desc)
{
    irq_complete_move(desc);
    move_native_irq(desc);
}

static unsigned int cf_check startup_msi_irq(struct irq_desc *desc)
{
    xen_irq_startup_msi_irq(desc);

    return 0;
}

static void cf_check shutdown_msi_irq(struct irq_desc *desc)
{
    xen_irq_shutdown_msi_irq(desc);
}

static void cf_check ack_maskable_msi_irq(struct irq_desc *desc)
{
    ack_nonmaskable_msi_irq(desc);
    ack_APIC_irq();
}

hw_irq_controller shim_msi_maskable = {
    .typename     = "PCI-MSI/-X",
    .startup      = startup_msi_irq,
    .shutdown     = shutdown_msi_irq,
    .enable       = unmask_msi_irq,
    .disable      = mask_msi_irq,
    .ack          = ack_maskable_msi_irq,
    .set_affinity = set_msi_affinity
};

hw_irq_controller shim_msi_nonmaskable = {
    .typename     = "PCI-MSI",
    .startup      = irq_startup_none,
    .shutdown     = irq_shutdown_none,
    .enable       = irq_enable_none,
    .disable      = irq_disable_none,
    .ack          = ack_nonmaskable_msi_irq,
    .end          = end_nonmaskable_irq,
    .set_affinity = set_msi_affinity
};

static void cf_check dump_msi(unsigned char key)
{
    xen_irq_dump_msi();
}

static int __init cf_check msi_setup_keyhandler(void)
{
    register_keyhandler('M', dump_msi, "dump MSI state", 1);

    return 0;
}
__initcall(msi_setup_keyhandler);

static int cf_check disable_msi(struct pci_dev *pdev, void *arg)
{
    xen_irq_disable_msi(pdev);

    return 0;
}

int shim_disable_msi_of_all(void)
{
    return pci_iterate_devices(disable_msi, NULL);
}

/* Since 4.21 this says by itself whether the device's registers have to be written; before, they always are. */
int shim_update_ire_from_msi(struct msi_desc *msi_desc, struct msi_msg *msg)
{
    return iommu_update_ire_from_msi(msi_desc, msg) ?: 1;
}

bool shim_firmware_allows_msi(void)
{
    return !(acpi_gbl_FADT.boot_flags & ACPI_FADT_NO_MSI);
}

static DEFINE_PER_CPU(bool, config_writing);

bool *shim_config_writing(void)
{
    return &this_cpu(config_writing);
}

void shim_map_device_page(unsigned int index, paddr_t addr)
{
    set_fixmap_nocache(index, addr);
}

void shim_unmap_device_page(unsigned int index)
{
    clear_fixmap(index);
}

bool shim_is_memory(unsigned long pfn)
{
    return page_is_ram_type(pfn, RAM_TYPE_CONVENTIONAL);
}

int shim_domain_irq_to_pirq(struct domain *d, int irq)
{
    return domain_irq_to_pirq(d, irq);
}

void shim_unbind_msi(struct domain *d, unsigned int pirq)
{
    const struct xen_domctl_bind_pt_irq bind = {
        .machine_irq = pirq,
        .irq_type = PT_IRQ_TYPE_MSI,
    };

    if ( is_hvm_domain(d) )
        pt_irq_destroy_bind(d, &bind);
}

void shim_reserve_pirq(struct domain *d, unsigned int pirq)
{
    struct pirq *info = pirq_get_info(d, pirq);

    if ( info && !info->arch.irq )
        info->arch.irq = PIRQ_ALLOCATED;
}

/* Without vPCI an inline function without effect. */
void shim_vpci_dump_msi(void)
{
    vpci_dump_msi();
}
