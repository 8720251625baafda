/* SPDX-License-Identifier: GPL-2.0-only */
/* A fixture in the place of a C file of Xen's. */
#include <stdbool.h>
#include <stdint.h>

struct domain;

int abi_value = 1;

int abi_first(struct domain *d, uint8_t narrow, uint64_t wide)
{
    return d != 0 && narrow > wide;
}

bool abi_second(const struct domain *d)
{
    return d != 0;
}
