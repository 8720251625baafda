//! Faults to plant in msi.c.

use super::Fault;

pub(super) const FAULTS: &[Fault] = &[
    // Pages of the fixmap.
    (
        "a slot of the fixmap is not marked as taken",
        "    set_bit(i, &msix_fixmap_pages);\n",
        "",
    ),
    (
        "a slot of the fixmap is not given back",
        "        clear_bit(idx - FIX_MSIX_IO_RESERV_BASE, &msix_fixmap_pages);",
        "        (void)idx;",
    ),
    (
        "the last slot of the fixmap is never used",
        "    if ( i == FIX_MSIX_MAX_PAGES )\n        goto out;\n    rc =",
        "    if ( i >= FIX_MSIX_MAX_PAGES - 1 )\n        goto out;\n    rc =",
    ),
    (
        "a page counts as used where there was no slot",
        "            msix->table_refcnt[nr_page]--;\n",
        "",
    ),
    (
        "a page is mapped for each of its entries",
        "msix->table_refcnt[nr_page]++ == 0 )",
        "++msix->table_refcnt[nr_page] )",
    ),
    (
        "the page of the table is mapped, not that of the entry",
        "set_fixmap_nocache(idx, entry_paddr);",
        "set_fixmap_nocache(idx, table_paddr);",
    ),
    (
        "a page is mapped with caching",
        "set_fixmap_nocache(idx, entry_paddr);",
        "set_fixmap(idx, entry_paddr);",
    ),
    (
        "the slot of a page is forgotten",
        "        msix->table_idx[nr_page] = idx;\n",
        "",
    ),
    (
        "a page is unmapped while another entry needs it",
        "if ( --msix->table_refcnt[i] == 0 )",
        "if ( --msix->table_refcnt[i] >= 0 )",
    ),
    (
        "a page is never unmapped",
        "        clear_fixmap(idx);\n",
        "",
    ),
    (
        "the slot of a page is kept in mind",
        "        msix->table_idx[i] = 0;\n",
        "",
    ),
    // Decoding of memory.
    (
        "a virtual function decodes memory itself",
        "    if ( dev->info.is_virtfn )\n    {\n        sbdf.bus = dev->info.physfn.bus;",
        "    if ( 0 )\n    {\n        sbdf.bus = dev->info.physfn.bus;",
    ),
    (
        "ports stand for memory",
        "return pci_conf_read16(sbdf, PCI_COMMAND) & PCI_COMMAND_MEMORY;",
        "return pci_conf_read16(sbdf, PCI_COMMAND) & PCI_COMMAND_IO;",
    ),
    (
        "a table is written while MSI-X is off",
        "    if ( !(control & PCI_MSIX_FLAGS_ENABLE) )\n        return false;\n\n    return memory_decoded(dev);",
        "    return memory_decoded(dev) && (control | 1);",
    ),
    // Messages.
    (
        "a message is composed of an old vector",
        "    if ( vector < FIRST_DYNAMIC_VECTOR )\n        return;\n",
        "",
    ),
    (
        "a message keeps what was there",
        "    memset(msg, 0, sizeof(*msg));\n",
        "    msg->dest32 = 0;\n",
    ),
    (
        "a message goes to a CPU that is offline",
        "        cpumask_and(mask, cpu_mask, &cpu_online_map);\n",
        "        cpumask_copy(mask, cpu_mask);\n",
    ),
    (
        "a message is composed where no CPU is online",
        "        if ( !cpumask_intersects(cpu_mask, &cpu_online_map) )\n            return;\n",
        "",
    ),
    (
        "the destination mode is that of delivery",
        "(INT_DEST_MODE ? MSI_ADDR_DESTMODE_LOGIC",
        "(INT_DELIVERY_MODE ? MSI_ADDR_DESTMODE_LOGIC",
    ),
    (
        "a message has no hint of lowest priority",
        "                       ? MSI_ADDR_REDIRECTION_CPU\n                       : MSI_ADDR_REDIRECTION_LOWPRI)",
        "                       ? MSI_ADDR_REDIRECTION_CPU\n                       : MSI_ADDR_REDIRECTION_CPU)",
    ),
    (
        "a message is not delivered with lowest priority",
        "                 : MSI_DATA_DELIVERY_LOWPRI) |",
        "                 : MSI_DATA_DELIVERY_FIXED) |",
    ),
    (
        "a message is deasserted",
        "                MSI_DATA_LEVEL_ASSERT |\n",
        "",
    ),
    (
        "a message has no destination in its address",
        "                      MSI_ADDR_DEST_ID(msg->dest32);\n",
        "                      MSI_ADDR_DEST_ID(0);\n",
    ),
    (
        "the message is not kept",
        "    entry->msg = *msg;\n\n    if ( iommu_intremap",
        "    if ( iommu_intremap",
    ),
    (
        "the message is kept as the IOMMU made it",
        "        rc = iommu_update_ire_from_msi(entry, msg);\n        if ( rc )\n            return rc;\n",
        "        rc = iommu_update_ire_from_msi(entry, msg);\n        entry->msg = *msg;\n        if ( rc )\n            return rc;\n",
    ),
    (
        "an error of the IOMMU is lost",
        "        rc = iommu_update_ire_from_msi(entry, msg);\n        if ( rc )\n            return rc;\n",
        "        rc = iommu_update_ire_from_msi(entry, msg);\n        rc = 0;\n",
    ),
    (
        "each message of a block is written to the device",
        "        if ( nr )\n            return 0;\n",
        "",
    ),
    (
        "the upper address is left out",
        "        if ( entry->msi_attrib.is_64 )\n            pci_conf_write32(dev->sbdf, msi_upper_address_reg(pos),\n                             msg->address_hi);\n",
        "",
    ),
    (
        "the data go where 32-bit devices have them",
        "pci_conf_write16(dev->sbdf, msi_data_reg(pos, entry->msi_attrib.is_64),",
        "pci_conf_write16(dev->sbdf, msi_data_reg(pos, 0),",
    ),
    (
        "an entry is written where no memory is decoded",
        "        if ( unlikely(!msix_memory_decoded(entry->dev,\n                                           entry->msi_attrib.pos)) )\n            return -ENXIO;\n        writel(msg->address_lo,",
        "        writel(msg->address_lo,",
    ),
    (
        "an entry's upper address is its lower one",
        "        writel(msg->address_hi,\n               base",
        "        writel(msg->address_lo,\n               base",
    ),
    (
        "an entry's data are left out",
        "        writel(msg->data, base + PCI_MSIX_ENTRY_DATA_OFFSET);\n",
        "",
    ),
    // Affinity.
    (
        "an interrupt is moved to nowhere",
        "    if ( dest == BAD_APICID || !msi_desc )",
        "    if ( !msi_desc )",
    ),
    (
        "a moved interrupt has two vectors",
        "    msg.data &= ~MSI_DATA_VECTOR_MASK;\n",
        "",
    ),
    (
        "a moved interrupt keeps its vector",
        "    msg.data |= MSI_DATA_VECTOR(desc->arch.vector);\n",
        "    msg.data |= MSI_DATA_VECTOR(msi_desc->msg.data);\n",
    ),
    (
        "a moved interrupt has two destinations",
        "    msg.address_lo &= ~MSI_ADDR_DEST_ID_MASK;\n",
        "",
    ),
    (
        "a moved interrupt keeps its 32-bit destination",
        "    msg.dest32 = dest;\n\n    write_msi_msg",
        "    write_msi_msg",
    ),
    (
        "a moved interrupt is not written",
        "    write_msi_msg(msi_desc, &msg);\n}",
        "}",
    ),
    // Enabling.
    (
        "MSI is never switched off",
        "    control &= ~PCI_MSI_FLAGS_ENABLE;\n    if ( enable )\n        control |= PCI_MSI_FLAGS_ENABLE;\n    pci_conf_write16(PCI_SBDF",
        "    if ( enable )\n        control |= PCI_MSI_FLAGS_ENABLE;\n    pci_conf_write16(PCI_SBDF",
    ),
    (
        "MSI-X is never switched off",
        "        control &= ~PCI_MSIX_FLAGS_ENABLE;\n        if ( enable )",
        "        if ( enable )",
    ),
    (
        "every MSI can be masked",
        "           || entry->msi_attrib.maskbit;",
        "           || !entry->msi_attrib.maskbit || 1;",
    ),
    // Masks.
    (
        "the guest's mask does not count",
        "    bool flag = host || guest, maskall;",
        "    bool flag = host, maskall;",
    ),
    (
        "a mask takes those of other messages away",
        "            mask_bits &= ~((u32)1 << entry->msi_attrib.entry_nr);\n",
        "            mask_bits = 0;\n",
    ),
    (
        "a message is never unmasked",
        "            mask_bits &= ~((u32)1 << entry->msi_attrib.entry_nr);\n",
        "",
    ),
    (
        "the first message is masked instead",
        "            mask_bits |= (u32)flag << entry->msi_attrib.entry_nr;\n",
        "            mask_bits |= (u32)flag;\n",
    ),
    (
        "an entry is masked while MSI-X is off",
        "        if ( unlikely(!(control & PCI_MSIX_FLAGS_ENABLE)) )\n        {\n            pdev->msix->host_maskall = 1;\n            pci_conf_write16(pdev->sbdf,\n                             msix_control_reg(entry->msi_attrib.pos),\n                             control | (PCI_MSIX_FLAGS_ENABLE |\n                                        PCI_MSIX_FLAGS_MASKALL));\n        }\n",
        "",
    ),
    (
        "MSI-X is enabled for a mask with nothing masked",
        "                             msix_control_reg(entry->msi_attrib.pos),\n                             control | (PCI_MSIX_FLAGS_ENABLE |\n                                        PCI_MSIX_FLAGS_MASKALL));\n        }\n        if ( likely(memory_decoded(pdev)) )",
        "                             msix_control_reg(entry->msi_attrib.pos),\n                             control | PCI_MSIX_FLAGS_ENABLE);\n        }\n        if ( likely(memory_decoded(pdev)) )",
    ),
    (
        "a mask is written where no memory is decoded",
        "        if ( likely(memory_decoded(pdev)) )\n        {\n            writel(flag,",
        "        if ( memory_decoded(pdev) || 1 )\n        {\n            writel(flag,",
    ),
    (
        "a mask is not read back",
        "            readl(entry->mask_base + PCI_MSIX_ENTRY_VECTOR_CTRL_OFFSET);\n\n            if",
        "            if",
    ),
    (
        "MSI-X stays enabled after a mask",
        "            if ( likely(control & PCI_MSIX_FLAGS_ENABLE) )\n                break;\n",
        "            break;\n",
    ),
    (
        "host and guest are exchanged",
        "            entry->msi_attrib.host_masked = host;\n            entry->msi_attrib.guest_masked = guest;\n\n            flag = true;",
        "            entry->msi_attrib.host_masked = guest;\n            entry->msi_attrib.guest_masked = host;\n\n            flag = true;",
    ),
    (
        "an unmask while MSI-X is off has failed",
        "            flag = true;\n",
        "",
    ),
    (
        "nothing is masked where a mask cannot be written",
        "            maskall = true;\n            if ( MSIX_CHECK_WARN",
        "            if ( MSIX_CHECK_WARN",
    ),
    (
        "an unmask masks all where it cannot be written",
        "        else if ( flag && !(control & PCI_MSIX_FLAGS_MASKALL) )\n        {\n            domid_t",
        "        else if ( !(control & PCI_MSIX_FLAGS_MASKALL) )\n        {\n            domid_t",
    ),
    (
        "a mask that cannot be written is told each time",
        "            if ( MSIX_CHECK_WARN(pdev->msix, domid, maskall) )\n",
        "",
    ),
    (
        "the host's mask of all is not kept",
        "        pdev->msix->host_maskall = maskall;\n        if ( maskall || pdev->msix->guest_maskall )\n            control |= PCI_MSIX_FLAGS_MASKALL;\n        pci_conf_write16(pdev->sbdf,",
        "        if ( maskall || pdev->msix->guest_maskall )\n            control |= PCI_MSIX_FLAGS_MASKALL;\n        pci_conf_write16(pdev->sbdf,",
    ),
    (
        "the guest's mask of all is lost with a mask",
        "        pdev->msix->host_maskall = maskall;\n        if ( maskall || pdev->msix->guest_maskall )",
        "        pdev->msix->host_maskall = maskall;\n        if ( maskall )",
    ),
    (
        "the host's mask is not kept",
        "    default:\n        return 0;\n    }\n    entry->msi_attrib.host_masked = host;\n",
        "    default:\n        return 0;\n    }\n",
    ),
    (
        "the guest's mask is not kept",
        "    default:\n        return 0;\n    }\n    entry->msi_attrib.host_masked = host;\n    entry->msi_attrib.guest_masked = guest;\n",
        "    default:\n        return 0;\n    }\n    entry->msi_attrib.host_masked = host;\n",
    ),
    (
        "a mask unmasks what the guest masked",
        "    if ( unlikely(!msi_set_mask_bit(desc, 1,\n                                    desc->msi_desc->msi_attrib.guest_masked)) )",
        "    if ( unlikely(!msi_set_mask_bit(desc, 1, 0)) )",
    ),
    (
        "an unmask unmasks what the guest masked",
        "    if ( unlikely(!msi_set_mask_bit(desc, 0,\n                                    desc->msi_desc->msi_attrib.guest_masked)) )\n        WARN();",
        "    if ( unlikely(!msi_set_mask_bit(desc, 0, 0)) )\n        WARN();",
    ),
    (
        "an unmask that failed is not told",
        "                                    desc->msi_desc->msi_attrib.guest_masked)) )\n        WARN();",
        "                                    desc->msi_desc->msi_attrib.guest_masked)) )\n        return;",
    ),
    (
        "the guest's mask unmasks what the host masked",
        "    msi_set_mask_bit(desc, desc->msi_desc->msi_attrib.host_masked, mask);",
        "    msi_set_mask_bit(desc, 0, mask);",
    ),
    (
        "a guest's interrupt starts unmasked",
        "msi_set_mask_bit(desc, 0, !!(desc->status & IRQ_GUEST))",
        "msi_set_mask_bit(desc, 0, 0)",
    ),
    (
        "what is shut down is not masked by the guest",
        "    if ( unlikely(!msi_set_mask_bit(desc, 1, 1)) )",
        "    if ( unlikely(!msi_set_mask_bit(desc, 1, 0)) )",
    ),
    (
        "a move is not completed",
        "    irq_complete_move(desc);\n",
        "",
    ),
    (
        "an interrupt does not move",
        "    move_native_irq(desc);\n",
        "",
    ),
    (
        "a maskable interrupt is not acknowledged",
        "    ack_APIC_irq(); /* ACKTYPE_NONE */\n",
        "",
    ),
    // Setting up.
    (
        "a descriptor begins with an interrupt",
        "        entry[nr].irq = -1;\n",
        "        entry[nr].irq = 0;\n",
    ),
    (
        "a descriptor begins with an entry of remapping",
        "        entry[nr].remap_index = -1;\n",
        "        entry[nr].remap_index = 0;\n",
    ),
    (
        "MSI-X is not enabled to write a message",
        "        if ( !(control & PCI_MSIX_FLAGS_ENABLE) )\n            pci_conf_write16(pdev->sbdf, cpos,\n                             control | (PCI_MSIX_FLAGS_ENABLE |\n                                        PCI_MSIX_FLAGS_MASKALL));\n",
        "",
    ),
    (
        "MSI-X stays enabled after a message",
        "    if ( !(control & PCI_MSIX_FLAGS_ENABLE) )\n        pci_conf_write16(pdev->sbdf, cpos, control);\n\n    return rc;",
        "    return rc;",
    ),
    (
        "the controller of what failed stays",
        "        desc->handler = &no_irq_type;\n        desc->msi_desc = NULL;",
        "        desc->msi_desc = NULL;",
    ),
    (
        "the descriptor of what failed stays",
        "        desc->handler = &no_irq_type;\n        desc->msi_desc = NULL;",
        "        desc->handler = &no_irq_type;",
    ),
    (
        "the first interrupt of a block alone is destroyed",
        "        if ( entry[nr].irq >= 0 )\n            destroy_irq",
        "        if ( entry[nr].irq >= 0 && !nr )\n            destroy_irq",
    ),
    (
        "entries of remapping are not given back",
        "            iommu_update_ire_from_msi(entry + nr, NULL);",
        "            (void)nr;",
    ),
    (
        "the page of a freed entry stays in use",
        "        msix_put_fixmap(entry->dev->msix,\n                        virt_to_fix((unsigned long)entry->mask_base));",
        "        (void)entry;",
    ),
    (
        "a freed descriptor stays in the list",
        "    list_del(&entry->list);\n    xfree(entry);",
        "    xfree(entry);",
    ),
    (
        "a freed descriptor leaks",
        "    list_del(&entry->list);\n    xfree(entry);",
        "    list_del(&entry->list);",
    ),
    // MSI.
    (
        "more messages than a function has",
        "    if ( nvec > dev->msi_maxvec )\n        return dev->msi_maxvec;\n",
        "",
    ),
    (
        "the number of messages is not told to the device",
        "    control &= ~PCI_MSI_FLAGS_QSIZE;\n    multi_msi_enable(control, nvec);\n\n",
        "\n",
    ),
    (
        "MSI is enabled while it is set up",
        "    msi_set_enable(dev, 0); /* Ensure msi is disabled as I set it up */\n",
        "",
    ),
    (
        "messages have no numbers",
        "        entry[i].msi_attrib.entry_nr = i;\n",
        "        entry[i].msi_attrib.entry_nr = 0;\n",
    ),
    (
        "messages begin unmasked by the host",
        "        entry[i].msi_attrib.host_masked =\n        entry[i].msi_attrib.maskbit",
        "        entry[i].msi_attrib.host_masked = 0;\n        entry[i].msi_attrib.maskbit",
    ),
    (
        "the number of messages is not kept",
        "    entry->msi.nvec = nvec;\n",
        "    entry->msi.nvec = 1;\n",
    ),
    (
        "messages begin unmasked",
        "        maskbits |= ~(uint32_t)0 >> (32 - dev->msi_maxvec);\n",
        "",
    ),
    (
        "those messages alone are masked that are set up",
        "        maskbits |= ~(uint32_t)0 >> (32 - dev->msi_maxvec);\n",
        "        maskbits |= ~(uint32_t)0 >> (32 - nvec);\n",
    ),
    (
        "Xen's own MSI leaves INTx on",
        "        pci_intx(dev, false);\n        control |= PCI_MSI_FLAGS_ENABLE;\n",
        "        control |= PCI_MSI_FLAGS_ENABLE;\n",
    ),
    (
        "Xen's own MSI is not enabled",
        "        pci_intx(dev, false);\n        control |= PCI_MSI_FLAGS_ENABLE;\n",
        "        pci_intx(dev, false);\n",
    ),
    (
        "dom0's MSI is enabled by Xen",
        "    if ( !hardware_domain )\n    {\n        /*\n         * ..., except for internal requests (before Dom0 starts), in which\n         * case we rather need to behave \"normally\", i.e. not follow the split\n         * brain model where Dom0 actually enables MSI (and disables INTx).\n         */\n        pci_intx(dev, false);\n        control |= PCI_MSI_FLAGS_ENABLE;",
        "    {\n        pci_intx(dev, false);\n        control |= PCI_MSI_FLAGS_ENABLE;",
    ),
    (
        "an interrupt has two MSIs",
        "        printk(XENLOG_ERR \"irq %d already mapped to MSI on %pp\\n\",\n               msi->irq, &pdev->sbdf);\n        return -EEXIST;",
        "        printk(XENLOG_ERR \"irq %d already mapped to MSI on %pp\\n\",\n               msi->irq, &pdev->sbdf);",
    ),
    (
        "MSI-X stays in use beside MSI",
        "        __pci_disable_msix(old_desc);\n",
        "",
    ),
    (
        "MSI stays enabled when it is disabled",
        "    msi_set_enable(dev, 0);\n    if ( entry->irq > 0",
        "    if ( entry->irq > 0",
    ),
    (
        "INTx comes back for a guest",
        "    if ( entry->irq > 0 && !(irq_to_desc(entry->irq)->status & IRQ_GUEST) )",
        "    if ( entry->irq > 0 )",
    ),
    // BARs.
    (
        "a virtual function's BARs are read though there is none",
        "             !(ctrl & PCI_SRIOV_CTRL_VFE) ||\n",
        "",
    ),
    (
        "a virtual function's BARs are read without memory",
        "             !(ctrl & PCI_SRIOV_CTRL_MSE) ||\n",
        "",
    ),
    (
        "a virtual function's BAR may have no size",
        "             bir >= PCI_SRIOV_NUM_BARS ||\n             !pf_info->vf_rlen[bir] )",
        "             bir >= PCI_SRIOV_NUM_BARS )",
    ),
    (
        "virtual functions begin at the physical one",
        "        vf -= PCI_BDF(bus, slot, func) + offset;",
        "        vf -= PCI_BDF(bus, slot, func);",
    ),
    (
        "virtual functions are one apart",
        "            vf /= stride;\n",
        "",
    ),
    (
        "a function between two virtual ones is one",
        "            if ( vf % stride )\n                return 0;\n",
        "",
    ),
    (
        "one virtual function too many",
        "        if ( vf >= num_vf )",
        "        if ( vf > num_vf )",
    ),
    (
        "all virtual functions share the first one's BAR",
        "        disp = vf * pf_info->vf_rlen[bir];",
        "        disp = 0;",
    ),
    (
        "the flag of many functions hides the header's type",
        "PCI_HEADER_TYPE) & 0x7f )",
        "PCI_HEADER_TYPE) & 0xff )",
    ),
    (
        "a bridge has six BARs",
        "        limit = 2;",
        "        limit = 6;",
    ),
    (
        "what is behind the BARs is one",
        "    if ( bir >= limit )\n        return 0;\n    addr =",
        "    addr =",
    ),
    (
        "ports stand for a table",
        "    if ( (addr & PCI_BASE_ADDRESS_SPACE) == PCI_BASE_ADDRESS_SPACE_IO )\n        return 0;\n",
        "",
    ),
    (
        "the upper half of a BAR is left out",
        "               ((uint64_t)pci_conf_read32(PCI_SBDF(seg, bus, slot, func),\n                                          base + bir * 4) << 32);",
        "               0;",
    ),
    (
        "the last BAR has an upper half",
        "        if ( ++bir >= limit )\n            return 0;",
        "        ++bir;",
    ),
    (
        "the displacement of a 64-bit BAR is left out",
        "        return addr + disp +",
        "        return addr +",
    ),
    // MSI-X.
    (
        "a table is set up with nothing masked",
        "    msix->host_maskall = 1;\n    pci_conf_write16(dev->sbdf, msix_control_reg(pos),\n                     control | (PCI_MSIX_FLAGS_ENABLE |\n                                PCI_MSIX_FLAGS_MASKALL));\n\n    if ( unlikely(!memory_decoded(dev)) )",
        "    msix->host_maskall = 1;\n    pci_conf_write16(dev->sbdf, msix_control_reg(pos),\n                     control | PCI_MSIX_FLAGS_ENABLE);\n\n    if ( unlikely(!memory_decoded(dev)) )",
    ),
    (
        "a table is set up where no memory is decoded",
        "    if ( unlikely(!memory_decoded(dev)) )\n    {\n        pci_conf_write16(dev->sbdf, msix_control_reg(pos),\n                         control & ~PCI_MSIX_FLAGS_ENABLE);\n        return -ENXIO;\n    }\n\n    if ( desc )",
        "    if ( desc )",
    ),
    (
        "a guest decides where its table is",
        "          (is_hardware_domain(current->domain) &&\n           (dev->domain == current->domain || dev->domain == dom_io))) )",
        "          (is_hardware_domain(current->domain) || 1)) )",
    ),
    (
        "a quarantined function's table is unknown to dom0",
        "           (dev->domain == current->domain || dev->domain == dom_io))) )",
        "           (dev->domain == current->domain))) )",
    ),
    (
        "the table is where its BAR begins",
        "        table_paddr += table_offset & ~PCI_MSIX_BIRMASK;\n",
        "",
    ),
    (
        "a BAR that dom0 knows is not used",
        "            table_paddr = msi->table_base;\n",
        "            table_paddr = 0x1000;\n",
    ),
    (
        "the last page of the table is not protected",
        "                                    msix->nr_entries * PCI_MSIX_ENTRY_SIZE - 1);",
        "                                    PCI_MSIX_ENTRY_SIZE - 1);",
    ),
    (
        "a table that is another's is not told",
        "        WARN_ON(rangeset_overlaps_range(mmio_ro_ranges, msix->table.first,\n                                        msix->table.last));\n",
        "",
    ),
    (
        "a wrong idea of the BAR is not told",
        "        WARN_ON(msi && msi->table_base != table_paddr);\n",
        "",
    ),
    (
        "pending bits are in the table's BAR",
        "        bir = (u8)(pba_offset & PCI_MSIX_BIRMASK);\n",
        "",
    ),
    (
        "pending bits are where their BAR begins",
        "        pba_paddr += pba_offset & ~PCI_MSIX_BIRMASK;\n",
        "",
    ),
    (
        "pending bits are not protected",
        "        if ( rangeset_add_range(mmio_ro_ranges, msix->pba.first,\n                                msix->pba.last) )\n            WARN();\n",
        "",
    ),
    (
        "the table is not protected",
        "        if ( rangeset_add_range(mmio_ro_ranges, msix->table.first,\n                                msix->table.last) )\n            WARN();\n",
        "",
    ),
    (
        "the table is somewhere where nobody found it",
        "    else if ( !msix->table.first )\n    {\n        pci_conf_write16(dev->sbdf, msix_control_reg(pos), control);\n        xfree(entry);\n        return -ENODATA;\n    }\n",
        "",
    ),
    (
        "where nobody found the table all stays masked",
        "    else if ( !msix->table.first )\n    {\n        pci_conf_write16(dev->sbdf, msix_control_reg(pos), control);\n",
        "    else if ( !msix->table.first )\n    {\n",
    ),
    (
        "a descriptor leaks where nobody found the table",
        "        xfree(entry);\n        return -ENODATA;",
        "        return -ENODATA;",
    ),
    (
        "a descriptor leaks without a slot of the fixmap",
        "            pci_conf_write16(dev->sbdf, msix_control_reg(pos), control);\n            xfree(entry);\n            return idx;",
        "            pci_conf_write16(dev->sbdf, msix_control_reg(pos), control);\n            return idx;",
    ),
    (
        "the table stays known without a slot of the fixmap",
        "                msix->table.first = 0;\n                msix->pba.first = 0;\n\n",
        "",
    ),
    (
        "a new entry is not masked",
        "        writel(1, base + PCI_MSIX_ENTRY_VECTOR_CTRL_OFFSET);\n\n        entry->msi_attrib.type",
        "        entry->msi_attrib.type",
    ),
    (
        "a new entry is not masked by the guest",
        "        entry->msi_attrib.guest_masked = 1;\n        entry->msi_attrib.pos = pos;",
        "        entry->msi_attrib.guest_masked = 0;\n        entry->msi_attrib.pos = pos;",
    ),
    (
        "an entry is looked for at the beginning of its page",
        "        base = fix_to_virt(idx) + (entry_paddr & (PAGE_SIZE - 1));",
        "        base = fix_to_virt(idx);",
    ),
    (
        "the first page is not mapped for who shares it",
        "        if ( PAGE_OFFSET(table_paddr) )\n",
        "        if ( 0 )\n",
    ),
    (
        "the last page is not mapped for who shares it",
        "                (msix->nr_entries - 1) * PCI_MSIX_ENTRY_SIZE;",
        "                0 * PCI_MSIX_ENTRY_SIZE;",
    ),
    (
        "the first entry leaves all masked",
        "        maskall = false;\n        if ( !msix->guest_maskall )",
        "        if ( !msix->guest_maskall )",
    ),
    (
        "the first entry unmasks what the guest masked",
        "        if ( !msix->guest_maskall )\n            control &= ~PCI_MSIX_FLAGS_MASKALL;\n        else\n            control |= PCI_MSIX_FLAGS_MASKALL;",
        "        control &= ~PCI_MSIX_FLAGS_MASKALL;",
    ),
    (
        "dom0's use of a guest's function is not told",
        "            if ( !is_hardware_domain(currd) || d != currd )\n",
        "            if ( !is_hardware_domain(currd) )\n",
    ),
    (
        "a guest without memory is crashed",
        "                 (!is_hardware_domain(currd) || domain_tot_pages(d)) )",
        "                 (!is_hardware_domain(currd) || 1) )",
    ),
    (
        "a guest with memory lives on",
        "                domain_crash(d);\n",
        "                (void)d;\n",
    ),
    ("entries are not counted", "    ++msix->used_entries;\n", ""),
    (
        "Xen's own MSI-X leaves INTx on",
        "        pci_intx(dev, false);\n        control |= PCI_MSIX_FLAGS_ENABLE;\n",
        "        control |= PCI_MSIX_FLAGS_ENABLE;\n",
    ),
    (
        "Xen's own MSI-X is masked",
        "        control &= ~PCI_MSIX_FLAGS_MASKALL;\n        maskall = 0;\n",
        "        maskall = 0;\n",
    ),
    (
        "the control register is not restored",
        "    msix->host_maskall = maskall;\n    pci_conf_write16(dev->sbdf, msix_control_reg(pos), control);\n\n    return 0;\n}\n\n/**\n * pci_enable_msi",
        "    msix->host_maskall = maskall;\n\n    return 0;\n}\n\n/**\n * pci_enable_msi",
    ),
    (
        "one entry more than there is",
        "    if ( msi->entry_nr >= pdev->msix->nr_entries )",
        "    if ( msi->entry_nr > pdev->msix->nr_entries )",
    ),
    (
        "an interrupt has two entries",
        "        printk(XENLOG_ERR \"irq %d already mapped to MSI-X on %pp\\n\",\n               msi->irq, &pdev->sbdf);\n        return -EEXIST;",
        "        printk(XENLOG_ERR \"irq %d already mapped to MSI-X on %pp\\n\",\n               msi->irq, &pdev->sbdf);",
    ),
    (
        "MSI stays in use beside MSI-X",
        "        __pci_disable_msi(old_desc);\n",
        "",
    ),
    (
        "the table of an unused function is protected for good",
        "        if ( rangeset_remove_range(mmio_ro_ranges, msix->table.first,\n                                   msix->table.last) )\n            WARN();\n",
        "",
    ),
    (
        "the pending bits of an unused function are protected for good",
        "        if ( rangeset_remove_range(mmio_ro_ranges, msix->pba.first,\n                                   msix->pba.last) )\n            WARN();\n",
        "",
    ),
    (
        "the page of the first entry stays mapped",
        "            msix_put_fixmap(msix, msix->adj_access_idx[ADJ_IDX_FIRST]);\n",
        "",
    ),
    (
        "the page of the last entry stays mapped",
        "            msix_put_fixmap(msix, msix->adj_access_idx[ADJ_IDX_LAST]);\n",
        "",
    ),
    (
        "an entry is not masked when it is disabled",
        "        writel(1, entry->mask_base + PCI_MSIX_ENTRY_VECTOR_CTRL_OFFSET);\n    else if",
        "        (void)entry;\n    else if",
    ),
    (
        "an entry that cannot be masked does not mask all",
        "               entry->irq, &dev->sbdf);\n        maskall = true;",
        "               entry->irq, &dev->sbdf);",
    ),
    (
        "disabling an entry leaves MSI-X enabled",
        "        control |= PCI_MSIX_FLAGS_MASKALL;\n    pci_conf_write16(dev->sbdf, msix_control_reg(pos), control);\n\n    _pci_cleanup_msix",
        "        control |= PCI_MSIX_FLAGS_MASKALL;\n\n    _pci_cleanup_msix",
    ),
    (
        "disabling an entry does not count",
        "    _pci_cleanup_msix(dev->msix);\n}\n\nint pci_prepare_msix",
        "}\n\nint pci_prepare_msix",
    ),
    // The rest.
    (
        "a function in use is prepared",
        "    else if ( pdev->msix->used_entries != !!off )\n        rc = -EBUSY;\n",
        "",
    ),
    (
        "a function that does not exist is prepared",
        "        rc = -ENODEV;\n    else if ( pdev->msix->used_entries",
        "        rc = 0;\n    else if ( pdev->msix->used_entries",
    ),
    (
        "MSIs are set up though they are forbidden",
        "    if ( !use_msi )\n        return -EPERM;\n",
        "",
    ),
    (
        "functions are prepared though MSIs are forbidden",
        "    if ( !use_msi )\n        return 0;\n\n    pcidevs_lock();",
        "    pcidevs_lock();",
    ),
    (
        "cleaning up leaves MSI-X on",
        "    msi_set_enable(pdev, 0);\n    msix_set_enable(pdev, 0);\n    msi_free_irqs(pdev);",
        "    msi_set_enable(pdev, 0);\n    msi_free_irqs(pdev);",
    ),
    (
        "cleaning up frees nothing",
        "    msix_set_enable(pdev, 0);\n    msi_free_irqs(pdev);",
        "    msix_set_enable(pdev, 0);",
    ),
    (
        "at a crash MSI stays on",
        "    msi_set_enable(pdev, 0);\n    msix_set_enable(pdev, 0);\n\n    return 0;",
        "    msix_set_enable(pdev, 0);\n\n    return 0;",
    ),
    (
        "a function that was not reset is taken",
        "         PCI_MSIX_FLAGS_MASKALL )\n        return -EBUSY;\n",
        "         PCI_MSIX_FLAGS_MASKALL )\n        return 0;\n",
    ),
    (
        "the mask of all outlives a reset",
        "    pdev->msix->host_maskall = false;\n    pdev->msix->guest_maskall = false;",
        "    pdev->msix->guest_maskall = false;",
    ),
    // Interception.
    (
        "any register of MSI-X may be written",
        "            if ( reg != msix_control_reg(pos) || size != 2 )\n                return -EACCES;\n",
        "",
    ),
    (
        "what is behind the array of pending bits may not be written",
        "if ( reg >= pos && reg < msix_pba_offset_reg(pos) + 4 )",
        "if ( reg >= pos && reg < msix_pba_offset_reg(pos) + 8 )",
    ),
    (
        "the guest's mask of all is not kept at a write",
        "            pdev->msix->guest_maskall = !!(*data & PCI_MSIX_FLAGS_MASKALL);\n",
        "",
    ),
    (
        "the guest unmasks what the host masked in all",
        "            if ( pdev->msix->host_maskall )\n                *data |= PCI_MSIX_FLAGS_MASKALL;\n",
        "",
    ),
    (
        "the control register of MSI may be written in part",
        "            return size == 2 ? 1 : -EACCES;",
        "            return 1;",
    ),
    (
        "registers of MSI before the mask may be written",
        "        if ( reg < entry->msi.mpos || reg >= entry->msi.mpos + 4 || size != 4 )\n            return -EACCES;\n",
        "        if ( reg >= entry->msi.mpos + 4 || size != 4 )\n            return -EACCES;\n",
    ),
    (
        "the guest's mask of a message is not kept at a write",
        "            entry->msi_attrib.guest_masked =\n                *data >> entry->msi_attrib.entry_nr;\n",
        "",
    ),
    (
        "the guest unmasks what the host masked",
        "            if ( entry->msi_attrib.host_masked )\n                *data |= 1 << pos;\n",
        "",
    ),
    (
        "the guest unmasks what is not in use",
        "        *data |= unused;\n",
        "",
    ),
    // Restoring.
    (
        "MSIs are restored though they are forbidden",
        "    if ( !use_msi )\n        return -EOPNOTSUPP;\n",
        "",
    ),
    (
        "whoever asks may restore",
        "    if ( ret )\n        return ret;\n\n    list_for_each_entry_safe( entry, tmp, &pdev->msi_list, list )",
        "    list_for_each_entry_safe( entry, tmp, &pdev->msi_list, list )",
    ),
    (
        "a descriptor that was not set up is restored",
        "        if (desc->msi_desc != entry)\n        {\n    bogus:",
        "        if (0)\n        {\n    bogus:",
    ),
    (
        "MSI stays enabled while it is restored",
        "            msi_set_enable(pdev, 0);\n            nr = entry->msi.nvec;",
        "            nr = entry->msi.nvec;",
    ),
    (
        "the first message of a block alone is restored",
        "            nr = entry->msi.nvec;\n        }\n        else if ( !type",
        "        }\n        else if ( !type",
    ),
    (
        "MSI-X is not enabled while it is restored",
        "            control = pci_conf_read16(pdev->sbdf, msix_control_reg(pos));\n            pci_conf_write16(pdev->sbdf, msix_control_reg(pos),\n                             control | (PCI_MSIX_FLAGS_ENABLE |\n                                        PCI_MSIX_FLAGS_MASKALL));\n            if ( unlikely(!memory_decoded(pdev)) )",
        "            control = pci_conf_read16(pdev->sbdf, msix_control_reg(pos));\n            if ( unlikely(!memory_decoded(pdev)) )",
    ),
    (
        "MSI-X is restored where no memory is decoded",
        "                spin_unlock_irqrestore(&desc->lock, flags);\n                pci_conf_write16(pdev->sbdf, msix_control_reg(pos),\n                                 control & ~PCI_MSIX_FLAGS_ENABLE);\n                return -ENXIO;",
        "                ;",
    ),
    (
        "messages are not restored",
        "        write_msi_msg(entry, &msg);\n\n        for ( i = 0; ; )",
        "        for ( i = 0; ; )",
    ),
    (
        "masks of other messages are restored",
        "                                            entry[i].msi_attrib.host_masked,\n                                            entry[i].msi_attrib.guest_masked)) )",
        "                                            entry[0].msi_attrib.host_masked,\n                                            entry[0].msi_attrib.guest_masked)) )",
    ),
    (
        "the number of messages is not restored",
        "            multi_msi_enable(control, entry->msi.nvec);\n",
        "",
    ),
    (
        "MSI is not enabled when it is restored",
        "            msi_set_enable(pdev, 1);\n",
        "",
    ),
    (
        "MSI-X is not enabled when it is restored",
        "                         control | PCI_MSIX_FLAGS_ENABLE);\n\n    return 0;",
        "                         control);\n\n    return 0;",
    ),
    // Boot and the debug key.
    (
        "firmware's word against MSIs is not heard",
        "        use_msi = !(acpi_gbl_FADT.boot_flags & ACPI_FADT_NO_MSI);",
        "        use_msi = 1;",
    ),
    (
        "firmware's word counts more than the boot option",
        "    if ( use_msi < 0 )\n",
        "    if ( 1 )\n",
    ),
    (
        "the key says that an entry of MSI-X is an MSI",
        "        case PCI_CAP_ID_MSIX: type = \"MSI-X\"; break;",
        "        case PCI_CAP_ID_MSIX: type = \"MSI\"; break;",
    ),
    (
        "the key says nothing of what is no function's",
        "            case MSI_TYPE_IOMMU: type = \"IOMMU\"; break;\n",
        "",
    ),
    (
        "the key exchanges host and guest",
        "               attr.host_masked ? 'H' : ' ',\n               attr.guest_masked ? 'G' : ' ',",
        "               attr.guest_masked ? 'H' : ' ',\n               attr.host_masked ? 'G' : ' ',",
    ),
    (
        "the key says the first message's mask for all",
        "        return (pci_conf_read32(entry->dev->sbdf, entry->msi.mpos) >>\n                entry->msi_attrib.entry_nr) & 1;",
        "        return pci_conf_read32(entry->dev->sbdf, entry->msi.mpos) & 1;",
    ),
    (
        "the key reads masks where no memory is decoded",
        "        if ( unlikely(!msix_memory_decoded(entry->dev,\n                                           entry->msi_attrib.pos)) )\n            break;\n        return readl",
        "        return readl",
    ),
    (
        "the key leaves out what is emulated",
        "    vpci_dump_msi();\n",
        "",
    ),
    (
        "the key holds up softirqs",
        "        if ( !(irq & 0x1f) )\n            process_pending_softirqs();\n",
        "",
    ),
];
