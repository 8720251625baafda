/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the build fail where this compiler lays a structure out in another way than bindgen's does, or where a bit-field
 * is not where include/bindings.h says. No code is left of it but an empty function.
 */
#include "bindings.h"
/* Sizes and offsets as bindgen has them: written by rust/xen-sys/build.rs to the object tree. */
#include "layout.h"

/* Never defined: a reference that is left over breaks the link, and its name says why. */
void xen_irq_a_bit_field_is_elsewhere(void);

#define CHECK(type, byte, field, value, bits) do {                  \
    union { type object; uint8_t raw[sizeof(type)]; } u = {         \
        .object.field = (value)                                     \
    };                                                              \
    if ( u.raw[byte] != (bits) )                                    \
        xen_irq_a_bit_field_is_elsewhere();                         \
} while ( 0 )

void shim_check_bit_fields(void)
{
    CHECK(ioreq_t, offsetof(ioreq_t, type) - 1, state, 0xf,
          XEN_IRQ_IOREQ_STATE);
    CHECK(ioreq_t, offsetof(ioreq_t, type) - 1, data_is_ptr, 1,
          XEN_IRQ_IOREQ_DATA_IS_PTR);
    CHECK(ioreq_t, offsetof(ioreq_t, type) - 1, dir, 1, XEN_IRQ_IOREQ_DIR);
    CHECK(ioreq_t, offsetof(ioreq_t, type) - 1, df, 1, XEN_IRQ_IOREQ_DF);
    CHECK(struct msi_attrib, 2, maskbit, true, XEN_IRQ_MSI_MASKBIT);
    CHECK(struct msi_attrib, 2, is_64, true, XEN_IRQ_MSI_IS_64);
    CHECK(struct msi_attrib, 2, host_masked, true, XEN_IRQ_MSI_HOST_MASKED);
    CHECK(struct msi_attrib, 2, guest_masked, true, XEN_IRQ_MSI_GUEST_MASKED);
    CHECK(struct arch_msix, offsetof(struct arch_msix, warned_kind),
          warned_kind.maskall, true, XEN_IRQ_WARNED_MASKALL);
    CHECK(struct arch_msix, offsetof(struct arch_msix, warned_kind),
          warned_kind.adjacent_not_initialized, true,
          XEN_IRQ_WARNED_ADJACENT_NOT_INITIALIZED);
    CHECK(struct arch_msix, offsetof(struct arch_msix, warned_kind),
          warned_kind.adjacent_pba, true, XEN_IRQ_WARNED_ADJACENT_PBA);
#ifdef CONFIG_AMD_IOMMU
    CHECK(union amd_iommu_control, 2, ga_en, true,
          XEN_IRQ_AMD_CONTROL_GA_EN >> 16);
#endif
}
