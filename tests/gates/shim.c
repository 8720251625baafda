/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fixture in the place of c-shim: functions that are reached through pointers and others. Without a macro every gate
 * passes; each macro plants one fault.
 */
#define cf_check __attribute__((__cf_check__))

#ifdef PLANT_MISSING
#define marked
#else
#define marked cf_check
#endif

#ifdef PLANT_SUPERFLUOUS
#define unmarked cf_check
#else
#define unmarked
#endif

static int marked shim_local_target(int value)
{
    return value + 1;
}

struct shim_operations {
    int (*local)(int value);
};

const struct shim_operations shim_operations = { shim_local_target };

/* Is in a table of rest.c. */
int cf_check shim_global_target(int value)
{
    return value + 2;
}

/* Takes an address in code. */
static int cf_check shim_second_target(int value)
{
    return value + 3;
}

int (*shim_choose(void))(int value)
{
    return shim_second_target;
}

int unmarked shim_called(int value)
{
#ifdef PLANT_BYTES
    return value ^ 0xfa1e0ff3;
#else
    return value ^ 3;
#endif
}
