/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of irq.c that Xen reaches through pointers, and the services of Xen that it alone uses. */
#include <xen/iocap.h>
#include <xen/irq.h>
#include <xen/sched.h>
#include <xen/trace.h>

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

unsigned int shim_cpumask_words(void)
{
    return BITS_TO_LONGS(nr_cpumask_bits);
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
