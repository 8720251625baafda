/* SPDX-License-Identifier: GPL-2.0-only */
/* A fixture in the place of c-shim: it offers the variable, and a pointer to a function of Rust's. */
#include <stdint.h>

int xen_irq_abi_private(uint64_t address);

int abi_value = 1;

int shim_calls(uint64_t address)
{
    return xen_irq_abi_private(address) + 1;
}

#ifdef PLANT_SHIM_EXTRA
int abi_helper(void)
{
    return 1;
}
#endif
