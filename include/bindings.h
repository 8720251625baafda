/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bindgen reads: Xen's own headers, and the macros that it cannot see as constants.
 *
 * Read with the flags of the Xen tree that is being built, so every layout is that tree's and that configuration's.
 */
#ifndef XEN_IRQ_BINDINGS_H
#define XEN_IRQ_BINDINGS_H

/* Xen hides every symbol by default, and bindgen leaves hidden functions out. The linker is not concerned. */
#include <xen/compiler.h>
#pragma GCC visibility push(default)

#include <xen/types.h>
#include <xen/errno.h>
#include <xen/event.h>
#include <xen/guest_access.h>
#include <xen/iommu.h>
#include <xen/irq.h>
#include <xen/lib.h>
#include <xen/nospec.h>
#include <xen/pci.h>
#include <xen/radix-tree.h>
#include <xen/rangeset.h>
#include <xen/rcupdate.h>
#include <xen/rwlock.h>
#include <xen/sched.h>
#include <xen/softirq.h>
#include <xen/timer.h>
#include <xen/trace.h>
#include <xen/vpci.h>
#include <xen/xmalloc.h>
#include <public/domctl.h>
#include <public/hvm/ioreq.h>
#include <public/trace.h>
#include <asm/cpufeatureset.h>
#include <asm/current.h>
#include <asm/fixmap.h>
#include <asm/genapic.h>
#include <asm/hvm/emulate.h>
#include <asm/hvm/hvm.h>
#include <asm/hvm/io.h>
#include <asm/hvm/irq.h>
#include <asm/hvm/support.h>
#include <asm/hvm/vlapic.h>
#include <asm/io_apic.h>
#include <asm/irq.h>
#include <asm/irq-vectors.h>
#include <asm/msi.h>

#ifdef CONFIG_AMD_IOMMU
#include <../drivers/passthrough/amd/iommu.h>
#endif

#ifdef CONFIG_INTEL_IOMMU
#include <../drivers/passthrough/vtd/iommu.h>
#include <../drivers/passthrough/vtd/extern.h>
#endif

#ifndef CONFIG_TRACEBUFFER
/* A macro then; nothing of what refers to the variable is left. */
#undef tb_init_done
extern bool tb_init_done;
#endif

