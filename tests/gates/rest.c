/* SPDX-License-Identifier: GPL-2.0-only */
/* A fixture in the place of the rest of Xen: it calls the shim, and hands one of its functions on. */
int shim_called(int value);
int shim_global_target(int value);

int (*const rest_table[])(int value) = {
    shim_global_target,
#ifdef PLANT_REST
    shim_called,
#endif
};

int rest_calls(int value)
{
    return shim_called(value) + 1;
}
