//! Faults to plant in vtd/intremap.c.

use super::Fault;

pub(super) const FAULTS: &[Fault] = &[
    (
        "requests of IO-APICs are not verified",
        "    set_ire_sid(ire, SVT_VERIFY_SID_SQ, SQ_ALL_16,\n                apicid_to_bdf(apic_id));",
        "    set_ire_sid(ire, SVT_NO_VERIFY, SQ_ALL_16,\n                apicid_to_bdf(apic_id));",
    ),
    (
        "an HPET's function is compared in full",
        "SQ_13_IGNORE_3, hpetid_to_bdf(id)",
        "SQ_ALL_16, hpetid_to_bdf(id)",
    ),
    (
        "an HPET has the ID of another",
        "if ( acpi_hpet_unit->id == hpet_id )",
        "if ( acpi_hpet_unit->id != hpet_id )",
    ),
    (
        "an IO-APIC has the ID of another",
        "if ( acpi_ioapic_unit->apic_id == apic_id )",
        "if ( acpi_ioapic_unit->apic_id >= 0 )",
    ),
    (
        "phantom functions one apart are compared too far",
        "case 1: sq = SQ_13_IGNORE_3; break;",
        "case 1: sq = SQ_13_IGNORE_2; break;",
    ),
    (
        "phantom functions four apart are compared in full",
        "case 4: sq = SQ_13_IGNORE_1; break;",
        "case 4: sq = SQ_ALL_16; break;",
    ),
    (
        "a function's bus and number are exchanged",
        "sq, PCI_BDF(bus, devfn));",
        "sq, PCI_BDF(devfn, bus));",
    ),
    (
        "the source's qualifier is lost",
        "    ire->remap.sq = sq;\n",
        "",
    ),
    (
        "requests behind a bridge are compared with one ID",
        "set_ire_sid(ire, SVT_VERIFY_BUS, SQ_ALL_16,",
        "set_ire_sid(ire, SVT_VERIFY_SID_SQ, SQ_ALL_16,",
    ),
    (
        "the buses behind a bridge are exchanged",
        "(bus << 8) | pdev->bus);",
        "(pdev->bus << 8) | bus);",
    ),
    (
        "a bridge from PCI to PCI Express is unknown",
        "    case DEV_TYPE_PCI2PCIe_BRIDGE:\n",
        "",
    ),
    (
        "a bridge to PCI stands for itself alone",
        "== DEV_TYPE_PCIe2PCI_BRIDGE )",
        "== DEV_TYPE_PCI2PCIe_BRIDGE )",
    ),
    (
        "an 8-bit destination of a message is not shifted",
        "MASK_EXTR(msg->address_lo, MSI_ADDR_DEST_ID_MASK) << 8;",
        "MASK_EXTR(msg->address_lo, MSI_ADDR_DEST_ID_MASK);",
    ),
    (
        "a 32-bit destination of a message is cut",
        "new_ire.remap.dst = msg->dest32;",
        "new_ire.remap.dst = msg->dest32 & 0xff;",
    ),
    (
        "an 8-bit destination of a pin is not shifted",
        "GET_xAPIC_ID(new_rte.dest.dest32) << 8;",
        "GET_xAPIC_ID(new_rte.dest.dest32);",
    ),
    (
        "a message's destination mode is its redirection hint",
        "msg->address_lo >> MSI_ADDR_DESTMODE_SHIFT;",
        "msg->address_lo >> MSI_ADDR_REDIRECTION_SHIFT;",
    ),
    (
        "a message's trigger mode is its level",
        "msg->data >> MSI_DATA_TRIGGER_SHIFT;",
        "msg->data >> MSI_DATA_LEVEL_SHIFT;",
    ),
    (
        "a message's delivery mode is another's",
        "msg->data >> MSI_DATA_DELIVERY_MODE_SHIFT;",
        "msg->data >> (MSI_DATA_DELIVERY_MODE_SHIFT + 1);",
    ),
    (
        "a message of lowest priority has no hint",
        "        /* Hardware requires RH = 1 for lowest priority delivery mode */\n        new_ire.remap.rh = (new_ire.remap.dlm == dest_LowestPrio);\n",
        "",
    ),
    (
        "a message's entry is not present",
        "        new_ire.remap.p = 1;\n    }\n    else",
        "    }\n    else",
    ),
    (
        "a pin's destination mode is lost",
        "    new_ire.remap.dm = new_rte.dest_mode;\n",
        "",
    ),
    (
        "a pin's trigger mode is the wrong way round",
        "new_ire.remap.tm = new_rte.trigger;",
        "new_ire.remap.tm = !new_rte.trigger;",
    ),
    (
        "a pin's delivery mode is lost",
        "    new_ire.remap.dlm = new_rte.delivery_mode;\n",
        "",
    ),
    (
        "a pin of lowest priority has no hint",
        "    /* Hardware require RH = 1 for LPR delivery mode. */\n    new_ire.remap.rh = (new_ire.remap.dlm == dest_LowestPrio);\n",
        "",
    ),
    (
        "a pin's entry is not present",
        "    /* Finally, set present bit. */\n    new_ire.remap.p = 1;\n",
        "",
    ),
    (
        "a posted entry is taken for a remapped one",
        "        new_ire.post.im = 1;\n",
        "",
    ),
    (
        "a posted entry has the message's vector",
        "new_ire.post.vector = msi_desc->gvec;",
        "new_ire.post.vector = msg->data;",
    ),
    (
        "the lower half of a descriptor's address is cut",
        "virt_to_maddr(pi_desc) >> (32 - PDA_LOW_BIT);",
        "virt_to_maddr(pi_desc) >> PDA_LOW_BIT;",
    ),
    (
        "the upper half of a descriptor's address is missing",
        "        new_ire.post.pda_h = virt_to_maddr(pi_desc) >> 32;\n",
        "",
    ),
    (
        "a posted entry is not present",
        "        new_ire.post.p = 1;\n",
        "",
    ),
    (
        "a message's entry is not invalidated",
        "    msi_desc->irte_initialized = true;\n\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n    iommu_flush_iec_index(iommu, 0, index);\n",
        "    msi_desc->irte_initialized = true;\n\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n",
    ),
    (
        "a message's entry is not written back",
        "    msi_desc->irte_initialized = true;\n\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n",
        "    msi_desc->irte_initialized = true;\n\n",
    ),
    (
        "a pin's entry is invalidated before it is written",
        "    update_irte(iommu, iremap_entry, &new_ire, !init && !masked);\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n    iommu_flush_iec_index(iommu, 0, index);\n",
        "    iommu_flush_iec_index(iommu, 0, index);\n    update_irte(iommu, iremap_entry, &new_ire, !init && !masked);\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n",
    ),
    (
        "a pin's entry is written back after it was invalidated",
        "    update_irte(iommu, iremap_entry, &new_ire, !init && !masked);\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n    iommu_flush_iec_index(iommu, 0, index);\n",
        "    update_irte(iommu, iremap_entry, &new_ire, !init && !masked);\n    iommu_flush_iec_index(iommu, 0, index);\n    iommu_sync_cache(iremap_entry, sizeof(*iremap_entry));\n",
    ),
    (
        "an entry that is given up is not invalidated",
        "    iommu_flush_iec_index(iommu, 0, index);\n\n    unmap_vtd_domain_page(iremap_entries);\n    iommu->intremap.num--;",
        "    unmap_vtd_domain_page(iremap_entries);\n    iommu->intremap.num--;",
    ),
    (
        "an entry that is given up stays",
        "    update_irte(iommu, iremap_entry, &new_ire, false);\n",
        "",
    ),
    (
        "an entry that is given up stays counted",
        "    iommu->intremap.num--;\n",
        "",
    ),
    (
        "a block is counted as one",
        "iommu->intremap.num += nr;",
        "iommu->intremap.num++;",
    ),
    (
        "a block has entries of others within",
        "        if ( p->val ) /* not a free entry */\n            found = 0;\n        else if",
        "        if ( p->val ) /* not a free entry */\n            ;\n        else if",
    ),
    (
        "of a block only the first entry is given back",
        "free_remap_entry(iommu, msi_desc->remap_index + i);",
        "free_remap_entry(iommu, msi_desc->remap_index);",
    ),
    (
        "entries that were given back count as written",
        "            msi_desc[i].irte_initialized = false;\n",
        "",
    ),
    (
        "an entry that was written counts as not written",
        "    msi_desc->irte_initialized = true;\n",
        "",
    ),
    (
        "a pin forgets its entry",
        "        if ( index < IREMAP_ENTRY_NR )\n            apic_pin_2_ir_idx[apic][ioapic_pin] = index;\n",
        "",
    ),
    (
        "the descriptors of a block have the same entry",
        "msi_desc[i].remap_index = index + i;",
        "msi_desc[i].remap_index = index;",
    ),
    (
        "descriptors keep an entry that there is not",
        "        for ( i = 0; i < nr; ++i )\n            msi_desc[i].remap_index = -1;\n",
        "",
    ),
    (
        "an HPET keeps an entry that there is not",
        "        msi_desc->remap_index = -1;\n        rc = -ENXIO;",
        "        rc = -ENXIO;",
    ),
    (
        "a page stays mapped when a pin was read",
        "    unmap_vtd_domain_page(iremap_entries);\n    spin_unlock_irqrestore(&iommu->intremap.lock, flags);\n\n    return 0;\n}\n\nstatic int ioapic_rte_to_remap_entry",
        "    spin_unlock_irqrestore(&iommu->intremap.lock, flags);\n\n    return 0;\n}\n\nstatic int ioapic_rte_to_remap_entry",
    ),
    (
        "the last bit of a message's handle is missing",
        "remap_rte->address_lo.index_15 = (i >> 15) & 0x1;",
        "remap_rte->address_lo.index_15 = 0;",
    ),
    (
        "the last bit of a pin's index is missing",
        "remap_rte->index_15 = (index >> 15) & 0x1;",
        "remap_rte->index_15 = 0;",
    ),
    (
        "messages of a block have handles of their own",
        "        i -= msi_desc->msi_attrib.entry_nr;\n",
        "        ;\n",
    ),
    (
        "messages of a block have the same number",
        "remap_rte->data = index - i;",
        "remap_rte->data = 0;",
    ),
    (
        "a message's number does not count",
        "remap_rte->address_lo.SHV = 1;",
        "remap_rte->address_lo.SHV = 0;",
    ),
    (
        "a message is in compatibility format",
        "remap_rte->address_lo.format = 1;",
        "remap_rte->address_lo.format = 0;",
    ),
    (
        "a pin is in compatibility format",
        "    remap_rte->format = 1;",
        "    remap_rte->format = 0;",
    ),
    (
        "a pin loses its mask",
        "remap_rte->mask = new_rte.mask;",
        "remap_rte->mask = 0;",
    ),
    (
        "a pin's polarity is its trigger mode",
        "remap_rte->polarity = new_rte.polarity;",
        "remap_rte->polarity = new_rte.trigger;",
    ),
    (
        "a pin's vector is not the entry's",
        "    remap_rte->vector = new_rte.vector;\n",
        "",
    ),
    (
        "a pin is written as if nothing were remapped",
        "__ioapic_write_entry(apic, pin, true, old_rte);",
        "__ioapic_write_entry(apic, pin, false, old_rte);",
    ),
    (
        "an 8-bit destination is read from the wrong place",
        "old_rte->dest.logical.logical_dest = iremap_entry->remap.dst >> 8;",
        "old_rte->dest.logical.logical_dest = iremap_entry->remap.dst;",
    ),
    (
        "a 32-bit destination is read as one of 8 bits",
        "old_rte->dest.dest32 = iremap_entry->remap.dst;",
        "old_rte->dest.dest32 = iremap_entry->remap.dst & 0xff;",
    ),
    (
        "a pin's trigger mode is read from hardware",
        "    old_rte->trigger = iremap_entry->remap.tm;\n",
        "",
    ),
    (
        "reserved bits of a pin are read",
        "    old_rte->__reserved_2 = 0;\n",
        "",
    ),
    (
        "the halves of a pin are exchanged",
        "    if ( rte_upper )\n        return",
        "    if ( !rte_upper )\n        return",
    ),
    (
        "a full table answers a message another errno",
        "        spin_unlock_irqrestore(&iommu->intremap.lock, flags);\n\n        return -EFAULT;",
        "        spin_unlock_irqrestore(&iommu->intremap.lock, flags);\n\n        return -ENOSPC;",
    ),
    (
        "a function without a unit answers another errno",
        ": -EINVAL;\n}",
        ": -ENODEV;\n}",
    ),
    (
        "a full table answers an HPET another errno",
        "rc = -ENXIO;",
        "rc = -EFAULT;",
    ),
    (
        "an entry beyond the table's end is used",
        "    if ( index > IREMAP_ENTRY_NR - 1 )\n    {\n        dprintk(XENLOG_ERR VTDPREFIX,\n                \"MSI",
        "    if ( 0 )\n    {\n        dprintk(XENLOG_ERR VTDPREFIX,\n                \"MSI",
    ),
    (
        "an entry beyond the table's end is freed",
        "    if ( index < 0 || index > IREMAP_ENTRY_NR - 1 )\n        return;\n\n    ASSERT(spin_is_locked(&iommu->intremap.lock));\n\n    GET_IREMAP",
        "    if ( index < 0 )\n        return;\n\n    ASSERT(spin_is_locked(&iommu->intremap.lock));\n\n    GET_IREMAP",
    ),
    (
        "a queue that is off answers another errno",
        "               \" Should not enable interrupt remapping\\n\", iommu->index);\n        return -EINVAL;",
        "               \" Should not enable interrupt remapping\\n\", iommu->index);\n        return -EIO;",
    ),
    (
        "no memory for a table answers another errno",
        "                    \"Cannot allocate memory for ir_ctrl->iremap_maddr\\n\");\n            return -ENOMEM;",
        "                    \"Cannot allocate memory for ir_ctrl->iremap_maddr\\n\");\n            return -EIO;",
    ),
    (
        "firmware that forbids x2APIC answers another errno",
        "!platform_supports_x2apic() )\n        return -ENXIO;",
        "!platform_supports_x2apic() )\n        return -EIO;",
    ),
    (
        "destinations of 32 bits are not switched on",
        "(eim ? IRTA_EIME : 0)",
        "(eim ? 0 : 0)",
    ),
    (
        "the table's size is missing",
        "iommu->intremap.maddr | IRTA_REG_TABLE_SIZE |",
        "iommu->intremap.maddr |",
    ),
    (
        "the table's address is not taken over",
        "    gcmd |= DMA_GCMD_SIRTP;\n",
        "",
    ),
    (
        "switching on forgets what was on",
        "    gcmd |= DMA_GCMD_IRE;",
        "    gcmd = DMA_GCMD_IRE;",
    ),
    (
        "nobody waits for the table's address",
        "(sts & DMA_GSTS_SIRTPS), sts);",
        "1, sts);",
    ),
    (
        "nobody waits until remapping is on",
        "                  (sts & DMA_GSTS_IRES), sts);",
        "                  1, sts);",
    ),
    (
        "a new table is not made known",
        "    iommu_flush_iec_global(iommu);\n",
        "",
    ),
    (
        "a table of firmware's is taken for Xen's",
        "if ( (sts & DMA_GSTS_IRES) && iommu->intremap.maddr )",
        "if ( sts & DMA_GSTS_IRES )",
    ),
    (
        "remapping is switched on without a queue",
        "if ( !(sts & DMA_GSTS_QIES) )",
        "if ( 0 )",
    ),
    (
        "compatibility format is reported in extended mode",
        "if ( !eim && (sts & DMA_GSTS_CFIS) )",
        "if ( sts & DMA_GSTS_CFIS )",
    ),
    (
        "firmware that forbids remapping is ignored",
        "if ( !platform_supports_intremap() )",
        "if ( 0 && !platform_supports_intremap() )",
    ),
    (
        "a table is made anew",
        "if ( iommu->intremap.maddr == 0 )\n    {",
        "if ( 1 )\n    {",
    ),
    (
        "switching off takes the queue along",
        "sts & (~DMA_GCMD_IRE));",
        "sts & ~(DMA_GCMD_IRE | DMA_GCMD_QIE));",
    ),
    (
        "nobody waits until remapping is off",
        "!(sts & DMA_GSTS_IRES), sts);",
        "1, sts);",
    ),
    (
        "extended mode stays on",
        "    dmar_writel(iommu->reg, DMAR_IRTA_REG, irta & ~IRTA_EIME);\n",
        "    dmar_writel(iommu->reg, DMAR_IRTA_REG, irta);\n",
    ),
    (
        "nobody waits until extended mode is off",
        "!(irta & IRTA_EIME), irta);",
        "1, irta);",
    ),
    (
        "a register is read that there is not",
        "    if ( !ecap_eim(iommu->ecap) )\n        goto out;",
        "    if ( 0 )\n        goto out;",
    ),
    (
        "an IOMMU that cannot remap is switched off",
        "    if ( !ecap_intr_remap(iommu->ecap) )\n        return;",
        "    if ( 0 )\n        return;",
    ),
    (
        "faults of before are kept",
        "        clear_fault_bits(iommu);\n",
        "",
    ),
    (
        "what firmware left on stays on",
        "        disable_intremap(iommu);\n        disable_qinval(iommu);",
        "        disable_qinval(iommu);",
    ),
    (
        "firmware is asked after boot",
        "system_state < SYS_STATE_active &&",
        "system_state <= SYS_STATE_active &&",
    ),
    (
        "queues are switched off before remapping",
        "        disable_intremap(drhd->iommu);\n\n    for_each_drhd_unit ( drhd )\n        disable_qinval(drhd->iommu);",
        "        disable_qinval(drhd->iommu);\n\n    for_each_drhd_unit ( drhd )\n        disable_intremap(drhd->iommu);",
    ),
    (
        "memory leaks when pins get none",
        "        xfree(_apic_pin_2_ir_idx);\n",
        "",
    ),
    (
        "an IOMMU without extended mode will do",
        "             !ecap_intr_remap(drhd->iommu->ecap) ||\n             !ecap_eim(drhd->iommu->ecap) )",
        "             !ecap_intr_remap(drhd->iommu->ecap) )",
    ),
    (
        "an IO-APIC without a unit will do",
        "        if ( !ioapic_to_drhd(IO_APIC_ID(apic)) )",
        "        if ( 0 )",
    ),
    (
        "remapping stays wanted without a wide exchange",
        "        iommu_intremap = iommu_intremap_off;\n",
        "",
    ),
    (
        "IOMMUs stay wanted without a wide exchange",
        "        iommu_enable = false;\n",
        "",
    ),
    (
        "remapping is supported without a queue",
        "if ( !iommu_qinval || !iommu_intremap ||",
        "if ( !iommu_intremap ||",
    ),
];