/* Macros as constants; an unused enumerator costs nothing. */
enum xen_irq_constants {
    XEN_IRQ_STACK_SIZE = STACK_SIZE,
    XEN_IRQ_FIXADDR_TOP = FIXADDR_TOP,
    XEN_IRQ_FIXED_PAGES = __end_of_fixed_addresses,
    XEN_IRQ_MSIX_TABLE_PAGES = MAX_MSIX_TABLE_PAGES,
    XEN_IRQ_SC_NO_LOCK_HARDEN = X86_FEATURE_SC_NO_LOCK_HARDEN,
    XEN_IRQ_SC_NO_BRANCH_HARDEN = X86_FEATURE_SC_NO_BRANCH_HARDEN,
    XEN_IRQ_PT_IRQ_TYPE_MSI = PT_IRQ_TYPE_MSI,
    XEN_IRQ_VPF_BLOCKED_IN_XEN = VPF_blocked_in_xen,
    XEN_IRQ_CDF_HVM = XEN_DOMCTL_CDF_hvm,
    XEN_IRQ_EMU_LAPIC = X86_EMU_LAPIC,
    XEN_IRQ_GUEST = IRQ_GUEST,
    XEN_IRQ_INPROGRESS = IRQ_INPROGRESS,
    XEN_IRQ_DISABLED = IRQ_DISABLED,
    XEN_IRQ_MOVE_PENDING = IRQ_MOVE_PENDING,
    XEN_IRQ_PENDING = IRQ_PENDING,
    XEN_IRQ_REPLAY = IRQ_REPLAY,
    XEN_IRQ_TIMER_IN_HEAP = TIMER_STATUS_in_heap,
    XEN_IRQ_TRACES = IS_ENABLED(CONFIG_TRACEBUFFER),
    XEN_IRQ_PERF_COUNTERS = IS_ENABLED(CONFIG_PERF_COUNTERS),
    /* The bits of pirq_eoi_map. */
    XEN_IRQ_EOI_MAP_BITS = PAGE_SIZE * BITS_PER_BYTE,
    XEN_IRQ_DOMID_INVALID = DOMID_INVALID,
    XEN_IRQ_NODES = MAX_NUMNODES,
    XEN_IRQ_HPET_VECTOR = HPET_BROADCAST_VECTOR,
    /* 0 where there is none. */
    XEN_IRQ_SYSCALL_VECTOR = IS_ENABLED(CONFIG_PV) ? LEGACY_SYSCALL_VECTOR : 0,
    XEN_IRQ_HYPERCALL_VECTOR = IS_ENABLED(CONFIG_PV32) ? HYPERCALL_VECTOR : 0,
    XEN_IRQ_BAD_APICID = BAD_APICID,
    XEN_IRQ_FIRST_DYNAMIC_VECTOR = FIRST_DYNAMIC_VECTOR,
    XEN_IRQ_LAST_DYNAMIC_VECTOR = LAST_DYNAMIC_VECTOR,
    XEN_IRQ_FIRST_HIPRIORITY_VECTOR = FIRST_HIPRIORITY_VECTOR,
    XEN_IRQ_LAST_HIPRIORITY_VECTOR = LAST_HIPRIORITY_VECTOR,
    XEN_IRQ_MOVE_CLEANUP = IRQ_MOVE_CLEANUP_VECTOR,
    XEN_IRQ_TRC_HANDLED = TRC_HW_IRQ_HANDLED,
    XEN_IRQ_TRC_UNMAPPED_VECTOR = TRC_HW_IRQ_UNMAPPED_VECTOR,
    XEN_IRQ_TRC_MOVE_CLEANUP_DELAY = TRC_HW_IRQ_MOVE_CLEANUP_DELAY,
    XEN_IRQ_TRC_MOVE_CLEANUP = TRC_HW_IRQ_MOVE_CLEANUP,
    XEN_IRQ_TRC_CLEAR_VECTOR = TRC_HW_IRQ_CLEAR_VECTOR,
    XEN_IRQ_TRC_MOVE_FINISH = TRC_HW_IRQ_MOVE_FINISH,
    XEN_IRQ_TRC_BIND_VECTOR = TRC_HW_IRQ_BIND_VECTOR,
    XEN_IRQ_TRC_ASSIGN_VECTOR = TRC_HW_IRQ_ASSIGN_VECTOR,
#ifdef CONFIG_INTEL_IOMMU
    XEN_IRQ_IREMAP_PAGES = IREMAP_ARCH_PAGE_NR,
    XEN_IRQ_IREMAP_ENTRIES = IREMAP_ENTRY_NR,
#endif
};

/* No enumeration holds this and an address, too. */
enum xen_irq_negative {
    XEN_IRQ_INVALID_PIRQ = INVALID_PIRQ,
    XEN_IRQ_UNBOUND = IRQ_UNBOUND,
    XEN_IRQ_PT = IRQ_PT,
    XEN_IRQ_MSI_EMU = IRQ_MSI_EMU,
};

/*
 * Where bit-fields are in their byte or word, for those that Rust reads on hot paths: C has no constant for it. c-shim/layout.c
 * makes the build fail where one is not as it stands here.
 */
enum xen_irq_bit_fields {
    XEN_IRQ_IOREQ_STATE = 0x0f,
    XEN_IRQ_IOREQ_DATA_IS_PTR = 0x10,
    XEN_IRQ_IOREQ_DIR = 0x20,
    XEN_IRQ_IOREQ_DF = 0x40,
    XEN_IRQ_MSI_MASKBIT = 0x01,
    XEN_IRQ_MSI_IS_64 = 0x02,
    XEN_IRQ_MSI_HOST_MASKED = 0x04,
    XEN_IRQ_MSI_GUEST_MASKED = 0x08,
    XEN_IRQ_WARNED_MASKALL = 0x01,
    XEN_IRQ_WARNED_ADJACENT_NOT_INITIALIZED = 0x02,
    XEN_IRQ_WARNED_ADJACENT_PBA = 0x04,
#ifdef CONFIG_AMD_IOMMU
    XEN_IRQ_AMD_CONTROL_GA_EN = 0x20000,
#endif
};

#include "shim.h"

#endif
