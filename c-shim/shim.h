/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What only C can hold, as seen from Rust: calls of inline functions and macros of Xen, and the tables of entry points.
 * As little as can be: what decides something is in Rust.
 */
#ifndef XEN_IRQ_SHIM_H
#define XEN_IRQ_SHIM_H

#include <xen/irq.h>
#include <xen/rcupdate.h>
#include <xen/rwlock.h>
#include <xen/sched.h>
#include <xen/spinlock.h>
#include <xen/timer.h>
#include <xen/vpci.h>

#include <asm/msi.h>

#ifdef CONFIG_HVM
#include <asm/hvm/io.h>
#endif

void shim_write_lock(rwlock_t *lock);
void shim_write_unlock(rwlock_t *lock);
void shim_pcidevs_lock(void);
bool shim_iommu_intpost(void);
void shim_read_lock(rwlock_t *lock);
bool shim_read_trylock(rwlock_t *lock);
void shim_read_unlock(rwlock_t *lock);
bool shim_rw_is_locked(const rwlock_t *lock);
bool shim_rw_is_write_locked(const rwlock_t *lock);
bool shim_spin_trylock(spinlock_t *lock);
bool shim_spin_is_locked(const spinlock_t *lock);
bool shim_pdev_list_is_read_locked(const struct domain *d);
void shim_domain_crash(struct domain *d);
unsigned int shim_cpu_mask_to_apicid(const cpumask_t *mask);
bool shim_domain_has_memory(const struct domain *d);
int shim_resource_setup_pci(const struct pci_dev *pdev);
void shim_call_rcu_xfree(struct rcu_head *head);

/* An object's pages, which are freed with it. */
#define SHIM_PAGES 16
struct shim_pages {
    struct rcu_head rcu;
    unsigned int count;
    void *page[SHIM_PAGES];
};
void shim_call_rcu_free_pages(struct shim_pages *pages);

unsigned int shim_io_apic_read(unsigned int apic, unsigned int reg);
paddr_t shim_virt_to_maddr(const void *va);
bool shim_has_cx16(void);
void shim_vtd_malfunction(void);

extern unsigned int shim_intremap_entries;

#ifdef CONFIG_HVM
/* Defined with RUST_VMSI, which alone refers to it. */
extern const struct hvm_io_ops shim_msixtbl_ops;
#endif

#ifdef CONFIG_RUST_VMSI
/* The accept, read and write operations of the MSI-X table; reached through shim_msixtbl_ops alone. */
bool xen_irq_msixtbl_accept(const ioreq_t *r);
int xen_irq_msixtbl_read(uint64_t address, uint32_t len, uint64_t *pval);
int xen_irq_msixtbl_write(uint64_t address, uint32_t len, uint64_t val);
#endif

#ifdef CONFIG_RUST_VTD_INTREMAP
/* What iommu_ops of VT-d point to; each is called by the function of c-shim/vtd.c without the prefix. */
bool xen_irq_intel_iommu_supports_eim(void);
int xen_irq_intel_iommu_enable_eim(void);
void xen_irq_intel_iommu_disable_eim(void);
int xen_irq_intel_setup_hpet_msi(struct msi_desc *msi_desc);
unsigned int xen_irq_io_apic_read_remap_rte(unsigned int apic,
                                            unsigned int reg);
void xen_irq_io_apic_write_remap_rte(unsigned int apic, unsigned int pin,
                                     uint64_t rte);
int xen_irq_msi_msg_write_remap_rte(struct msi_desc *msi_desc,
                                    struct msi_msg *msg);
#endif

#ifdef CONFIG_RUST_MSI
extern int8_t shim_use_msi;
extern bool shim_msi_recheck;
extern spinlock_t shim_msi_mask_lock;
extern hw_irq_controller shim_msi_maskable, shim_msi_nonmaskable;
int shim_disable_msi_of_all(void);
int shim_update_ire_from_msi(struct msi_desc *msi_desc, struct msi_msg *msg);
bool shim_firmware_allows_msi(void);
bool *shim_config_writing(void);
void shim_map_device_page(unsigned int index, paddr_t addr);
void shim_unmap_device_page(unsigned int index);
bool shim_is_memory(unsigned long pfn);
int shim_domain_irq_to_pirq(struct domain *d, int irq);
void shim_unbind_msi(struct domain *d, unsigned int pirq);
void shim_reserve_pirq(struct domain *d, unsigned int pirq);
void shim_vpci_dump_msi(void);

/* What Xen points to; each is called by the function of c-shim/msi.c without the prefix. */
void xen_irq_dump_msi(void);
void xen_irq_mask_msi_irq(struct irq_desc *desc);
void xen_irq_set_msi_affinity(struct irq_desc *desc, const cpumask_t *mask);
void xen_irq_shutdown_msi_irq(struct irq_desc *desc);
void xen_irq_startup_msi_irq(struct irq_desc *desc);
void xen_irq_unmask_msi_irq(struct irq_desc *desc);
/* What shim_disable_msi_of_all() calls for each function. */
void xen_irq_disable_msi(struct pci_dev *pdev);
#endif

