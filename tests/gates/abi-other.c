/* SPDX-License-Identifier: GPL-2.0-only */
/* A fixture in the place of the rest of Xen. */
int xen_irq_abi_private(unsigned long address);

void abi_hook(void);

int abi_needed(int value)
{
#ifndef PLANT_NO_HOOK
    abi_hook();
#endif
    return value + 1;
}

#ifdef PLANT_INTRUDER
int abi_intruder(void)
{
    return xen_irq_abi_private(0) + 1;
}
#endif
