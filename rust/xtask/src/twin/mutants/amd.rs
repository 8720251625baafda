//! Faults to plant in amd/iommu_intr.c.

use super::Fault;

pub(super) const FAULTS: &[Fault] = &[
    (
        "an IO-APIC has the number of another",
        "if ( ioapic_sbdf[idx].id == apic_id )",
        "if ( ioapic_sbdf[idx].id <= apic_id )",
    ),
    (
        "an IO-APIC that is not listed has a number",
        "    if ( idx == nr_ioapic_sbdf )\n        return MAX_IO_APICS;\n",
        "    if ( idx == nr_ioapic_sbdf )\n        return 0;\n",
    ),
    (
        "one IO-APIC too many is listed",
        "    if ( nr_ioapic_sbdf < MAX_IO_APICS )\n",
        "    if ( nr_ioapic_sbdf <= MAX_IO_APICS )\n",
    ),
    (
        "a long entry is taken for a short one",
        "(iommu->ctrl.ga_en ? 4 : 2);",
        "(iommu->ctrl.ga_en ? 3 : 2);",
    ),
    (
        "a pin's entry is taken for the IO-APIC's own ID",
        "return get_ivrs_mappings(seg)[bdf].dte_requestor_id;",
        "return bdf;",
    ),
    (
        "the shared table is not locked",
        "    return (amd_iommu_perdev_intremap ?",
        "    return (true ?",
    ),
    (
        "a block is not aligned",
        "        slot = (slot + nr - 1) & ~(nr - 1);\n",
        "",
    ),
    (
        "a block overlaps what is in use",
        "if ( slot + nr <= end )",
        "if ( slot + nr <= end + 1 )",
    ),
    (
        "the first entry of a block stays free",
        "            while ( nr-- )\n",
        "            while ( --nr )\n",
    ),
    (
        "the search goes on a block too far",
        "slot = (end + nr) & ~(nr - 1);",
        "slot = (end + 2 * nr) & ~(nr - 1);",
    ),
    (
        "an entry is used twice",
        "    __clear_bit(index, ivrs[bdf].intremap_inuse);",
        "    __clear_bit(index ^ 1, ivrs[bdf].intremap_inuse);",
    ),
    (
        "an entry is never free again",
        "    __clear_bit(index, ivrs[bdf].intremap_inuse);",
        "",
    ),
    (
        "the upper half of a released entry stays",
        "        entry.ptr128->raw64[1] = 0;\n",
        "",
    ),
    (
        "a released short entry stays valid",
        "        ACCESS_ONCE(entry.ptr32->raw) = 0;\n",
        "        ;\n",
    ),
    (
        "a long entry has a destination of 24 bits",
        "                .dest_hi = dest >> 24,\n",
        "",
    ),
    (
        "a long entry has no delivery mode",
        "                .remap_en = true,\n                .int_type = int_type,\n                .dm = dest_mode,\n                .dest_lo",
        "                .remap_en = true,\n                .dm = dest_mode,\n                .dest_lo",
    ),
    (
        "a short entry has no delivery mode",
        "                .int_type = int_type,\n                .dm = dest_mode,\n                .dest = dest,",
        "                .dm = dest_mode,\n                .dest = dest,",
    ),
    (
        "a short entry's destination is physical",
        "                .dm = dest_mode,\n                .dest = dest,",
        "                .dest = dest,",
    ),
    (
        "a short entry is not valid",
        "            .flds = {\n                .remap_en = true,",
        "            .flds = {\n                .remap_en = false,",
    ),
    (
        "a pin's delivery mode stays as it was",
        "    rte->delivery_mode = offset >> 8;\n",
        "",
    ),
    (
        "a 32-bit destination of a pin is cut",
        "dest = x2apic_enabled ? rte->dest.dest32 : rte->dest.logical.logical_dest;",
        "dest = rte->dest.logical.logical_dest;",
    ),
    (
        "a pin's entry is forgotten",
        "        *index = offset;\n        fresh = true;\n    }\n\n    entry = get_intremap_entry(iommu, req_id, offset);\n\n    update_intremap_entry(iommu, entry, vector, delivery_mode, dest_mode, dest);\n\n    spin_unlock",
        "        fresh = true;\n    }\n\n    entry = get_intremap_entry(iommu, req_id, offset);\n\n    update_intremap_entry(iommu, entry, vector, delivery_mode, dest_mode, dest);\n\n    spin_unlock",
    ),
    (
        "a pin's changed entry is not invalidated",
        "    if ( !fresh )\n        amd_iommu_flush_intremap(iommu, req_id);\n\n    set_rte_index",
        "    set_rte_index",
    ),
    (
        "a pin whose IO-APIC has no IOMMU is not written",
        "                       seg, bdf);\n        __ioapic_write_entry(apic, pin, true, new_rte);\n        return;",
        "                       seg, bdf);\n        return;",
    ),
    (
        "a pin is written though the table is full",
        "               IO_APIC_ID(apic), pin, rc);\n        return;",
        "               IO_APIC_ID(apic), pin, rc);",
    ),
    (
        "a pin's vector is the entry's number",
        "        val &= ~(INTREMAP_MAX_ENTRIES - 1);\n",
        "",
    ),
    (
        "a pin's delivery mode is read as fixed",
        "        val |= MASK_INSR(entry.ptr32->flds.int_type,\n                         IO_APIC_REDIR_DELIV_MODE_MASK);\n",
        "",
    ),
    (
        "a long entry's vector is read from a short one",
        "        val |= MASK_INSR(iommu->ctrl.ga_en\n",
        "        val |= MASK_INSR(false\n",
    ),
    (
        "a pin's destination is read without its upper bits",
        "    else if ( x2apic_enabled )\n        val = get_full_dest(entry.ptr128);\n",
        "    else if ( x2apic_enabled )\n        val = entry.ptr128->full.dest_lo;\n",
    ),
    (
        "a block is released but for its last entry",
        "        for ( i = 0; i < nr; ++i )\n            free_intremap_entry(",
        "        for ( i = 0; i + (nr > 1) < nr; ++i )\n            free_intremap_entry(",
    ),
    (
        "a release is not known to the IOMMU",
        "        if ( iommu->enabled )\n        {\n            amd_iommu_flush_intremap(iommu, req_id);\n",
        "        if ( iommu->enabled )\n        {\n",
    ),
    (
        "a release is not known for the alias",
        "            if ( alias_id != req_id )\n                amd_iommu_flush_intremap(iommu, alias_id);\n        }\n\n        return 0;",
        "        }\n\n        return 0;",
    ),
    (
        "an update is not known for the alias",
        "        if ( alias_id != req_id )\n            amd_iommu_flush_intremap(iommu, alias_id);\n    }\n\n    *data",
        "    }\n\n    *data",
    ),
    (
        "an IOMMU that is switched off is told of a release",
        "        if ( iommu->enabled )\n",
        "        if ( true )\n",
    ),
    (
        "a message's destination is physical",
        "dest_mode = (msg->address_lo >> MSI_ADDR_DESTMODE_SHIFT) & 0x1;",
        "dest_mode = 0;",
    ),
    (
        "a message may have any delivery mode",
        "(msg->data >> MSI_DATA_DELIVERY_MODE_SHIFT) & 0x1;",
        "(msg->data >> MSI_DATA_DELIVERY_MODE_SHIFT) & 0x7;",
    ),
    (
        "a 32-bit destination of a message is cut",
        "        dest = msg->dest32;\n",
        "        dest = msg->dest32 & 0xff;\n",
    ),
    (
        "an update is not known to the IOMMU",
        "    if ( !fresh )\n    {\n        amd_iommu_flush_intremap(iommu, req_id);\n",
        "    if ( !fresh )\n    {\n",
    ),
    (
        "a full table is another error",
        "            spin_unlock_irqrestore(lock, flags);\n            return -ENOSPC;\n        }\n        *remap_index = offset;",
        "            spin_unlock_irqrestore(lock, flags);\n            return -ENOMEM;\n        }\n        *remap_index = offset;",
    ),
    (
        "the lock is kept when the table is full",
        "            spin_unlock_irqrestore(lock, flags);\n            return -ENOSPC;\n        }\n        *remap_index = offset;",
        "            return -ENOSPC;\n        }\n        *remap_index = offset;",
    ),
    (
        "a message's data keep the vector",
        "*data = (msg->data & ~(INTREMAP_MAX_ENTRIES - 1)) | offset;",
        "*data = msg->data | offset;",
    ),
    (
        "an IOMMU's own messages are remapped",
        "        if ( iommu->seg == seg && iommu->bdf == bdf )\n            return NULL;\n",
        "",
    ),
    (
        "a device without IOMMU is another error",
        "    return ERR_PTR(-EINVAL);",
        "    return ERR_PTR(-ENODEV);",
    ),
    (
        "a message of an HPET is one of nobody",
        "    bdf = pdev ? pdev->sbdf.bdf : hpet_sbdf.bdf;",
        "    bdf = pdev ? pdev->sbdf.bdf : 0;",
    ),
    (
        "MSI-X has as many entries as its mask's address says",
        "    if ( msi_desc->msi_attrib.type == PCI_CAP_ID_MSI )\n",
        "    if ( msi_desc->msi_attrib.type != 0 )\n",
    ),
    (
        "a released entry is remembered",
        "            msi_desc[i].remap_index = -1;",
        "            ;",
    ),
    (
        "the messages of a block have the same entry",
        "msi_desc[i].remap_index = msi_desc->remap_index + i;",
        "msi_desc[i].remap_index = msi_desc->remap_index;",
    ),
    (
        "a message keeps its destination",
        "~(MSI_ADDR_DESTMODE_MASK | MSI_ADDR_DEST_ID_MASK);",
        "~MSI_ADDR_DESTMODE_MASK;",
    ),
    (
        "a phantom function keeps a table that is gone",
        "                ivrs_mapping[i].intremap_table = NULL;\n",
        "",
    ),
    (
        "functions of another device lose their table",
        "for ( i = 1; PCI_FUNC(bdf + i) && bdf + i < ivrs_bdf_entries; ++i )\n            if ( ivrs_mapping[i].intremap_table ==\n                 ivrs_mapping->intremap_table )",
        "for ( i = 1; PCI_FUNC(bdf + i) && bdf + i < ivrs_bdf_entries; ++i )",
    ),
    (
        "what knows the entries in use is not freed",
        "        XFREE(ivrs_mapping->intremap_inuse);\n",
        "",
    ),
    (
        "a freed page keeps the order of its block",
        "        intremap_page_order(*tblp) = 0;\n",
        "",
    ),
    (
        "a freed shared table is remembered",
        "        __free_amd_iommu_tables(*tblp, order);\n        *tblp = NULL;\n",
        "        __free_amd_iommu_tables(*tblp, order);\n",
    ),
    (
        "a table for all entries has half of them",
        "        nr = INTREMAP_MAX_ENTRIES;\n",
        "        nr = INTREMAP_MAX_ENTRIES / 2;\n",
    ),
    (
        "a table of long entries is as large as one of short ones",
        "? get_order_from_bytes(nr * sizeof(union irte128))",
        "? get_order_from_bytes(nr * sizeof(union irte32))",
    ),
    (
        "the order of a table is not noted",
        "        intremap_page_order(tb) = order;\n",
        "",
    ),
    (
        "a table is not cleared",
        "            memset(tb, 0, PAGE_SIZE << order);\n",
        "            ;\n",
    ),
    (
        "half a table is cleared",
        "            memset(tb, 0, PAGE_SIZE << order);\n",
        "            memset(tb, 0, PAGE_SIZE << order >> 1);\n",
    ),
    (
        "a table leaks when memory runs out",
        "            __free_amd_iommu_tables(tb, order);\n            tb = NULL;\n",
        "            tb = NULL;\n",
    ),
    (
        "extended mode is supported though nothing is to be remapped",
        "if ( !iommu_enable || !iommu_intremap )",
        "if ( !iommu_enable )",
    ),
    (
        "extended mode goes without wide exchanges",
        "if ( unlikely(!cpu_has_cx16) )",
        "if ( false )",
    ),
    (
        "IOMMUs are used without wide exchanges",
        "        iommu_enable = false;\n",
        "",
    ),
    (
        "IOMMUs are prepared for 8-bit destinations",
        "if ( amd_iommu_prepare(true) )",
        "if ( amd_iommu_prepare(false) )",
    ),
    (
        "extended mode leaves an IO-APIC alone that is not listed",
        "        if ( idx == MAX_IO_APICS )\n            return false;\n",
        "        if ( idx == MAX_IO_APICS )\n            continue;\n",
    ),
    (
        "extended mode leaves an IO-APIC alone that has no IOMMU",
        "                           apic, IO_APIC_ID(apic));\n            return false;",
        "                           apic, IO_APIC_ID(apic));",
    ),
    (
        "an HPET is set up of which nothing is said",
        "if ( hpet_sbdf.init == HPET_NONE )",
        "if ( hpet_sbdf.init == HPET_IVHD )",
    ),
    (
        "any HPET is set up",
        "if ( msi_desc->hpet_id != hpet_sbdf.id )",
        "if ( (uint16_t)msi_desc->hpet_id != hpet_sbdf.id )",
    ),
    (
        "an HPET without IOMMU is another error",
        "    if ( !iommu )\n        return -ENXIO;\n",
        "    if ( !iommu )\n        return -ENODEV;\n",
    ),
    (
        "an HPET keeps what is no entry",
        "        msi_desc->remap_index = -1;\n        rc = -ENXIO;",
        "        rc = -ENXIO;",
    ),
    (
        "a dump shows clear entries",
        "             : !tbl.ptr32[count].raw )",
        "             : false )",
    ),
    (
        "a dump leaves out entries with a clear lower half",
        "? !tbl.ptr128[count].raw64[0] && !tbl.ptr128[count].raw64[1]",
        "? !tbl.ptr128[count].raw64[0] || !tbl.ptr128[count].raw64[1]",
    ),
    (
        "a dump names a requester for each entry",
        "            ivrs_mapping = NULL;\n",
        "",
    ),
    (
        "a dump of the shared table shows those of requesters",
        "    if ( !shared_intremap_table )\n    {\n        printk",
        "    if ( true )\n    {\n        printk",
    ),
    (
        "a dump exchanges the halves of an entry",
        "                   count, tbl.ptr128[count].raw64[1],\n                   tbl.ptr128[count].raw64[0]);",
        "                   count, tbl.ptr128[count].raw64[0],\n                   tbl.ptr128[count].raw64[1]);",
    ),
];
