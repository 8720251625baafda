/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline functions and macros of Xen that Rust cannot call. Cold paths only: what is hot is native in rust/xen. */
#include <xen/iommu.h>
#include <xen/kexec.h>
#include <xen/param.h>
#include <xen/pci.h>
#include <xsm/xsm.h>

#include <asm/genapic.h>
#include <asm/io_apic.h>

#include "shim.h"

void shim_write_lock(rwlock_t *lock)
{
    write_lock(lock);
}

void shim_write_unlock(rwlock_t *lock)
{
    write_unlock(lock);
}

void shim_pcidevs_lock(void)
{
    pcidevs_lock();
}

bool shim_iommu_intpost(void)
{
    return iommu_intpost;
}

void shim_read_lock(rwlock_t *lock)
{
    read_lock(lock);
}

bool shim_read_trylock(rwlock_t *lock)
{
    return read_trylock(lock);
}

void shim_read_unlock(rwlock_t *lock)
{
    read_unlock(lock);
}

bool shim_rw_is_locked(const rwlock_t *lock)
{
    return rw_is_locked(lock);
}

bool shim_rw_is_write_locked(const rwlock_t *lock)
{
    return rw_is_write_locked(lock);
}

bool shim_spin_trylock(spinlock_t *lock)
{
    return spin_trylock(lock);
}

bool shim_spin_is_locked(const spinlock_t *lock)
{
    return spin_is_locked(lock);
}

bool shim_pdev_list_is_read_locked(const struct domain *d)
{
#ifdef NDEBUG
    return true;
#else
    return pcidevs_locked() || (d && rw_is_locked(&d->pci_lock));
#endif
}

void shim_domain_crash(struct domain *d)
{
    domain_crash(d);
}

unsigned int shim_cpu_mask_to_apicid(const cpumask_t *mask)
{
    return cpu_mask_to_apicid(mask);
}

bool shim_domain_has_memory(const struct domain *d)
{
    return domain_tot_pages(d);
}

int shim_resource_setup_pci(const struct pci_dev *pdev)
{
    return xsm_resource_setup_pci(XSM_PRIV, pdev->sbdf.sbdf);
}

unsigned int shim_io_apic_read(unsigned int apic, unsigned int reg)
{
    return __io_apic_read(apic, reg);
}

paddr_t shim_virt_to_maddr(const void *va)
{
    return virt_to_maddr(va);
}

bool shim_has_cx16(void)
{
    return cpu_has_cx16;
}

/* intremap-entries=<n>: no more entries of a remapping table are used; 0 for all. */
unsigned int __ro_after_init shim_intremap_entries;
integer_param("intremap-entries", shim_intremap_entries);

/* Another kernel may get on with hardware that does not answer; Xen may not. */
void shim_vtd_malfunction(void)
{
    if ( kexecing )
        return;

    dump_execution_state();
    panic("DMAR hardware malfunction\n");
}

/* The head is the first member of every object that is freed so. */
static void cf_check free_head(struct rcu_head *head)
{
    xfree(head);
}

void shim_call_rcu_xfree(struct rcu_head *head)
{
    call_rcu(head, free_head);
}

/* The pages are the first member of the object that is freed with them. */
static void cf_check free_pages(struct rcu_head *head)
{
    struct shim_pages *pages = container_of(head, struct shim_pages, rcu);

    while ( pages->count )
        xfree(pages->page[--pages->count]);
    xfree(pages);
}

void shim_call_rcu_free_pages(struct shim_pages *pages)
{
    call_rcu(&pages->rcu, free_pages);
}
