/* SPDX-License-Identifier: GPL-2.0-only */
/* The MSI-X table's operations, which the HVM emulator reaches through pointers. */
#include "shim.h"

static bool cf_check accept(const struct hvm_io_handler *handler,
                            const ioreq_t *r)
{
    return xen_irq_msixtbl_accept(r);
}

static int cf_check read(const struct hvm_io_handler *handler,
                         uint64_t address, uint32_t len, uint64_t *pval)
{
    return xen_irq_msixtbl_read(address, len, pval);
}

static int cf_check write(const struct hvm_io_handler *handler,
                          uint64_t address, uint32_t len, uint64_t val)
{
    return xen_irq_msixtbl_write(address, len, val);
}

const struct hvm_io_ops shim_msixtbl_ops = {
    .accept = accept,
    .read = read,
    .write = write,
};
