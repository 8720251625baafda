/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of irq.c that Xen reaches through pointers, and the services of Xen that it alone uses. */
#include <xen/event.h>
#include <xen/init.h>
#include <xen/iocap.h>
#include <xen/irq.h>
#include <xen/perfc.h>
#include <xen/sched.h>
#include <xen/timer.h>
#include <xen/trace.h>
#include <xsm/xsm.h>

#include <asm/apic.h>
#include <asm/genapic.h>
#include <asm/irq-vectors.h>
#include <asm/smp.h>

#include "shim.h"

DEFINE_SPINLOCK(shim_vector_lock);
/* Of who holds that lock: the CPUs that a source can be made to send to. */
cpumask_t shim_destination;

void cf_check irq_complete_move(struct irq_desc *desc)
{
    if ( unlikely(desc->arch.move_in_progress) )
        xen_irq_complete_move(desc, (uint8_t)get_irq_regs()->entry_vector,
                              smp_processor_id());
}

void cf_check irq_move_cleanup_interrupt(void)
{
    ack_APIC_irq();

    if ( cpu_online(smp_processor_id()) )
        xen_irq_move_cleanup(smp_processor_id());
}

void cf_check irq_ack_none(struct irq_desc *desc)
{
    ack_bad_irq(desc->irq);
}

/* Without a higher interrupt whose EOI has yet to be sent. */
void cf_check end_nonmaskable_irq(struct irq_desc *desc, uint8_t vector)
{
    if ( !xen_irq_defer_eoi(desc, vector) )
        ack_APIC_irq();
}

DEFINE_PER_CPU(struct shim_eoi_stack, shim_eoi_stack);

static void cf_check set_eoi_ready(void *desc)
{
    xen_irq_set_eoi_ready(desc);
}

void shim_tell_eoi_ready(const cpumask_t *cpus, struct irq_desc *desc,
                         bool wait)
{
    on_selected_cpus(cpus, set_eoi_ready, desc, wait);
}

static void cf_check guest_eoi_timer(void *desc)
{
    xen_irq_guest_eoi_timer(desc);
}

void shim_init_eoi_timer(struct timer *timer, struct irq_desc *desc)
{
    init_timer(timer, guest_eoi_timer, desc, 0);
}

DEFINE_SPINLOCK(shim_ratelimit_lock);
LIST_HEAD(shim_ratelimit_list);
struct timer shim_ratelimit_timer;

static void cf_check ratelimit_timer(void *unused)
{
    xen_irq_ratelimit_timer();
}

static int __init cf_check ratelimit_init(void)
{
    if ( irq_ratelimit_threshold )
        init_timer(&shim_ratelimit_timer, ratelimit_timer, NULL, 0);
    return 0;
}
__initcall(ratelimit_init);

bool shim_is_in_service(uint8_t vector)
{
    return apic_isr_read(vector);
}

void shim_ack_apic(void)
{
    ack_APIC_irq();
}

bool shim_cpu_is_amd(void)
{
    return boot_cpu_data.x86_vendor & (X86_VENDOR_AMD | X86_VENDOR_HYGON);
}

void shim_count_interrupt(void)
{
    perfc_incr(irqs);
}

const cpumask_t *shim_cpumask_of(unsigned int cpu)
{
    return cpumask_of(cpu);
}

bool shim_is_acked_by_move(const struct irq_desc *desc)
{
    return desc->handler->ack == irq_complete_move;
}

bool shim_type_is(const struct irq_desc *desc, const char *name)
{
    return !strcmp(desc->handler->typename, name);
}

struct pirq *shim_pirq_info(struct domain *d, int pirq)
{
    return pirq_info(d, pirq);
}

unsigned int shim_pirqs(struct domain *d, unsigned int first,
                        struct pirq **pirqs, unsigned int most)
{
    return radix_tree_gang_lookup(&d->pirq_tree,
                                  (void **)pirqs, first, most);
}

bool shim_evtchn_is_masked(struct domain *d, evtchn_port_t port)
{
    return evtchn_port_is_masked(d, port);
}

/* Pending in bit 0, masked in bit 1, and bit 2 where neither can be told. */
uint32_t shim_evtchn_state(struct domain *d, evtchn_port_t port)
{
    struct evtchn *evtchn = evtchn_from_port(d, port);
    uint32_t state = 4;

    if ( evtchn_read_trylock(evtchn) )
    {
        state = evtchn_is_pending(d, evtchn) | evtchn_is_masked(d, evtchn) << 1;
        evtchn_read_unlock(evtchn);
    }

    return state;
}

bool shim_is_8259A(const struct irq_desc *desc)
{
    return desc->handler->enable == enable_8259A_irq;
}

bool shim_is_pending(uint8_t vector)
{
    return apic_irr_read(vector);
}

void shim_send_cleanup_self(void)
{
    send_IPI_self(IRQ_MOVE_CLEANUP_VECTOR);
}

void shim_send_cleanup(const cpumask_t *cpus)
{
    send_IPI_mask(cpus, IRQ_MOVE_CLEANUP_VECTOR);
}

void shim_forward(const cpumask_t *cpus, uint8_t vector)
{
    cpumask_t *dest = this_cpu(scratch_cpumask);

    cpumask_and(dest, cpus, &cpu_online_map);
    if ( !cpumask_empty(dest) )
        send_IPI_mask(cpumask_of(cpumask_any(dest)), vector);
}

void shim_trace_irq(uint32_t event, int irq, int vector, unsigned int cpu)
{
    TRACE_TIME(event, irq, vector, cpu);
}

void shim_trace_vector(uint32_t event, unsigned int vector)
{
    TRACE_TIME(event, vector);
}

/* A record holds the first 192 CPUs of a mask. */
void shim_trace_irq_mask(uint32_t event, int irq, int vector,
                         const cpumask_t *mask)
{
    struct {
        uint16_t irq, vector;
        uint32_t mask[6];
    } record = { .irq = irq, .vector = vector };

    if ( !unlikely(tb_init_done) )
        return;

    memcpy(record.mask, mask,
           min(sizeof(record.mask), BITS_TO_LONGS(nr_cpu_ids) * sizeof(long)));
    trace_time(event, sizeof(record), &record);
}

bool shim_zalloc_cpumask(cpumask_var_t *mask)
{
    return zalloc_cpumask_var(mask);
}

bool shim_alloc_cpumask(cpumask_var_t *mask)
{
    return alloc_cpumask_var(mask);
}

void shim_free_cpumask(cpumask_var_t *mask)
{
    /* The descriptor has no mask again, rather than a freed one. */
    FREE_CPUMASK_VAR(*mask);
}

void shim_rcu_unlock_domain(struct domain *d)
{
    rcu_unlock_domain(d);
}

int shim_irq_access(struct domain *d, unsigned int irq, bool allow)
{
    return allow ? irq_permit_access(d, irq) : irq_deny_access(d, irq);
}

bool shim_irq_is_permitted(const struct domain *d, int irq)
{
    return irq_access_permitted(d, irq);
}

int shim_may_map_irq(struct domain *d, int irq, void *msi_info)
{
    return xsm_map_domain_irq(XSM_HOOK, d, irq, msi_info);
}

int shim_may_unmap_irq(struct domain *d, int irq, void *pdev)
{
    return xsm_unmap_domain_irq(XSM_HOOK, d, irq, pdev);
}

bool shim_has_apic(void)
{
    return cpu_has_apic;
}
