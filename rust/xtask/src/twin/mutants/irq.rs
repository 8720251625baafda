//! Faults to plant in irq.c.

use super::Fault;

pub(super) const FAULTS: &[Fault] = &[
    (
        "the last dynamic vector is passed over",
        "        if (vector > LAST_DYNAMIC_VECTOR) {",
        "        if (vector >= LAST_DYNAMIC_VECTOR) {",
    ),
    (
        "the search does not turn to the next offset",
        "            offset = (offset + 1) % 8;",
        "            offset = offset % 8;",
    ),
    (
        "reserved vectors are allocated",
        "        if (test_bit(vector, used_vectors))\n            goto next;",
        "        if (0)\n            goto next;",
    ),
    (
        "the map of used vectors is not looked at",
        "        if (irq_used_vectors\n            && test_bit(vector, irq_used_vectors) )",
        "        if (0)",
    ),
    (
        "PIC vectors are left free on each CPU",
        "        if ( cpumask_test_cpu(0, vec_mask) &&",
        "        if (",
    ),
    (
        "CPU 0's PIC vectors are allocated",
        "             vector >= FIRST_LEGACY_VECTOR && vector <= LAST_LEGACY_VECTOR )\n            goto next;",
        "             vector >= FIRST_LEGACY_VECTOR && vector <= FIRST_LEGACY_VECTOR )\n            goto next;",
    ),
    (
        "a vector in use is taken",
        "            if (per_cpu(vector_irq, new_cpu)[vector] >= 0)",
        "            if (per_cpu(vector_irq, new_cpu)[vector] > 0x7ffffff)",
    ),
    (
        "an IRQ in place moves",
        "        if (cpumask_intersects(&tmp_mask, desc->arch.cpu_mask)) {",
        "        if (cpumask_subset(&tmp_mask, desc->arch.cpu_mask)) {",
    ),
    (
        "a move begins in the middle of another",
        "    if ( desc->arch.move_in_progress || desc->arch.move_cleanup_count )\n    {\n        /*\n         * If the current destination",
        "    if ( desc->arch.move_in_progress )\n    {\n        /*\n         * If the current destination",
    ),
    (
        "a move is refused although its new place is gone",
        "        if ( cpumask_intersects(desc->arch.cpu_mask, &cpu_online_map) )\n            return -EAGAIN;",
        "        return -EAGAIN;",
    ),
    (
        "an IRQ that returns has clean-ups left",
        "            desc->arch.move_in_progress = 0;\n            desc->arch.move_cleanup_count = 0;",
        "            desc->arch.move_in_progress = 0;",
    ),
    (
        "an IRQ that returns keeps the vector it gives up",
        "                ASSERT(test_bit(old_vector, desc->arch.used_vectors));\n                clear_bit(old_vector, desc->arch.used_vectors);",
        "                ASSERT(test_bit(old_vector, desc->arch.used_vectors));",
    ),
    (
        "an IRQ that returns is not entered again",
        "                per_cpu(vector_irq, cpu)[desc->arch.vector] = irq;",
        "                per_cpu(vector_irq, cpu)[desc->arch.vector] |= 0;",
    ),
    (
        "the cursor stays",
        "        current_vector = vector;\n        current_offset = offset;",
        "        current_offset = offset;",
    ),
    (
        "an evacuated IRQ's new place is not released",
        "                 !test_and_clear_bit(old_vector, desc->arch.used_vectors) )",
        "                 !test_bit(old_vector, desc->arch.used_vectors) )",
    ),
    (
        "CPUs that are gone are in the old place",
        "            cpumask_and(desc->arch.old_cpu_mask, desc->arch.cpu_mask,\n                        &cpu_online_map);\n            desc->arch.old_vector",
        "            cpumask_copy(desc->arch.old_cpu_mask, desc->arch.cpu_mask);\n            desc->arch.old_vector",
    ),
    (
        "a move from no CPU is in progress",
        "            if ( !cpumask_empty(desc->arch.old_cpu_mask) )\n                desc->arch.move_in_progress = 1;",
        "            if ( 1 )\n                desc->arch.move_in_progress = 1;",
    ),
    (
        "a vector is allocated without a mark in the map",
        "            ASSERT(!test_bit(vector, desc->arch.used_vectors));\n\n            set_bit(vector, desc->arch.used_vectors);\n        }\n\n        err = 0;",
        "            ASSERT(!test_bit(vector, desc->arch.used_vectors));\n        }\n\n        err = 0;",
    ),
    (
        "an affinity is kept as it was",
        "    if ( mask )\n    {\n        cpumask_copy(desc->affinity, mask);\n        cpumask_and(&dest_mask, mask, desc->arch.cpu_mask);",
        "    if ( mask )\n    {\n        cpumask_and(&dest_mask, mask, desc->arch.cpu_mask);",
    ),
    (
        "an assigned IRQ's affinity is all",
        "        if ( mask )\n            cpumask_copy(desc->affinity, mask);\n        else",
        "        if ( 0 )\n            ;\n        else",
    ),
    (
        "a CPU that comes online has no empty vectors",
        "        per_cpu(vector_irq, cpu)[vector] = INT_MIN;\n    /* Mark",
        "        ;\n    /* Mark",
    ),
    (
        "high-priority vectors are not entered on a new CPU",
        "            cpumask_set_cpu(cpu, desc->arch.cpu_mask);\n        else if",
        "            continue;\n        else if",
    ),
    (
        "another CPU's IRQs are entered on a new one",
        "        else if ( !cpumask_test_cpu(cpu, desc->arch.cpu_mask) )\n            continue;",
        "        else if ( 0 )\n            continue;",
    ),
    (
        "a PIC's IRQ is cleaned up",
        "        if (desc->handler->enable == enable_8259A_irq)\n            goto unlock;",
        "        if (0)\n            goto unlock;",
    ),
    (
        "a vector is cleaned up in mid-move",
        "        if (!desc->arch.move_cleanup_count)\n            goto unlock;",
        "        if (!desc->arch.move_cleanup_count && !desc->arch.move_in_progress)\n            goto unlock;",
    ),
    (
        "the current vector is cleaned up",
        "        if ( vector == desc->arch.vector &&\n             cpumask_test_cpu(me, desc->arch.cpu_mask) )\n            goto unlock;",
        "        if ( 0 )\n            goto unlock;",
    ),
    (
        "a pending vector is cleaned up",
        "        if ( irr & (1u << (vector % 32)) )",
        "        if ( 0 )",
    ),
    (
        "the wrong bit is looked at for what is pending",
        "        irr = apic_read(APIC_IRR + (vector / 32 * 0x10));",
        "        irr = apic_read(APIC_IRR + (vector / 64 * 0x10));",
    ),
    (
        "a clean-up is not tried again",
        "            send_IPI_self(IRQ_MOVE_CLEANUP_VECTOR);\n            TRACE_TIME(TRC_HW_IRQ_MOVE_CLEANUP_DELAY",
        "            TRACE_TIME(TRC_HW_IRQ_MOVE_CLEANUP_DELAY",
    ),
    (
        "high-priority vectors are not cleaned up",
        "          vector <= LAST_HIPRIORITY_VECTOR; vector++)",
        "          vector < LAST_DYNAMIC_VECTOR; vector++)",
    ),
    (
        "a clean-up does not count",
        "        desc->arch.move_cleanup_count--;",
        "        if ( vector & 1 )\n            desc->arch.move_cleanup_count--;",
    ),
    (
        "a clean-up keeps the vector in the map",
        "            ASSERT(vector == desc->arch.old_vector);\n            release_old_vec(desc);",
        "            ASSERT(vector == desc->arch.old_vector);",
    ),
    (
        "clean-ups are told to all old CPUs",
        "    cpumask_and(desc->arch.old_cpu_mask, desc->arch.old_cpu_mask,\n                &cpu_online_map);\n    desc->arch.move_cleanup_count",
        "    desc->arch.move_cleanup_count",
    ),
    (
        "no CPU is told to clean up",
        "        send_IPI_mask(desc->arch.old_cpu_mask, IRQ_MOVE_CLEANUP_VECTOR);\n    else\n        release_old_vec(desc);",
        "        ;\n    else\n        release_old_vec(desc);",
    ),
    (
        "an interrupt at any CPU completes a move",
        "    if ( vector == desc->arch.vector &&\n         cpumask_test_cpu(me, desc->arch.cpu_mask) )\n        send_cleanup_vector(desc);",
        "    if ( vector == desc->arch.vector )\n        send_cleanup_vector(desc);",
    ),
    (
        "an interrupt at any vector completes a move",
        "    if ( vector == desc->arch.vector &&\n         cpumask_test_cpu(me, desc->arch.cpu_mask) )\n        send_cleanup_vector(desc);",
        "    if ( cpumask_test_cpu(me, desc->arch.cpu_mask) )\n        send_cleanup_vector(desc);",
    ),
    (
        "a refused move answers the place as it is",
        "    if ( ret < 0 )\n        return BAD_APICID;",
        "    if ( ret < 0 && ret != -EAGAIN )\n        return BAD_APICID;",
    ),
    (
        "a cleared IRQ keeps its vector in the map",
        "        ASSERT(test_bit(vector, desc->arch.used_vectors));\n        clear_bit(vector, desc->arch.used_vectors);\n    }\n\n    trace_irq_mask(TRC_HW_IRQ_CLEAR_VECTOR",
        "        ASSERT(test_bit(vector, desc->arch.used_vectors));\n    }\n\n    trace_irq_mask(TRC_HW_IRQ_CLEAR_VECTOR",
    ),
    (
        "a cleared IRQ keeps its old place",
        "    if ( unlikely(desc->arch.move_in_progress) )\n    {\n        /* If we were in motion",
        "    if ( 0 )\n    {\n        /* If we were in motion",
    ),
    (
        "a cleared IRQ's number is not free",
        "    write_atomic(&desc->arch.used, IRQ_UNUSED);",
        "    write_atomic(&desc->arch.used, IRQ_RESERVED);",
    ),
    (
        "a CPU that goes offline stays in the clean-ups",
        "            desc->arch.move_cleanup_count -= cpumask_weight(affinity);",
        "            desc->arch.move_cleanup_count -= !cpumask_weight(affinity);",
    ),
    (
        "a CPU that is gone stays in the old place",
        "                cpumask_andnot(desc->arch.old_cpu_mask, desc->arch.old_cpu_mask,\n                               affinity);",
        "                ;",
    ),
    (
        "what is pending at the old place is lost",
        "            if ( apic_irr_read(desc->arch.old_vector) )",
        "            if ( 0 )",
    ),
    (
        "the old place of a CPU that goes offline stays",
        "            cpumask_clear_cpu(cpu, desc->arch.old_cpu_mask);",
        "            ;",
    ),
    (
        "a move goes on that came from a CPU that is gone",
        "                desc->arch.move_in_progress = 0;\n                release_old_vec(desc);",
        "                desc->arch.move_in_progress = 0;",
    ),
    (
        "an IRQ is destroyed while another CPU handles it",
        "IRQ_INPROGRESS );\n\n    spin_lock_irqsave(&desc->lock, flags);",
        "0 );\n\n    spin_lock_irqsave(&desc->lock, flags);",
    ),
    (
        "what handled an IRQ is not freed",
        "    spin_unlock_irqrestore(&desc->lock, flags);\n\n    xfree(action);",
        "    spin_unlock_irqrestore(&desc->lock, flags);\n\n    if ( 0 ) xfree(action);",
    ),
    (
        "an IRQ that is being created is not reserved",
        "cmpxchg(&desc->arch.used, IRQ_UNUSED, IRQ_RESERVED)",
        "cmpxchg(&desc->arch.used, IRQ_UNUSED, IRQ_UNUSED)",
    ),
    (
        "descriptors have no numbers",
        "        desc->irq = irq;\n",
        "",
    ),
    (
        "an IRQ may have a guest fewer",
        "        irq_max_guests = 32;",
        "        irq_max_guests = 31;",
    ),
    (
        "an IRQ in use is set up again",
        "    if ( desc->action != NULL )\n    {\n        spin_unlock_irqrestore(&desc->lock,flags);\n        return -EBUSY;",
        "    if ( 0 )\n    {\n        spin_unlock_irqrestore(&desc->lock,flags);\n        return -EBUSY;",
    ),
    (
        "an IRQ that is set up stays disabled",
        "    desc->action  = new;\n    desc->status &= ~IRQ_DISABLED;",
        "    desc->action  = new;",
    ),
    (
        "a released IRQ is not disabled",
        "    desc->handler->shutdown(desc);\n    desc->status |= IRQ_DISABLED;\n    spin_unlock_irqrestore(&desc->lock,flags);\n\n    /* Wait",
        "    desc->handler->shutdown(desc);\n    spin_unlock_irqrestore(&desc->lock,flags);\n\n    /* Wait",
    ),
    (
        "a released IRQ's action is not freed",
        "    if (action && action->free_on_release)\n        xfree(action);",
        "    if (0)\n        xfree(action);",
    ),
    (
        "an EOI is not deferred behind higher vectors",
        "    if ( !this_cpu(check_eoi_deferral) || !sp || peoi[sp - 1].vector < vector )",
        "    if ( 1 )",
    ),
    (
        "EOIs are deferred in the wrong order",
        "    } while ( --sp && peoi[sp - 1].vector > vector );",
        "    } while ( --sp && 0 );",
    ),
    (
        "EOIs that are not ready are popped",
        "    while ( (--sp >= 0) && peoi[sp].ready )",
        "    while ( --sp >= 0 )",
    ),
    (
        "an EOI for the wrong vector",
        "            desc->handler->end(desc, peoi[sp].vector);\n        spin_unlock(&desc->lock);\n    }\n\n    pending_eoi_sp",
        "            desc->handler->end(desc, peoi[0].vector);\n        spin_unlock(&desc->lock);\n    }\n\n    pending_eoi_sp",
    ),
    (
        "an EOI is ready although another guest has the IRQ",
        "    if ( !action || action->in_flight ||\n         !cpumask_test",
        "    if ( !action ||\n         !cpumask_test",
    ),
    (
        "a CPU's EOI is ready twice",
        "         !cpumask_test_and_clear_cpu(smp_processor_id(),\n                                     action->cpu_eoi_map) )",
        "         !cpumask_test_cpu(smp_processor_id(),\n                                     action->cpu_eoi_map) )",
    ),
    (
        "a CPU does not wait for an EOI that is on its stack",
        "        cpumask_set_cpu(smp_processor_id(), action->cpu_eoi_map);\n",
        "        ;\n",
    ),
    (
        "the timer of the guests is not stopped by their last EOI",
        "    stop_timer(&action->eoi_timer);\n\n    if ( action->ack_type == ACKTYPE_UNMASK )",
        "    if ( action->ack_type == ACKTYPE_UNMASK )",
    ),
    (
        "other CPUs do not learn of an EOI",
        "    if ( !cpumask_empty(&cpu_eoi_map) )\n        on_selected_cpus(&cpu_eoi_map, set_eoi_ready, desc, 0);\n}\n\nint pirq_guest_unmask",
        "    if ( 0 )\n        on_selected_cpus(&cpu_eoi_map, set_eoi_ready, desc, 0);\n}\n\nint pirq_guest_unmask",
    ),
    (
        "an EOI from one guest is one from all",
        "         unlikely(--action->in_flight != 0) )\n    {\n        spin_unlock_irq(&desc->lock);\n        return;",
        "         unlikely(--action->in_flight < 0) )\n    {\n        spin_unlock_irq(&desc->lock);\n        return;",
    ),
    (
        "channels that are masked are answered for",
        "            if ( pirqs[i]->masked &&\n                 !evtchn_port_is_masked(d, pirqs[i]->evtchn) )",
        "            if ( pirqs[i]->masked )",
    ),
    (
        "the timer ends an IRQ that no guest has",
        "    if ( !action->in_flight || timer_is_active(&action->eoi_timer) )\n        goto out;",
        "    if ( timer_is_active(&action->eoi_timer) )\n        goto out;",
    ),
    (
        "the timer ends an IRQ that has come again",
        "    if ( !action->in_flight || timer_is_active(&action->eoi_timer) )\n        goto out;",
        "    if ( !action->in_flight )\n        goto out;",
    ),
    (
        "the timer leaves the masks of pirqs",
        "        if ( test_and_clear_bool(pirq->masked) )\n            action->in_flight--;\n    }\n\n    if",
        "        if ( pirq->masked )\n            action->in_flight--;\n    }\n\n    if",
    ),
    (
        "the timer does not unmask",
        "    case ACKTYPE_UNMASK:\n        if ( desc->handler->end )\n            desc->handler->end(desc, 0);\n        break;\n\n    case ACKTYPE_EOI:\n        cpu_eoi_map = this_cpu",
        "    case ACKTYPE_UNMASK:\n        break;\n\n    case ACKTYPE_EOI:\n        cpu_eoi_map = this_cpu",
    ),
    (
        "a guest shares an IRQ that another does not",
        "    else if ( !will_share || !action->shareable )",
        "    else if ( !will_share )",
    ),
    (
        "an IRQ has a guest too many",
        "    if ( action->nr_guests >= max_nr_guests )",
        "    if ( action->nr_guests > max_nr_guests )",
    ),
    (
        "guests are not told who is asked for an EOI",
        "    if ( action->ack_type != ACKTYPE_NONE )\n        set_pirq_eoi(v->domain, pirq->pirq);",
        "    if ( 0 )\n        set_pirq_eoi(v->domain, pirq->pirq);",
    ),
    (
        "an IRQ does not move to its guest",
        "                affinity = cpumask_of(v->processor);",
        "                affinity = NULL;",
    ),
    (
        "a bound IRQ stays disabled",
        "        desc->status &= ~IRQ_DISABLED;\n        desc->handler->startup(desc);\n    }\n    else if",
        "        desc->handler->startup(desc);\n    }\n    else if",
    ),
    (
        "a message that cannot be masked needs no EOI",
        "        return msi_maskable_irq(desc->msi_desc) ? ACKTYPE_NONE : ACKTYPE_EOI;",
        "        return ACKTYPE_NONE;",
    ),
    (
        "the count in flight stays when a guest leaves",
        "        if ( test_and_clear_bool(pirq->masked) &&\n             (--action->in_flight == 0) &&\n             desc->handler->end )",
        "        if ( test_and_clear_bool(pirq->masked) &&\n             (action->in_flight == 1) &&\n             desc->handler->end )",
    ),
    (
        "the other guests of an IRQ wait for one that has left",
        "             (--action->in_flight == 0) &&\n             (action->nr_guests != 0) )",
        "             (--action->in_flight == 0) && 0 )",
    ),
    (
        "an unbinding does not wait for CPUs",
        "        on_selected_cpus(&cpu_eoi_map, set_eoi_ready, desc, 1);",
        "        on_selected_cpus(&cpu_eoi_map, set_eoi_ready, desc, 0);",
    ),
    (
        "an IRQ without guests is in progress",
        "    desc->status &= ~(IRQ_GUEST|IRQ_INPROGRESS);",
        "    desc->status &= ~IRQ_INPROGRESS;",
    ),
    (
        "an unbinding does not disable the IRQ",
        "    desc->handler->disable(desc);\n    desc->status |= IRQ_DISABLED;\n\n    /*\n     * Mark",
        "    desc->status |= IRQ_DISABLED;\n\n    /*\n     * Mark",
    ),
    (
        "the timer of a guest that unbinds is not killed",
        "    if ( oldaction != NULL )\n    {\n        kill_timer(&oldaction->eoi_timer);\n        free_cpumask_var(oldaction->cpu_eoi_map);\n        xfree(oldaction);\n    }\n    else if",
        "    if ( oldaction != NULL )\n    {\n        free_cpumask_var(oldaction->cpu_eoi_map);\n        xfree(oldaction);\n    }\n    else if",
    ),
    (
        "the timer of a guest that is unbound by force is not killed",
        "    if ( oldaction != NULL )\n    {\n        kill_timer(&oldaction->eoi_timer);\n        free_cpumask_var(oldaction->cpu_eoi_map);\n        xfree(oldaction);\n    }\n\n    return bound;",
        "    if ( oldaction != NULL )\n    {\n        free_cpumask_var(oldaction->cpu_eoi_map);\n        xfree(oldaction);\n    }\n\n    return bound;",
    ),
    (
        "a pirq that was unmapped by force stays",
        "        clear_domain_irq_pirq(d, irq, pirq);\n    }\n    else\n    {\n        oldaction",
        "    }\n    else\n    {\n        oldaction",
    ),
    (
        "an IRQ of no guest is not ended",
        "    if ( unlikely(!action->nr_guests) )\n    {\n        /* An interrupt may slip through while freeing an ACKTYPE_EOI irq. */\n        ASSERT(action->ack_type == ACKTYPE_EOI);\n        ASSERT(desc->status & IRQ_DISABLED);\n        if ( desc->handler->end )",
        "    if ( unlikely(!action->nr_guests) )\n    {\n        /* An interrupt may slip through while freeing an ACKTYPE_EOI irq. */\n        ASSERT(action->ack_type == ACKTYPE_EOI);\n        ASSERT(desc->status & IRQ_DISABLED);\n        if ( 0 )",
    ),
    (
        "a guest is in flight twice",
        "             !test_and_set_bool(pirq->masked) )\n            action->in_flight++;",
        "             (test_and_set_bool(pirq->masked), 1) )\n            action->in_flight++;",
    ),
    (
        "an HVM domain gets an interrupt twice",
        "        if ( !is_hvm_domain(d) || !hvm_do_IRQ_dpci(d, pirq) )",
        "        if ( !is_hvm_domain(d) || !hvm_do_IRQ_dpci(d, pirq) || 1 )",
    ),
    (
        "the guests' timer runs on another CPU",
        "        migrate_timer(&action->eoi_timer, smp_processor_id());\n",
        "        migrate_timer(&action->eoi_timer, 0);\n",
    ),
    (
        "guests have twice the time",
        "        set_timer(&action->eoi_timer, NOW() + MILLISECS(1));",
        "        set_timer(&action->eoi_timer, NOW() + MILLISECS(2));",
    ),
    (
        "an interrupt for no IRQ is not acknowledged",
        "            if ( apic_isr_read(vector) )\n                ack_APIC_irq();",
        "            if ( apic_isr_read(vector) )\n                ;",
    ),
    (
        "PICs are asked on each CPU",
        "                   (!smp_processor_id() ||",
        "                   (1 ||",
    ),
    (
        "the limit acts an interrupt late",
        "             unlikely(desc->rl_cnt++ >= irq_ratelimit_threshold) )",
        "             unlikely(desc->rl_cnt++ > irq_ratelimit_threshold) )",
    ),
    (
        "an IRQ is limited for ever",
        "            desc->rl_cnt = 0;\n            desc->rl_quantum_start = now;",
        "            desc->rl_quantum_start = now;",
    ),
    (
        "a limited IRQ is on the list twice",
        "                if ( likely(list_empty(&desc->rl_link)) )",
        "                if ( 1 )",
    ),
    (
        "limited IRQs stay disabled",
        "        desc->handler->enable(desc);\n        list_del(&desc->rl_link);",
        "        list_del(&desc->rl_link);",
    ),
    (
        "an interrupt during its handler is lost",
        "    desc->status |= IRQ_PENDING;\n\n    /*\n     * Since we set PENDING",
        "    /*\n     * Since we set PENDING",
    ),
    (
        "a handler runs on two CPUs",
        "    if ( desc->status & (IRQ_DISABLED | IRQ_INPROGRESS) )\n        goto out;",
        "    if ( desc->status & IRQ_DISABLED )\n        goto out;",
    ),
    (
        "an IRQ stays in progress",
        "    desc->status &= ~IRQ_INPROGRESS;\n\n out:",
        "\n out:",
    ),
    (
        "the registers stay those of the interrupt",
        "    irq_exit();\n    set_irq_regs(old_regs);",
        "    irq_exit();\n    (void)old_regs;",
    ),
    (
        "a CPU that goes offline is waited for",
        "        cpumask_clear_cpu(smp_processor_id(), action->cpu_eoi_map);\n    }\n\n    /* Flush",
        "        ;\n    }\n\n    /* Flush",
    ),
    (
        "a CPU goes offline with interrupts in service",
        "        peoi[sp].ready = 1;\n    flush_ready_eoi();",
        "        ;\n    flush_ready_eoi();",
    ),
    (
        "a guest's affinity is ignored",
        "    irq_set_affinity(desc, mask);\n    spin_unlock_irqrestore(&desc->lock, flags);\n}\n\nDEFINE_PER_CPU",
        "    spin_unlock_irqrestore(&desc->lock, flags);\n}\n\nDEFINE_PER_CPU",
    ),
    (
        "an IRQ of one guest is shared",
        "    shared = (action && (action->nr_guests > 1));",
        "    shared = (action && (action->nr_guests > 0));",
    ),
    (
        "a domain may not use the IRQ of its pirq",
        "        ret = irq_permit_access(d, irq);\n",
        "        ret = 0;\n",
    ),
    (
        "a domain may still use an IRQ that was not mapped",
        "        if ( test_bit(0, granted) && irq_deny_access(d, irq) )",
        "        if ( 0 )",
    ),
    (
        "the pirq of a PIC's IRQ is chosen",
        "        for ( i = 16; i < nr_irqs_gsi; i++ )",
        "        for ( i = 1; i < nr_irqs_gsi; i++ )",
    ),
    (
        "a run of free pirqs has one in use in its middle",
        "        else\n            found = 0;\n",
        "",
    ),
    (
        "a pirq that is unmapped stays",
        "        if ( !forced_unbind )\n            cleanup_domain_irq_pirq(d, irq, info);\n",
        "",
    ),
    (
        "a domain may still use an IRQ that was unmapped",
        "        rc = irq_deny_access(d, irq);\n",
        "        rc = 0;\n",
    ),
    (
        "an emulated interrupt stays in the map",
        "    if ( emuirq != IRQ_PT )\n        radix_tree_delete(&d->arch.hvm.emuirq_pirq, emuirq);\n",
        "",
    ),
    (
        "a message that is not the first is unmapped",
        "        if ( msi_desc->msi_attrib.entry_nr )",
        "        if ( 0 )",
    ),
    (
        "a block of messages has too few pirqs",
        "            while ( *nr & (*nr - 1) )\n                *nr += *nr & -*nr;\n",
        "",
    ),
    (
        "several messages are mapped without remapping",
        "            if ( *nr != 1 && !iommu_intremap )",
        "            if ( 0 )",
    ),
    (
        "an IRQ that was created for a mapping that fails stays",
        "            if ( index == -1 )\n        case MAP_PIRQ_TYPE_MULTI_MSI:\n                destroy_irq(irq);\n",
        "        case MAP_PIRQ_TYPE_MULTI_MSI:\n",
    ),
    (
        "an IRQ gets a second pirq",
        "         (old_pirq && (old_pirq != pirq)) )",
        "         0 )",
    ),
    (
        "a new pirq stands for an emulated interrupt",
        "            pirq->arch.hvm.emuirq = IRQ_UNBOUND;\n",
        "            pirq->arch.hvm.emuirq = 0;\n",
    ),
    (
        "a pirq is freed that stands for an emulated interrupt",
        "        if ( pirq->arch.hvm.emuirq != IRQ_UNBOUND )\n            return;\n",
        "",
    ),
    (
        "a domain maps an IRQ that it may not use",
        "    if ( !irq_access_permitted(current->domain, irq))\n        return -EPERM;\n",
        "",
    ),
    (
        "any domain names pins by their numbers",
        "        if ( is_hardware_domain(current->domain) )\n            irq = index;",
        "        if ( 1 )\n            irq = index;",
    ),
    (
        "a pirq stands for two emulated interrupts",
        "    if ( (old_emuirq != IRQ_UNBOUND && (old_emuirq != emuirq) ) ||",
        "    if (",
    ),
    (
        "an IRQ is mapped again that a guest has yet to unbind",
        "            if ( current_pirq < 0 )\n                return -EBUSY;\n",
        "",
    ),
    (
        "an IRQ is mapped to another pirq than it has",
        "    else if ( current_pirq && pirq != current_pirq )",
        "    else if ( 0 )",
    ),
    (
        "it is not said how many messages a function has",
        "                msi->entry_nr = ret;\n",
        "",
    ),
    (
        "the IRQ of a further message is not the message's",
        "            msi_desc[nr].irq = irq;\n",
        "",
    ),
    (
        "a pirq does not stand for its emulated interrupt",
        "    info->arch.hvm.emuirq = emuirq;\n",
        "",
    ),
    (
        "a mapping that fails leaves an entry",
        "        if ( test_bit(0, prepared) )\n            cleanup_domain_irq_pirq(d, irq, info);\n revoke:",
        " revoke:",
    ),
    (
        "the pirqs of a domain that ends stay mapped",
        "        if ( domain_pirq_to_irq(d, i) > 0 )\n            unmap_domain_pirq(d, i);\n",
        "        (void)i;\n",
    ),
];
