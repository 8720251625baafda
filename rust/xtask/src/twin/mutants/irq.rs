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
];
