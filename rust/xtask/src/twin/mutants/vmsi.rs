//! Faults to plant in vmsi.c.

use super::Fault;

pub(super) const FAULTS: &[Fault] = &[
    (
        "a table is freed without a grace period",
        "call_rcu(&entry->rcu, free_msixtbl_entry)",
        "free_msixtbl_entry(&entry->rcu)",
    ),
    (
        "the last page of a table is not found",
        "PFN_DOWN(addr) <= PFN_DOWN(entry->gtable + entry->table_len - 1) )\n            return",
        "PFN_DOWN(addr) < PFN_DOWN(entry->gtable + entry->table_len - 1) )\n            return",
    ),
    (
        "the pending-bit array is compared with the wrong page",
        "msix->table.last == msix->pba.first",
        "msix->table.last == msix->pba.last",
    ),
    (
        "a two-byte read beside a table reads four",
        "*pval = readw(hwaddr)",
        "*pval = readl(hwaddr)",
    ),
    (
        "a one-byte write beside a table writes two",
        "writeb(val, hwaddr)",
        "writew(val, hwaddr)",
    ),
    (
        "descriptors of plain MSI count as the table's",
        "desc->msi_attrib.type == PCI_CAP_ID_MSIX &&\n",
        "1 &&\n",
    ),
    (
        "the byte behind a table counts as its own",
        "addr >= entry->gtable + entry->table_len ||",
        "addr > entry->gtable + entry->table_len ||",
    ),
    (
        "an eight-byte read takes the wrong upper half",
        "*pval |= (u64)entry->gentries[nr_entry].msi_ad[1] << 32",
        "*pval |= (u64)entry->gentries[nr_entry].msi_ad[2] << 32",
    ),
    (
        "an eight-byte write leaves the upper half unknown",
        "                acc_bit(set, entry, nr_entry, 1);\n",
        "                acc_bit(set, entry, nr_entry, 2);\n",
    ),
    (
        "a change of a message is not noted",
        "        set_bit(nr_entry, &entry->table_flags);\n",
        "",
    ),
    (
        "an entry without an interrupt is masked",
        "!msi_desc || msi_desc->irq < 0",
        "!msi_desc",
    ),
    (
        "mask and unmask are exchanged",
        "guest_mask_msi_irq(desc, !!(val & PCI_MSIX_VECTOR_BITMASK))",
        "guest_mask_msi_irq(desc, !(val & PCI_MSIX_VECTOR_BITMASK))",
    ),
    ("a descending copy is snooped", "!r->df &&\n", ""),
    (
        "a copy of a whole entry is not snooped",
        "r->count && r->count <= PCI_MSIX_ENTRY_SIZE / size",
        "r->count && r->count < PCI_MSIX_ENTRY_SIZE / size",
    ),
    (
        "a copy is snooped at the wrong address",
        "r->data + size * r->count - 4",
        "r->data + size * r->count - 8",
    ),
    (
        "a request that is not ready is snooped",
        "r->state == STATE_IOREQ_READY && r->dir == IOREQ_WRITE",
        "r->dir == IOREQ_WRITE",
    ),
    (
        "a failed allocation answers another errno",
        "        return -ENOMEM;",
        "        return -ENODEV;",
    ),
    (
        "memory leaks when a device is registered already",
        "    xfree(new_entry);\n\n    if ( !r )",
        "    if ( !r )",
    ),
    (
        "a vCPU that does not wait is told to unmask",
        "(v->pause_flags & VPF_blocked_in_xen) &&",
        "1 &&",
    ),
    (
        "a snooped copy counts as a snooped write",
        "!v->arch.hvm.hvm_io.msix_snoop_gpa &&\n",
        "",
    ),
    (
        "a table outlives its last binding",
        "if ( atomic_dec_and_test(&entry->refcnt) )",
        "atomic_dec(&entry->refcnt);",
    ),
    (
        "interrupts stay off after unregistering",
        "        del_msixtbl_entry(entry);\n\n    spin_unlock_irq(&irqd->lock);",
        "        del_msixtbl_entry(entry);\n\n    spin_unlock(&irqd->lock);",
    ),
    (
        "a domain without a local APIC gets tables",
        "!is_hvm_domain(d) || !has_vlapic(d) || msixtbl",
        "!is_hvm_domain(d) || msixtbl",
    ),
    (
        "tables outlive their domain",
        "list_for_each_entry_safe( entry, temp,\n                              &d->arch.hvm.msixtbl_list, list )\n        del_msixtbl_entry(entry);",
        "list_for_each_entry_safe( entry, temp,\n                              &d->arch.hvm.msixtbl_list, list )\n        break;",
    ),
    (
        "the emulator's cache stays off",
        "        hvmemul_cache_restore(v, token);\n",
        "",
    ),
    (
        "an unmask is done twice",
        "    v->arch.hvm.hvm_io.msix_unmask_address = 0;\n",
        "",
    ),
    (
        "a snooped mask bit is read the wrong way round",
        "             !(data & PCI_MSIX_VECTOR_BITMASK) )\n            ctrl_address",
        "             (data & PCI_MSIX_VECTOR_BITMASK) )\n            ctrl_address",
    ),
    (
        "no target of lowest priority answers another errno",
        "return -ESRCH",
        "return -ENOENT",
    ),
    (
        "a disabled local APIC receives",
        "vlapic_enabled(target) &&\n                 ",
        "",
    ),
    (
        "an illegal delivery mode answers another errno",
        "return -EINVAL;\n    }\n\n    return 0",
        "return -ENOENT;\n    }\n\n    return 0",
    ),
    (
        "the trigger mode is taken from another bit",
        "flags & XEN_DOMCTL_VMSI_X86_TRIG_MASK;",
        "flags & XEN_DOMCTL_VMSI_X86_RH_MASK;",
    ),
    (
        "two destinations count as one",
        "if ( w > 1 )",
        "if ( w > 2 )",
    ),
    (
        "a domain with two vCPUs is taken for one with one",
        "if ( d->max_vcpus == 1 )",
        "if ( d->max_vcpus == 2 )",
    ),
    (
        "a vector is bound masked instead of unmasked",
        "(masked ? 0 : XEN_DOMCTL_VMSI_X86_UNMASKED)",
        "(masked ? XEN_DOMCTL_VMSI_X86_UNMASKED : 0)",
    ),
    (
        "a failed bind leaves the first vector bound",
        "while ( bind.machine_irq-- > pirq )",
        "while ( bind.machine_irq-- > pirq + 1 )",
    ),
    (
        "vectors that are not bound are unbound",
        "i < msi->vectors && msi->arch.bound",
        "i < msi->vectors",
    ),
    (
        "a pirq is unmapped without the event lock",
        "    write_lock(&pdev->domain->event_lock);\n    unmap_domain_pirq(pdev->domain, pirq);\n    write_unlock(&pdev->domain->event_lock);",
        "    unmap_domain_pirq(pdev->domain, pirq);",
    ),
    (
        "a disabled MSI keeps its pirq",
        "    msi->arch.pirq = INVALID_PIRQ;\n}\n\nvoid vpci_msi_arch_init",
        "}\n\nvoid vpci_msi_arch_init",
    ),
    (
        "the level is printed the wrong way round",
        "msi->data & MSI_DATA_LEVEL_ASSERT ? \"\" : \"de\",\n           msi->address",
        "msi->data & MSI_DATA_LEVEL_ASSERT ? \"de\" : \"\",\n           msi->address",
    ),
    (
        "an entry without a pirq is masked",
        "if ( entry->arch.pirq != INVALID_PIRQ )\n        vpci",
        "vpci",
    ),
    (
        "a vector that is not bound is unbound",
        "vpci_msi_disable(pdev, entry->arch.pirq, 1, false)",
        "vpci_msi_disable(pdev, entry->arch.pirq, 1, true)",
    ),
    (
        "an entry that is not enabled answers another errno",
        "return -ENOENT",
        "return -EINVAL",
    ),
    (
        "a replaced table answers another errno",
        "return -EAGAIN",
        "return -EBUSY",
    ),
    (
        "a lock stays taken after printing was cut short",
        "                read_unlock(&pdev->domain->pci_lock);\n                return -EBUSY;",
        "                return -EBUSY;",
    ),
];