#ifdef CONFIG_RUST_AMD_INTREMAP
struct amd_iommu;
struct ivrs_mappings;

extern spinlock_t shim_shared_intremap_lock;
void shim_clear_pages(void *va, unsigned int order);
unsigned int shim_page_order(const void *va);
void shim_set_page_order(void *va, unsigned int order);
void shim_dump_intremap_tables(void);

/* What Xen points to; each is called by the function of c-shim/amd.c without the prefix. */
void xen_irq_amd_iommu_dump_intremap_tables(void);
int xen_irq_amd_iommu_free_intremap_table(struct ivrs_mappings *ivrs_mapping,
                                          unsigned int bdf);
void xen_irq_amd_iommu_ioapic_update_ire(unsigned int apic, unsigned int pin,
                                         uint64_t rte);
int xen_irq_amd_iommu_msi_msg_update_ire(struct msi_desc *msi_desc,
                                         struct msi_msg *msg);
unsigned int xen_irq_amd_iommu_read_ioapic_from_ire(unsigned int apic,
                                                    unsigned int reg);
int xen_irq_amd_setup_hpet_msi(struct msi_desc *msi_desc);
bool xen_irq_iov_supports_xt(void);
/* What shim_dump_intremap_tables() calls for each requester. */
void xen_irq_amd_iommu_dump_intremap_table(const struct amd_iommu *iommu,
                                           struct ivrs_mappings *ivrs_mapping,
                                           unsigned int bdf);
#endif

#ifdef CONFIG_RUST_IRQ_VECTORS
#define SHIM_EOI_WORDS 104

/* Of irq.c, where they are static without Rust. */
extern unsigned char irq_max_guests;
extern unsigned int irq_ratelimit_threshold;
extern void (*direct_apic_vector[])(void);

extern spinlock_t shim_vector_lock;
extern cpumask_t shim_destination;
bool shim_zalloc_cpumask(cpumask_var_t *mask);
bool shim_alloc_cpumask(cpumask_var_t *mask);
void shim_free_cpumask(cpumask_var_t *mask);
void shim_rcu_unlock_domain(struct domain *d);
int shim_irq_access(struct domain *d, unsigned int irq, bool allow);
bool shim_irq_is_permitted(const struct domain *d, int irq);
int shim_may_map_irq(struct domain *d, int irq, void *msi_info);
int shim_may_unmap_irq(struct domain *d, int irq, void *pdev);
bool shim_has_apic(void);
bool shim_is_8259A(const struct irq_desc *desc);
bool shim_is_pending(uint8_t vector);
void shim_send_cleanup_self(void);
void shim_send_cleanup(const cpumask_t *cpus);
void shim_forward(const cpumask_t *cpus, uint8_t vector);
void shim_trace_irq(uint32_t event, int irq, int vector, unsigned int cpu);
void shim_trace_irq_mask(uint32_t event, int irq, int vector,
                         const cpumask_t *mask);
void shim_trace_vector(uint32_t event, unsigned int vector);
bool shim_is_in_service(uint8_t vector);
void shim_ack_apic(void);
bool shim_cpu_is_amd(void);
void shim_count_interrupt(void);
const cpumask_t *shim_cpumask_of(unsigned int cpu);
bool shim_is_acked_by_move(const struct irq_desc *desc);
bool shim_type_is(const struct irq_desc *desc, const char *name);
struct pirq *shim_pirq_info(struct domain *d, int pirq);
unsigned int shim_pirqs(struct domain *d, unsigned int first,
                        struct pirq **pirqs, unsigned int most);
bool shim_evtchn_is_masked(struct domain *d, evtchn_port_t port);
uint32_t shim_evtchn_state(struct domain *d, evtchn_port_t port);
void shim_init_eoi_timer(struct timer *timer, struct irq_desc *desc);
void shim_tell_eoi_ready(const cpumask_t *cpus, struct irq_desc *desc,
                         bool wait);
extern spinlock_t shim_ratelimit_lock;
extern struct list_head shim_ratelimit_list;
extern struct timer shim_ratelimit_timer;

/* The EOIs that a CPU has yet to send, as irq_core::irq::eoi lays them out. */
struct shim_eoi_stack {
    uint64_t words[SHIM_EOI_WORDS];
};
DECLARE_PER_CPU(struct shim_eoi_stack, shim_eoi_stack);

/* What c-shim/irq.c calls. */
void xen_irq_complete_move(struct irq_desc *desc, uint32_t vector,
                           unsigned int cpu);
void xen_irq_move_cleanup(unsigned int cpu);
bool xen_irq_defer_eoi(struct irq_desc *desc, uint32_t vector);
void xen_irq_set_eoi_ready(struct irq_desc *desc);
void xen_irq_guest_eoi_timer(struct irq_desc *desc);
void xen_irq_ratelimit_timer(void);
/* What irq.c calls. */
void xen_irq_dump_guests(struct irq_desc *desc);
#endif

#endif
