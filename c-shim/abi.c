/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the build fail where Xen's headers declare an exported function in another way than include/exports.h does, or
 * not at all. No code is left of it.
 */
#include <xen/irq.h>
#include <xen/pci.h>
#include <xen/sched.h>
#include <xen/vpci.h>

#include <asm/msi.h>

#ifdef CONFIG_HVM
#include <asm/hvm/hvm.h>
#include <asm/hvm/io.h>
#endif

#ifdef CONFIG_AMD_IOMMU
#include <../drivers/passthrough/amd/iommu.h>
#endif

#ifdef CONFIG_INTEL_IOMMU
#include <../drivers/passthrough/vtd/extern.h>
#endif

#define XEN_IRQ_EXPORT(result, name, ...)                                  \
    _Static_assert(__builtin_types_compatible_p(typeof(name),              \
                                                result (__VA_ARGS__)),     \
                   "Xen's headers give " #name " another prototype");
#include "exports.h"
